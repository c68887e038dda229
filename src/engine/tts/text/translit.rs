//! Foreign letters in the alphabet of the voice: names of people and firms, roughly as they sound.

use super::tokens::STRESS;
use crate::engine::Language;

/// Longest first: a pair of letters is one sound.
const LATIN_TO_RU: &[(&str, &str)] = &[
    ("shch", "щ"),
    ("tion", "шн"),
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

/// The word in the letters of `language`; letters of other alphabets are dropped.
pub fn into_alphabet(word: &str, language: Language) -> String {
    let table = match language {
        Language::Ru => LATIN_TO_RU,
        Language::En => RU_TO_LATIN,
    };
    let word: String = word.chars().filter_map(without_diacritic).collect();
    let mut out = String::with_capacity(word.len());
    let mut rest = word.as_str();
    while let Some(c) = rest.chars().next() {
        let (said, len) = sound(rest, c, language, table);
        out.push_str(&said);
        rest = rest.get(len..).unwrap_or_default();
    }
    out
}

fn sound(rest: &str, c: char, language: Language, table: &[(&str, &str)]) -> (String, usize) {
    if own_letter(c, language) {
        return (c.to_string(), c.len_utf8());
    }
    // A "c" before these is soft: "Cisco", "Cyber".
    let soft = rest.get(1..2).is_some_and(|next| "eiyEIY".contains(next));
    if language == Language::Ru && soft && matches!(c, 'c' | 'C') {
        return (if c == 'c' { "с" } else { "С" }.to_owned(), 1);
    }
    let found = table
        .iter()
        .find(|(foreign, _)| rest.get(..foreign.len()).is_some_and(|head| head.to_lowercase() == **foreign));
    match found {
        Some((foreign, said)) if c.is_uppercase() => (capitalised(said), foreign.len()),
        Some((foreign, said)) => ((*said).to_owned(), foreign.len()),
        None if matches!(c, '-' | STRESS) => (c.to_string(), c.len_utf8()),
        None if matches!(c, '\'' | '’') && language == Language::En => ("'".to_owned(), c.len_utf8()),
        None => (String::new(), c.len_utf8()),
    }
}

/// The letter that one with a diacritic is read as, in Latin and in the Cyrillic of the neighbours.
fn without_diacritic(c: char) -> Option<char> {
    const PLAIN: [(&str, char); 30] = [
        ("àáâãäåāăą", 'a'),
        ("ÀÁÂÃÄÅĀĂĄ", 'A'),
        ("çćč", 'c'),
        ("ÇĆČ", 'C'),
        ("ďđð", 'd'),
        ("èéêëēėęě", 'e'),
        ("ÈÉÊËĒĖĘĚ", 'E'),
        ("ğģ", 'g'),
        ("ìíîïīı", 'i'),
        ("ÌÍÎÏĪİ", 'I'),
        ("ķ", 'k'),
        ("łļľ", 'l'),
        ("Ł", 'L'),
        ("ñńň", 'n'),
        ("ÑŃŇ", 'N'),
        ("òóôõöøőō", 'o'),
        ("ÒÓÔÕÖØŐŌ", 'O'),
        ("řŕ", 'r'),
        ("śšșşß", 's'),
        ("ŚŠȘŞ", 'S'),
        ("ťțţ", 't'),
        ("ùúûüūůű", 'u'),
        ("ÙÚÛÜŪŮŰ", 'U'),
        ("ýÿ", 'y'),
        ("źžż", 'z'),
        ("ŹŽŻ", 'Z'),
        ("іїӣ", 'и'),
        ("ІЇӢ", 'И'),
        ("ґғ", 'г'),
        ("єә", 'е'),
    ];
    match c {
        '\u{300}' | '\u{302}'..='\u{36f}' => None,
        _ if c.is_ascii() => Some(c),
        _ => Some(PLAIN.iter().find(|(letters, _)| letters.contains(c)).map_or(c, |(_, plain)| *plain)),
    }
}

pub fn own_letter(c: char, language: Language) -> bool {
    match language {
        Language::Ru => matches!(c, 'а'..='я' | 'А'..='Я' | 'ё' | 'Ё'),
        Language::En => c.is_ascii_alphabetic(),
    }
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
            (Language::Ru, "romashka", "ромашка"),
            (Language::Ru, "Chekhov", "Чехов"),
            (Language::Ru, "Cisco", "Сиско"),
            (Language::Ru, "café", "кафе"),
            (Language::Ru, "東京", ""),
            (Language::En, "Пётр", "Pyotr"),
            (Language::En, "Щукин", "Shchukin"),
            (Language::En, "don’t", "don't"),
            (Language::En, "naïve", "naive"),
        ];
        for (language, word, expected) in cases {
            assert_eq!(into_alphabet(word, language), expected, "{word}");
        }
    }
}
