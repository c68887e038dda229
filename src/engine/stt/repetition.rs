//! Finds the loops that Whisper falls into when it has lost the audio: the same words over and over.
//!
//! People repeat themselves too («да, да, да», digits of a number), so only what nobody says counts as a loop.

/// Longest repeated phrase looked for, in words.
const MAX_PHRASE: usize = 24;

/// Characters that are worth a pointer, and what one costs beside a character.
const POINTED_AT: usize = 4;
const POINTER: usize = 2;

/// How often a phrase of that many words must follow itself to be a loop.
const fn times(phrase_len: usize) -> usize {
    match phrase_len {
        1 => 7,
        2 => 5,
        3..=5 => 4,
        _ => 3,
    }
}

/// The text with every loop said once, when there is one.
pub fn without_loops(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let keys: Vec<String> = words.iter().map(|word| key(word)).collect();
    let mut kept: Vec<&str> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let (phrase, times) = longest_loop(keys.get(at..).unwrap_or_default()).unwrap_or((1, 1));
        kept.extend(words.iter().skip(at).take(phrase));
        at += phrase * times;
    }
    (kept.len() < words.len()).then(|| kept.join(" "))
}

/// The loop that `words` begin with, as the length of its phrase and how often it is there.
fn longest_loop(words: &[String]) -> Option<(usize, usize)> {
    (1..=MAX_PHRASE.min(words.len() / 2))
        .map(|len| (len, repetitions(words, len)))
        .filter(|&(len, n)| n >= times(len))
        .max_by_key(|&(len, n)| (len * n, n))
}

fn repetitions(words: &[String], len: usize) -> usize {
    let mut phrases = words.chunks_exact(len);
    let Some(first) = phrases.next() else { return 0 };
    1 + phrases.take_while(|phrase| *phrase == first).count()
}

/// How much shorter a text becomes when what was there before is only pointed at: about what OpenAI's Whisper measures with
/// zlib, and up to 2.4 takes for speech. A repetition counts from [`POINTED_AT`] characters on.
pub fn compression_ratio(text: &str) -> f32 {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut size) = (0, 0);
    while at < chars.len() {
        let same = |from: usize| chars.iter().skip(from).zip(chars.iter().skip(at)).take_while(|(a, b)| a == b).count();
        let known = (0..at).map(same).max().unwrap_or(0);
        (at, size) = if known >= POINTED_AT { (at + known, size + POINTER) } else { (at + 1, size + 1) };
    }
    chars.len() as f32 / size.max(1) as f32
}

/// What makes two words the same: letters and digits without case.
fn key(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_said_once() {
        let cases = [
            (
                "Нажмите решётку. Нажмите решётку, нажмите решётку. Нажмите решётку. Нажмите решётку.",
                "Нажмите решётку.",
            ),
            ("Алло. а а а а а а а а а", "Алло. а"),
            ("I said, I don't know what to do. I don't know what to do. I don't know what to do.", ""),
            ("номер 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9 конец", "номер 8, 9, конец"),
        ];
        for (text, expected) in cases {
            let found = without_loops(text);
            println!("{text} -> {found:?}");
            let expected = if expected.is_empty() { "I said, I don't know what to do." } else { expected };
            assert_eq!(found.as_deref(), Some(expected));
        }
    }

    #[test]
    fn loops_are_compressed_further_than_speech() {
        let speech =
            "Нажмите один, чтобы ввести номер, или нажмите два, чтобы воспользоваться справочником. Нажмите три.";
        let dictated = "Восемь, девятьсот шестнадцать, пять, пять, пять, пять, пять, пять.";
        let repeated = "Осталось всего восемь минут, всего семь минут, всего шесть минут.";
        for text in ["", "Да.", speech, dictated, repeated] {
            println!("{:.2} {text}", compression_ratio(text));
            assert!(compression_ratio(text) < 2.4, "{text}");
        }
        assert!(compression_ratio(&"нажмите решётку и ".repeat(6)) > 2.4);
    }

    #[test]
    fn what_people_repeat_is_kept() {
        for text in [
            "",
            "Да, да, да, да.",
            "Нет, нет и ещё раз нет!",
            "Восемь, девятьсот шестнадцать, пять, пять, пять, пять, пять, пять.",
            "It was the best of times, it was the worst of times.",
            "one two one two one two three",
        ] {
            assert_eq!(without_loops(text), None, "{text}");
        }
    }
}
