//! Sentences of receptionists, as they are to be said.

use super::Reader;
use crate::engine::Language::{self, En, Ru};

/// Lines of a text, a tab, and what is said.
fn assert_said(language: Language, table: &str, least: usize) {
    let rows: Vec<(&str, &str)> = table.lines().filter_map(|line| line.split_once('\t')).collect();
    assert!(rows.len() >= least && rows.len() == table.lines().count(), "{} rows", rows.len());
    let mut wrong = 0;
    for (text, expected) in &rows {
        let said = Reader::default().speakable(text, language);
        if said != *expected {
            println!("{text}\n  {said}\n  {expected}");
            wrong += 1;
        }
    }
    assert_eq!(wrong, 0, "of {}", rows.len());
}

#[test]
fn russian_is_read_right() {
    assert_said(Ru, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/text/ru.tsv")), 400);
}

#[test]
fn english_is_read_right() {
    assert_said(En, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/text/en.tsv")), 150);
}

/// Whatever a model writes: only letters of the language and marks are left, and no clause is too long.
#[test]
fn nothing_but_words_and_marks_is_said_of_any_text() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    const PIECES: &[&str] = &[
        "0",
        "1",
        "02",
        "15",
        "2026",
        "99999",
        "8 916",
        "123-45-67",
        ".",
        ",",
        ":",
        "-",
        "–",
        "/",
        "%",
        "₽",
        "$",
        "€",
        "°C",
        "№",
        "#",
        "@",
        "&",
        "+",
        "=",
        "~",
        "*",
        "_",
        "`",
        "<",
        ">",
        "[",
        "](",
        ")",
        "{",
        "}",
        "\"",
        "\\",
        "|",
        "^",
        " ",
        " ",
        " ",
        "\n",
        "\u{301}",
        "\u{a0}",
        "🙂",
        "👨‍👩‍👧",
        "東",
        "½",
        "²",
        "Ⅳ",
        "١",
        "с",
        "до",
        "в",
        "г.",
        "ул.",
        "д.",
        "руб.",
        "тыс.",
        "ноября",
        "минуты",
        "часам",
        "-го",
        "-й",
        "пн",
        "И.",
        "XX",
        "век",
        "am",
        "p.m.",
        "Mr.",
        "No.",
        "November",
        "www.",
        ".ru",
        "info",
        "http://",
        "слово",
        "word",
        "ООО",
        "SMS",
        "СРЛ",
        "\u{0}",
        "'",
        "’",
        "…",
        "—",
        "!",
        "?",
    ];
    let mut rng = StdRng::seed_from_u64(6);
    for _ in 0..20_000 {
        let count = rng.random_range(1..14);
        let text: String = (0..count).map(|_| PIECES[rng.random_range(0..PIECES.len())]).collect();
        for (language, letters) in [(Ru, 'а'..='я'), (En, 'a'..='z')] {
            let said = Reader::default().speakable(&text, language);
            let known = |c: char| letters.contains(&c) || (language == Ru && c == 'ё') || " .,!?;:'-".contains(c);
            assert!(said.to_lowercase().chars().all(known), "{text:?}: {said:?}");
            let clauses = Reader::default().clauses(&text, language);
            assert!(clauses.iter().all(|clause| clause.chars().count() <= super::MAX_CHARS), "{text:?}");
        }
    }
}

#[test]
fn an_owner_has_words_said_in_his_way() {
    let words = [("Linphone", "Линфон"), ("кофеин", "кофэин"), ("артем", "Артём")];
    let reader = Reader::new(words.map(|(word, said)| (word.to_owned(), said.to_owned())));
    let said = reader.clauses("Артем выпил кофеин и взял Linphone.", Ru);
    assert_eq!(said, ["Артём выпил кофэин и взял Линфон."]);
}
