//! Tables of sentences and how they are read, and that nothing else comes out whatever comes in.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;
use Language::{En, Ru};

fn clauses(text: &str, language: Language) -> Vec<String> {
    Reader::default().clauses(text, language).iter().map(|clause| without_stress(clause).into_owned()).collect()
}

#[test]
fn russian_sentences_are_read_as_in_the_table() {
    check_table(include_str!("../../../../tests/data/text/ru.tsv"), Ru, 400);
}

#[test]
fn english_sentences_are_read_as_in_the_table() {
    check_table(include_str!("../../../../tests/data/text/en.tsv"), En, 150);
}

/// Lines of a text, a tab and how it is read; `\n` is a line break, `#` begins a heading.
fn check_table(table: &str, language: Language, at_least: usize) {
    let rows: Vec<(&str, &str)> =
        table.lines().filter(|line| !line.starts_with("# ")).filter_map(|line| line.split_once('\t')).collect();
    let differences: Vec<String> = rows
        .iter()
        .map(|(text, expected)| (text, expected, clauses(&text.replace("\\n", "\n"), language).join(" ")))
        .filter(|(_, expected, said)| said != *expected)
        .map(|(text, expected, said)| format!("{text}\n  is to be: {expected}\n  is said:  {said}"))
        .collect();
    println!("{} sentences", rows.len());
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), rows.len(), differences.join("\n"));
    assert!(rows.len() >= at_least, "only {} sentences", rows.len());
}

#[test]
fn whatever_comes_in_only_words_and_pauses_come_out() {
    let mut rng = StdRng::seed_from_u64(7);
    let pieces = [
        "1",
        "22",
        "007",
        "1 500",
        "2026",
        "18:30",
        "9.00",
        "22.11",
        "31.12.2026",
        "99999999999999999999",
        "3,5",
        "½",
        "+7",
        "-",
        "–",
        "—",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "<",
        ">",
        "<b>",
        "</b>",
        "&",
        "&amp;",
        "&#",
        ";",
        ":",
        "/",
        "//",
        "@",
        "#",
        "№",
        "%",
        "₽",
        "$",
        "€",
        "°",
        "°C",
        "²",
        "*",
        "**",
        "_",
        "`",
        "```",
        "~",
        "=",
        "|",
        "\\",
        "\n",
        " ",
        "\u{a0}",
        "…",
        ".",
        ",",
        "!",
        "?",
        "'",
        "’",
        "«",
        "»",
        "🙂",
        "1️⃣",
        "\u{301}",
        "\u{308}",
        "\u{0}",
        "\u{200b}",
        "и",
        "с",
        "к",
        "до",
        "по",
        "в",
        "на",
        "г.",
        "д.",
        "ул.",
        "руб.",
        "тыс.",
        "мин",
        "часов",
        "мая",
        "этаж",
        "году",
        "-й",
        "-го",
        "-х",
        "х",
        "кв",
        "м",
        "II",
        "X",
        "ООО",
        "Петров",
        "И.",
        "info",
        "www",
        "ru",
        "com",
        "http",
        "https://",
        "Mr",
        "St",
        "am",
        "pm",
        "st",
        "th",
        "Nov",
        "May",
        "東京",
        "ñ",
        "ß",
        "İ",
        "ﬁ",
        "٣",
        "𝟗",
        "①",
        "Ⅳ",
        "يوم",
        "ё",
        "е\u{308}",
        "word",
        "слово",
    ];
    for round in 0..6_000 {
        let text: String = if round % 3 == 0 {
            (0..rng.random_range(0..40)).map(|_| rng.random::<char>()).collect()
        } else {
            (0..rng.random_range(0..25)).filter_map(|_| pieces.choose(&mut rng)).copied().collect()
        };
        for (language, letters) in [(Ru, 'а'..='я'), (En, 'a'..='z')] {
            for clause in Reader::default().clauses(&text, language) {
                let known = |c: char| {
                    letters.contains(&c)
                        || " .,!?;:-\u{301}".contains(c)
                        || (c == 'ё' && language == Ru)
                        || (c == '\'' && language == En)
                };
                assert!(clause.to_lowercase().chars().all(known), "{text:?} is said {clause:?}");
                assert!((1..=MAX_CHARS).contains(&clause.chars().count()), "{text:?} is said {clause:?}");
                assert!(clause.chars().any(char::is_alphabetic), "{text:?} is said {clause:?}");
            }
        }
    }
}

