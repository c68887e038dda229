//! Word error rate: how far a transcript is from what was said.

/// Substituted, missing and extra words, divided by the words of `said`. Without case, punctuation and ё.
pub fn wer(said: &str, heard: &str) -> f64 {
    let (said, heard) = (words(said), words(heard));
    if said.is_empty() {
        return heard.len() as f64;
    }
    // Levenshtein distance; `row[n]` is that of the words so far from the first n heard.
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, other) in heard.iter().enumerate() {
            let substituted = diagonal + usize::from(word != other);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[heard.len()] as f64 / said.len() as f64
}

/// The same with every digit a word of its own: anybody groups the digits of a number as he likes.
pub fn wer_by_digits(said: &str, heard: &str) -> f64 {
    wer(&digits_apart(said), &digits_apart(heard))
}

fn digits_apart(text: &str) -> String {
    let is_number = |word: &str| word.chars().all(|c| c.is_ascii_digit());
    let apart = |word: &str| word.chars().map(String::from).collect::<Vec<_>>().join(" ");
    let words = words(text).into_iter().map(|word| if is_number(&word) { apart(&word) } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Numbers in words, each with its other forms: a recogniser may write 1 for one.
const NUMBERS: [&str; 11] = [
    "zero ноль",
    "one один одна",
    "two два две",
    "three три",
    "four четыре",
    "five пять",
    "six шесть",
    "seven семь",
    "eight восемь",
    "nine девять",
    "ten десять",
];

/// The words of a text as they are compared.
pub fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('ё', "е");
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
    let as_digits = |word: &str| NUMBERS.iter().position(|forms| forms.split(' ').any(|form| form == word));
    let word = |word: &str| as_digits(word).map_or_else(|| word.to_owned(), |number| number.to_string());
    words.filter(|word| !word.is_empty()).map(word).collect()
}

#[test]
fn equal_texts_have_no_errors() {
    assert_eq!(wer("Ещё раз, пожалуйста!", "еще раз пожалуйста"), 0.0);
    assert_eq!(wer("", ""), 0.0);
    assert_eq!(wer("Нажмите одну, две; ten", "нажмите одну 2 10"), 0.0);
}

#[test]
fn substituted_missing_and_extra_words_count_alike() {
    assert_eq!(wer("one two three four", "one too three four"), 0.25);
    assert_eq!(wer("one two three four", "one three four"), 0.25);
    assert_eq!(wer("one two three four", "one two and three four"), 0.25);
    assert_eq!(wer("one two three four", ""), 1.0);
    assert_eq!(wer("one", "two three four"), 3.0);
    assert_eq!(wer("a b c d e f", "b c d e f a"), 2.0 / 6.0);
}

#[test]
fn digits_count_however_they_are_grouped() {
    assert_eq!(wer_by_digits("По номеру 8 916 123", "по номеру восемь 91-61 2-3"), 0.0);
    assert_eq!(wer_by_digits("Номер 8 916", "номер 8966"), 0.2);
    assert_eq!(wer_by_digits("Номер 8 916", "916"), 0.4);
}
