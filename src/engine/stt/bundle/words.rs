//! Words of tokens, and segments of words.

use crate::engine::stt::Segment;

/// Silence between two words from which on they are in different segments.
const PAUSE_S: f32 = 0.6;
/// Stands in a token where a word begins.
const WORD: char = '▁';

/// A token by its number, with its place in the sound in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spoken {
    pub token: usize,
    pub start_s: f32,
    pub end_s: f32,
}

/// Words, put together where no pause is between them. `offset_s` is where the sound begins.
pub fn segments(spoken: &[Spoken], tokens: &[String], offset_s: f32) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut begins_word = true;
    for &Spoken { token, start_s, end_s } in spoken {
        let Some(token) = tokens.get(token) else { continue };
        let (start_s, end_s) = (start_s + offset_s, end_s + offset_s);
        begins_word |= token.starts_with(WORD);
        let text = token.replace(WORD, " ");
        let text = text.trim_start();
        if text.is_empty() {
            continue;
        }
        match segments.last_mut() {
            Some(segment) if !begins_word || start_s - segment.end_s < PAUSE_S => {
                if begins_word {
                    segment.text.push(' ');
                }
                segment.text.push_str(text);
                segment.end_s = end_s;
            }
            _ => segments.push(Segment { start_s, end_s, text: text.to_owned(), words: Vec::new() }),
        }
        begins_word = false;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The segments of tokens of 0.1 s that begin at these times.
    fn said(line: &[(&str, f32)], offset_s: f32) -> Vec<Segment> {
        let tokens: Vec<String> = line.iter().map(|(token, _)| token.to_string()).collect();
        let spoken = |(token, &(_, start_s)): (usize, &(&str, f32))| Spoken { token, start_s, end_s: start_s + 0.1 };
        segments(&line.iter().enumerate().map(spoken).collect::<Vec<_>>(), &tokens, offset_s)
    }

    #[test]
    fn segments_end_at_pauses_and_have_their_times() {
        let found = said(&[("▁а", 0.1), ("л", 0.2), ("▁о", 0.4), ("▁а", 1.2), ("л", 1.4)], 10.0);
        let times: Vec<_> = found.iter().map(|s| (s.text.as_str(), s.start_s, s.end_s)).collect();
        println!("{times:?}");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].text.as_str(), found[1].text.as_str()), ("ал о", "ал"));
        for (found, expected) in [(times[0].1, 10.1), (times[0].2, 10.5), (times[1].1, 11.2), (times[1].2, 11.5)] {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }

    #[test]
    fn a_space_of_its_own_begins_a_word_and_a_pause_in_a_word_does_not_cut_it() {
        let found = said(&[("▁", 0.0), ("д", 0.1), ("а", 2.0), ("▁", 2.1), ("д", 2.2), ("▁", 2.3)], 0.0);
        assert_eq!(found.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(), ["да д"]);
    }
}