#[test]
fn texts_of_many_repetitions_are_read_to_their_end() {
    let long = |piece: &str| piece.repeat(20_000 / piece.len());
    let texts = [
        "{", "[", "<", "<a ", "1", "1 ", "1,", "1.", "1-", "1:", "a.", "a@", "a", "а", "а-", "(", "```", "*", "[](",
        "5 и ", "5, ", "**", "ул. ",
    ];
    for piece in texts {
        for language in [Ru, En] {
            let clauses = clauses(&long(piece), language);
            assert!(clauses.iter().all(|clause| (1..=MAX_CHARS).contains(&clause.chars().count())), "{piece:?}");
        }
    }
}

#[test]
fn the_users_dictionary_comes_first() {
    let entries = [
        ("Королев*", "Королёв"),
        ("все", "все\u{301}"),
        ("замок", "за\u{301}мок"),
        ("2ГИС", "дубль-гис"),
        ("ООО Ромашка", "фирма Ромашка"),
        ("Skype for Business", "скайп фо бизнес"),
    ];
    let entries: BTreeMap<String, String> =
        entries.iter().map(|(word, said)| ((*word).to_owned(), (*said).to_owned())).collect();
    let reader = Reader::new(&Pronunciations::from([(Ru, entries)]));
    for (text, expected) in [
        ("Передайте Королеву", "Передайте Королёву."),
        ("КОРОЛЁВА нет", "Королёва нет."),
        ("Замок закрыт, замки открыты", "за\u{301}мок закрыт, замки открыты."),
        ("Мы есть в 2ГИС.", "Мы есть в дубль-гис."),
        ("Это ООО Ромашка и Skype for Business", "Это фирма Ромашка и скайп фо бизнес."),
    ] {
        assert_eq!(reader.clauses(text, Ru).join(" "), expected, "{text}");
    }
    assert_eq!(reader.clauses("замок", En).join(" "), "zamok.", "each language has its own");
}

#[test]
fn stress_is_kept_for_voices_that_know_it() {
    let text = "за\u{301}мок";
    assert_eq!(Reader::default().clauses(text, Ru), ["за\u{301}мок."]);
    assert_eq!(clauses(text, Ru), ["замок."]);
    assert_eq!(without_stress("за\u{301}мок."), "замок.");
}

#[test]
fn text_is_cut_at_sentence_ends() {
    let text = "Добрый день. Секретарь слушает! Чем помочь?";
    assert_eq!(clauses(text, Ru), ["Добрый день.", "Секретарь слушает!", "Чем помочь?"]);
    assert!(clauses(" ... ", Ru).is_empty());
}

#[test]
fn long_first_sentence_begins_with_a_short_clause() {
    let text = "Здравствуйте, вы позвонили в компанию, которая давно работает на рынке и рада вам помочь.";
    let clauses = clauses(text, Ru);
    assert_eq!(clauses[0], "Здравствуйте, вы позвонили в компанию,");
    assert_eq!(clauses.join(" "), text);
}

#[test]
fn no_clause_is_too_long_and_nothing_is_lost() {
    for text in ["слово ".repeat(200), "раз, ".repeat(300), "а".repeat(1_000), "длинное слово, ".repeat(90)]
    {
        let clauses = clauses(&text, Ru);
        assert!(clauses.iter().all(|c| (1..=MAX_CHARS).contains(&c.chars().count())));
        let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
        assert_eq!(clauses.iter().map(|c| letters(c)).sum::<usize>(), letters(&text));
    }
}
