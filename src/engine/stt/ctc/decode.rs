//! Greedy CTC decoding (Graves et al. 2006, §3.2): the likeliest token of each frame, repeats and blanks taken out.
//!
//! Left out: a beam and a language model.

use crate::engine::stt::Segment;

/// Silence between two words from which on they are in different segments.
const PAUSE_S: f32 = 0.6;
/// Stands in a token where a word begins.
const WORD: char = '▁';

/// A token with its place in the sound, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken<'a> {
    pub token: &'a str,
    pub start_s: f32,
    pub end_s: f32,
}

/// The tokens in `scores`, a row of `tokens.len()` values for each frame of `frame_s` seconds.
pub fn greedy<'a>(scores: &[f32], tokens: &'a [String], blank: usize, frame_s: f32) -> Vec<Spoken<'a>> {
    let mut spoken: Vec<Spoken<'a>> = Vec::new();
    let mut last = blank;
    for (frame, row) in scores.chunks_exact(tokens.len().max(1)).enumerate() {
        let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(blank);
        let (start_s, end_s) = (frame as f32 * frame_s, (frame + 1) as f32 * frame_s);
        match (spoken.last_mut(), tokens.get(best)) {
            _ if best == blank => {}
            (Some(before), _) if best == last => before.end_s = end_s,
            (_, Some(token)) => spoken.push(Spoken { token, start_s, end_s }),
            (_, None) => {}
        }
        last = best;
    }
    spoken
}

/// Words, put together where no pause is between them. `offset_s` is where the sound begins.
pub fn segments(spoken: &[Spoken<'_>], offset_s: f32) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut begins_word = true;
    for Spoken { token, start_s, end_s } in spoken {
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

    fn tokens(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    /// One frame of 0.1 s for each letter, «-» being the blank.
    fn decode(frames: &str, tokens: &[String]) -> Vec<Segment> {
        let blank = tokens.iter().position(|token| token == "-").unwrap();
        let mut scores = Vec::new();
        for c in frames.chars() {
            let c = c.to_string();
            scores.extend(tokens.iter().map(|token| if token.trim_start_matches(WORD) == c { -0.1 } else { -3.0 }));
        }
        segments(&greedy(&scores, tokens, blank, 0.1), 10.0)
    }

    #[test]
    fn repeats_are_one_token_unless_a_blank_stands_between_them() {
        let letters = tokens(&["а", "л", "о", "-"]);
        for (frames, text) in [("аалло", "ало"), ("алл-лоо", "алло"), ("--а--", "а"), ("а-а", "аа")]
        {
            let segments = decode(frames, &letters);
            assert_eq!(segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(), [text], "{frames}");
        }
        assert!(decode("----", &letters).is_empty());
        assert!(decode("", &letters).is_empty());
    }

    #[test]
    fn segments_end_at_pauses_and_have_their_times() {
        let pieces = tokens(&["▁а", "л", "▁о", "-"]);
        let found = decode("-ал-о-------аал", &pieces);
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
        let spoken = |token, start_s: f32| Spoken { token, start_s, end_s: start_s + 0.1 };
        let line = [("▁", 0.0), ("д", 0.1), ("а", 2.0), ("▁", 2.1), ("д", 2.2), ("▁", 2.3)];
        let found = segments(&line.map(|(token, at)| spoken(token, at)), 0.0);
        assert_eq!(found.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(), ["да д"]);
    }
}
