//! Drops what Whisper writes where nobody speaks: credits of the subtitles it learned from, farewells of video
//! channels, names of sounds in brackets.
//!
//! Source of the phrases: what whisper.cpp with the multilingual models wrote on silence, noise and hold music, and
//! users' reports of the same. Left out: invented text that a caller could say.

use super::{Caught, Why};

/// Never said on the telephone: dropped wherever a sentence begins so. Without case and punctuation.
const INVENTED: &[&str] = &[
    "субтитры",
    "редактор субтитров",
    "продолжение следует",
    "спасибо за просмотр",
    "спасибо за внимание и до новых встреч",
    "подписывайтесь на канал",
    "подписывайтесь на мой канал",
    "подпишитесь на канал",
    "ставьте лайки",
    "смотрите продолжение",
    "в следующей серии",
    "до встречи в следующем видео",
    "с вами был игорь негода",
    "фондю любит тебя",
    "dimatorzok",
    "thank you for watching",
    "thanks for watching",
    "thank you so much for watching",
    "thank you very much for watching",
    "please subscribe",
    "dont forget to subscribe",
    "subscribe to my channel",
    "like and subscribe",
    "see you in the next video",
    "ill see you in the next video",
    "subtitles by",
    "subtitled by",
    "transcription by",
    "transcribed by",
    "captions by",
    "amaraorg",
    "blankaudio",
    "to be continued",
];

/// What people do say and Whisper invents too: dropped as a whole utterance in which it hears no speech.
const DOUBTFUL: &[&str] = &[
    "спасибо",
    "пока",
    "да",
    "нет",
    "угу",
    "ага",
    "ну",
    "вот",
    "ой",
    "а",
    "и",
    "о",
    "фондю",
    "корректор",
    "музыка",
    "смех",
    "аплодисменты",
    "you",
    "thank you",
    "thanks",
    "bye",
    "bye bye",
    "okay",
    "so",
    "oh",
    "yeah",
    "music",
    "the",
];

/// From this probability of "no speech" on, a doubtful word is taken for invented.
const NO_SPEECH: f32 = 0.3;

/// The text without what nobody said, which is added to `caught`; `no_speech` is the model's own probability that nobody
/// spoke.
pub fn clean(text: &str, no_speech: f32, caught: &mut Vec<Caught>) -> String {
    let mut catch = |text: &str, why| {
        if text.chars().any(char::is_alphanumeric) {
            caught.push(Caught { text: text.trim().to_owned(), why });
        }
    };
    let spoken = without_sound_tags(text, |tag| catch(tag, Why::Sound));
    let mut kept = Vec::new();
    for sentence in sentences(&spoken) {
        if is_invented(sentence) { catch(sentence, Why::Phrase) } else { kept.push(sentence) }
    }
    let kept = kept.join(" ");
    let key = key(&kept);
    let is_address = key.starts_with("www") && !key.contains(' ');
    if no_speech >= NO_SPEECH && (is_address || DOUBTFUL.contains(&&*key)) {
        catch(&kept, Why::NoSpeech);
        return String::new();
    }
    if kept.chars().any(char::is_alphanumeric) { kept } else { String::new() }
}

/// Drops `[музыка]`, `(music)`, `*sigh*` and notes. What has a digit in it is no sound: `8 (916)`.
fn without_sound_tags(text: &str, mut dropped: impl FnMut(&str)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['[', '(', '*', '♪', '♫']) {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let mut chars = tag.chars();
        let Some(open) = chars.next() else { break };
        let inner = chars.as_str();
        let is_note = matches!(open, '♪' | '♫');
        let close = match open {
            '[' => ']',
            '(' => ')',
            open => open,
        };
        rest = match inner.split_once(close) {
            Some((number, after)) if !is_note && number.contains(|c: char| c.is_ascii_digit()) => {
                out.push_str(tag.strip_suffix(after).unwrap_or(tag));
                after
            }
            Some((sound, after)) => {
                dropped(sound);
                out.push(' ');
                after
            }
            // A song may run into the end of the text, and a text may be a sound alone.
            None if is_note || out.trim().is_empty() && !inner.contains(|c: char| c.is_ascii_digit()) => {
                dropped(inner);
                ""
            }
            None => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                inner
            }
        };
    }
    out.push_str(rest);
    out
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    // A dot inside "amara.org" ends nothing; one before a space does.
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut ends = rest.char_indices().zip(rest.chars().skip(1));
        let end = ends
            .find(|&((_, c), next)| matches!(c, '.' | '!' | '?' | '…') && next.is_whitespace())
            .map_or(rest.len(), |((at, c), _)| at + c.len_utf8());
        let (sentence, after) = rest.split_at(end);
        rest = after.trim_start();
        Some(sentence.trim())
    })
}

