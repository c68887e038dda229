//! Foreign letters in the alphabet of the voice: names of people and firms, roughly as they sound.

use crate::engine::Language;

/// Longest first: a pair of letters is one sound.
const LATIN_TO_RU: &[(&str, &str)] = &[
    ("shch", "щ"),
    ("sch", "щ"),
    ("sh", "ш"),
    ("ch", "ч"),
    ("zh", "ж"),
    ("kh", "х"),
    ("th", "т"),
    ("ph", "ф"),
    ("ck", "к"),
    ("ee", "и"),
    ("oo", "у"),
    ("ya", "я"),
    ("yu", "ю"),
    ("yo", "ё"),
    ("qu", "кв"),
    ("a", "а"),
    ("b", "б"),
    ("c", "к"),
    ("d", "д"),
    ("e", "е"),
    ("f", "ф"),
    ("g", "г"),
    ("h", "х"),
    ("i", "и"),
    ("j", "дж"),
    ("k", "к"),
    ("l", "л"),
    ("m", "м"),
    ("n", "н"),
    ("o", "о"),
    ("p", "п"),
    ("q", "к"),
    ("r", "р"),
    ("s", "с"),
    ("t", "т"),
    ("u", "у"),
    ("v", "в"),
    ("w", "в"),
    ("x", "кс"),
    ("y", "и"),
    ("z", "з"),
];

const RU_TO_LATIN: &[(&str, &str)] = &[
    ("а", "a"),
    ("б", "b"),
    ("в", "v"),
    ("г", "g"),
    ("д", "d"),
    ("е", "e"),
    ("ё", "yo"),
    ("ж", "zh"),
    ("з", "z"),
    ("и", "i"),
    ("й", "y"),
    ("к", "k"),
    ("л", "l"),
    ("м", "m"),
    ("н", "n"),
    ("о", "o"),
    ("п", "p"),
    ("р", "r"),
    ("с", "s"),
    ("т", "t"),
    ("у", "u"),
    ("ф", "f"),
    ("х", "kh"),
    ("ц", "ts"),
    ("ч", "ch"),
    ("ш", "sh"),
    ("щ", "shch"),
    ("ъ", ""),
    ("ы", "y"),
    ("ь", ""),
    ("э", "e"),
    ("ю", "yu"),
    ("я", "ya"),
];

/// Names of the Latin letters, for what is spelled: VPN.
const LETTER_NAMES: [&str; 26] = [
    "эй",
    "би",
    "си",
    "ди",
    "и",
    "эф",
    "джи",
    "эйч",
    "ай",
    "джей",
    "кей",
    "эл",
    "эм",
    "эн",
    "о",
    "пи",
    "кью",
    "ар",
    "эс",
    "ти",
    "ю",
    "ви",
    "дабл ю",
    "экс",
    "уай",
    "зет",
];

/// The word in the letters of `language`; letters of other alphabets are dropped.
pub fn into_alphabet(word: &str, language: Language) -> String {
    if language == Language::Ru && is_spelled(word) {
        let names = word.chars().filter_map(|c| LETTER_NAMES.get(usize::from(c as u8 - b'A')).copied());
        return names.collect::<Vec<_>>().join(" ");
    }
    let table = match language {
        Language::Ru => LATIN_TO_RU,
        Language::En => RU_TO_LATIN,
    };
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let (said, len) = sound(rest, c, language, table);
        out.push_str(&said);
        rest = rest.get(len..).unwrap_or_default();
    }
    out.trim_matches(['-', '\'']).to_owned()
}

fn sound(rest: &str, c: char, language: Language, table: &[(&str, &str)]) -> (String, usize) {
    let c_len = c.len_utf8();
    if own_letter(c, language) {
        return (c.to_string(), c_len);
    }
    let found = table
        .iter()
        .find(|(foreign, _)| rest.get(..foreign.len()).is_some_and(|head| head.to_lowercase() == **foreign));
    match found {
        Some((foreign, said)) if c.is_uppercase() => (capitalised(said), foreign.len()),
        Some((foreign, said)) => ((*said).to_owned(), foreign.len()),
        None if c == '-' => ("-".to_owned(), c_len),
        None if matches!(c, '\'' | '’') && language == Language::En => ("'".to_owned(), c_len),
        None => (String::new(), c_len),
    }
}

fn own_letter(c: char, language: Language) -> bool {
    match language {
        Language::Ru => matches!(c, 'а'..='я' | 'А'..='Я' | 'ё' | 'Ё'),
        Language::En => c.is_ascii_alphabetic(),
    }
}

/// Capital Latin letters without a vowel to read them by.
fn is_spelled(word: &str) -> bool {
    (2..=5).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_uppercase())
        && !word.bytes().any(|b| b"AEIOUY".contains(&b))
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_the_voices_alphabet() {
        let cases = [
            (Language::Ru, "Gemini", "Гемини"),
            (Language::Ru, "Microsoft", "Микрософт"),
            (Language::Ru, "Chekhov", "Чехов"),
            (Language::Ru, "VPN", "ви пи эн"),
            (Language::Ru, "SIP", "СИП"),
            (Language::Ru, "IT-отдел", "ИТ-отдел"),
            (Language::Ru, "東京", ""),
            (Language::En, "Пётр", "Pyotr"),
            (Language::En, "Щукин", "Shchukin"),
            (Language::En, "don’t", "don't"),
            (Language::En, "naïve", "nave"),
        ];
        for (language, word, expected) in cases {
            assert_eq!(into_alphabet(word, language), expected, "{word}");
        }
    }
}