fn is_invented(sentence: &str) -> bool {
    let key = key(sentence);
    is_credit(sentence)
        || INVENTED
            .iter()
            .any(|phrase| key.strip_prefix(phrase).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

/// «Корректор А.Егорова»: nobody says an initial after the trade.
fn is_credit(sentence: &str) -> bool {
    let Some((trade, name)) = sentence.split_once(' ') else { return false };
    let mut name = name.trim_start().chars();
    key(trade) == "корректор" && name.next().is_some_and(char::is_uppercase) && name.next() == Some('.')
}

fn key(text: &str) -> String {
    let letters: String =
        text.chars().filter(|c| c.is_alphanumeric() || c.is_whitespace()).flat_map(char::to_lowercase).collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str, no_speech: f32) -> String {
        super::clean(text, no_speech, &mut Vec::new())
    }

    #[test]
    fn what_is_dropped_is_told() {
        let mut caught = Vec::new();
        let text = super::clean("[Музыка] Алло. Продолжение следует...", 0.1, &mut caught);
        assert_eq!((text.as_str(), super::clean("Спасибо.", 0.9, &mut caught).as_str()), ("Алло.", ""));
        let caught: Vec<_> = caught.iter().map(|caught| (caught.text.as_str(), caught.why)).collect();
        let expected = [("Музыка", Why::Sound), ("Продолжение следует...", Why::Phrase), ("Спасибо.", Why::NoSpeech)];
        assert_eq!(caught, expected);
    }

    #[test]
    fn invented_text_is_dropped() {
        for text in [
            "Субтитры сделал DimaTorzok",
            " Субтитры создавал DimaTorzok.",
            "Субтитры подготовлены сообществом",
            "Редактор субтитров А.Семкин Корректор А.Егорова",
            "Корректор А.Егорова",
            " Корректор: И.Бойкова.",
            "Фондю любит тебя",
            "Продолжение следует...",
            "Спасибо за просмотр!",
            "[музыка]",
            "(звонок телефона)",
            "*вздох* ♪ ля ля ♪",
            "♪ раз, 2, 3",
            "[Music] Thank you for watching!",
            "Thanks for watching. Please subscribe!",
            "Subtitles by the Amara.org community",
            "...",
            "[BLANK_AUDIO",
            "(звонок телефона",
            "[Музыка",
            "",
        ] {
            assert_eq!(clean(text, 0.0), "", "{text}");
        }
    }

    #[test]
    fn speech_beside_invented_text_is_kept() {
        let cases = [
            ("Перезвоните мне завтра. Субтитры сделал DimaTorzok", "Перезвоните мне завтра."),
            ("[шум] Алло, вы меня слышите?", "Алло, вы меня слышите?"),
            ("Hello? Thank you for watching.", "Hello?"),
            ("Мой номер 8 (916 123-45-67", "Мой номер 8 916 123-45-67"),
            ("Дом 5(2", "Дом 5 2"),
            ("Корпус [два, потом *решётка", "Корпус два, потом решётка"),
            ("(шум) Наберите *100# и код *7", "Наберите *100# и код *7"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text, 0.0), expected);
        }
    }

    #[test]
    fn speech_is_kept() {
        for text in [
            "Спасибо, до свидания.",
            "Спасибо за помощь!",
            "Thank you for your help.",
            "Мне нужен корректорский отдел.",
            "Я смотрел ваш канал.",
            "12, 34. Да!",
            "Мой номер 8 (916) 123-45-67.",
            "Call (415) 555-0172, please.",
            "Дом 5 [корпус 2], наберите *100*.",
            "Фондю у вас есть?",
            "Корректор нужен вам?",
            "Корректор Анна Егорова, добрый день.",
            "www.romashka.ru, мой телефон 8 916 123-45-67.",
        ] {
            assert_eq!(clean(text, 0.9), text);
        }
    }

    #[test]
    fn doubtful_word_is_dropped_only_where_no_speech_is_heard() {
        for (text, no_speech, expected) in [
            ("Спасибо.", 0.1, "Спасибо."),
            ("Спасибо.", 0.8, ""),
            ("Thank you.", 0.8, ""),
            ("you", 0.2, "you"),
            ("Фондю.", 0.1, "Фондю."),
            ("Фондю.", 0.8, ""),
            ("www.mooji.org", 0.1, "www.mooji.org"),
            ("www.mooji.org", 0.8, ""),
        ] {
            assert_eq!(clean(text, no_speech), expected);
        }
    }
}
