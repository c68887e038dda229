//! Words of recognised speech, compared tolerantly: case, ё and е, endings and small recognition errors do not count.
//!
//! Left out: a real morphology. Cutting endings is enough to meet «адрес» in «адреса» and "opening" in "open".

/// A word as it was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Lower case, ё as е, no punctuation around it.
    pub plain: String,
    /// As it was written, no punctuation around it.
    pub written: String,
    /// Punctuation stands behind it, so that a phrase ends here.
    pub ends_phrase: bool,
}

impl Word {
    pub fn is_capitalised(&self) -> bool {
        self.written.chars().next().is_some_and(char::is_uppercase)
    }
}

/// The words of `text`. A hyphen inside a word belongs to it, a «+» in front of a digit too.
pub fn split(text: &str) -> Vec<Word> {
    text.split_whitespace().filter_map(word).collect()
}

fn word(raw: &str) -> Option<Word> {
    let kept = |c: char| c.is_alphanumeric() || c == '+';
    let start = raw.find(kept)?;
    let end = raw.rfind(kept).and_then(|i| Some(i + raw.get(i..)?.chars().next()?.len_utf8()))?;
    let written = raw.get(start..end)?.to_owned();
    let ends_phrase = raw.get(end..)?.contains(['.', ',', '!', '?', ';', ':', '…', '—']);
    Some(Word { plain: plain(&written), written, ends_phrase })
}

/// Lower case, ё as е, the curly apostrophe as the straight one.
pub fn plain(text: &str) -> String {
    text.to_lowercase().replace('ё', "е").replace('’', "'")
}

/// `words` as one line of plain words, a space between them and at both ends, for a search of whole phrases.
pub fn line(words: &[Word]) -> String {
    let mut line = String::from(" ");
    for word in words {
        line.push_str(&word.plain);
        line.push(' ');
    }
    line
}

/// Whether `line` (see [`line`]) has one of these phrases as whole words.
/// A `*` at the end of a phrase stands for any ending of its last word.
pub fn has_any(line: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| match phrase.strip_suffix('*') {
        Some(stem) => line.contains(&format!(" {stem}")),
        None => line.contains(&format!(" {phrase} ")),
    })
}

/// Whether `list` of words with spaces between them has this word.
pub fn is_listed(word: &str, list: &str) -> bool {
    list.split(' ').any(|listed| listed == word && !word.is_empty())
}

/// Whether two plain words are the same but for endings and, in longer words, a wrong letter or two.
pub fn alike(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (stem(a), stem(b));
    if a == b {
        return true;
    }
    let shorter = a.chars().count().min(b.chars().count());
    let allowed = match shorter {
        0..5 => return false,
        5..9 => 1,
        _ => 2,
    };
    // The first letter is seldom misheard, and holding to it keeps «работа» from «забота».
    a.chars().next() == b.chars().next() && distance(a, b) <= allowed
}

/// Whether two words differ by one letter at most, and not in the first.
pub fn within_one(a: &str, b: &str) -> bool {
    a.chars().next() == b.chars().next() && distance(a, b) <= 1
}

/// Endings that are cut, the longest first: Russian adjectives, verbs and nouns, then English.
const ENDINGS: &[&str] = &[
    "ившись",
    "ываете",
    "ываем",
    "иваете",
    "ировать",
    "аетесь",
    "итесь",
    "аете",
    "аешь",
    "ается",
    "ится",
    "иться",
    "аться",
    "ятся",
    "утся",
    "ются",
    "ывать",
    "ивать",
    "ого",
    "его",
    "ому",
    "ему",
    "ыми",
    "ими",
    "ами",
    "ями",
    "ете",
    "ешь",
    "ить",
    "ать",
    "ять",
    "еть",
    "ает",
    "яет",
    "ают",
    "яют",
    "ала",
    "али",
    "ила",
    "или",
    "ите",
    "ем",
    "ом",
    "ах",
    "ях",
    "ам",
    "ям",
    "ой",
    "ей",
    "ий",
    "ый",
    "ая",
    "яя",
    "ое",
    "ее",
    "ые",
    "ие",
    "их",
    "ых",
    "им",
    "ым",
    "ою",
    "ую",
    "юю",
    "ов",
    "ев",
    "ия",
    "ии",
    "ию",
    "ет",
    "ит",
    "ут",
    "ют",
    "ат",
    "ят",
    "ал",
    "ил",
    "ся",
    "а",
    "я",
    "о",
    "е",
    "и",
    "ы",
    "у",
    "ю",
    "ь",
    "й",
    "ing",
    "'s",
    "ed",
    "es",
    "s",
    "e",
];

/// `word` without its ending: at least four letters are left, three when the ending is one letter.
pub fn stem(word: &str) -> &str {
    for ending in ENDINGS {
        if let Some(rest) = word.strip_suffix(ending) {
            let least = if ending.chars().count() == 1 { 3 } else { 4 };
            if rest.chars().count() >= least {
                return rest;
            }
        }
    }
    word
}

/// The Levenshtein distance in letters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let up = *cell;
            let here = if ca == *cb { diagonal } else { 1 + diagonal.min(up).min(left) };
            diagonal = up;
            left = here;
            *cell = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_and_small_errors_do_not_count() {
        for (a, b) in [
            ("адрес", "адреса"),
            ("цена", "цены"),
            ("работаете", "работает"),
            ("работаете", "работать"),
            ("находитесь", "находится"),
            ("доставка", "доставку"),
            ("доставка", "даставка"),
            ("прайс-лист", "прайслист"),
            ("parking", "park"),
            ("prices", "price"),
            ("delivery", "delivary"),
        ] {
            assert!(alike(a, b), "{a} {b}");
        }
    }

    #[test]
    fn other_words_are_not_alike() {
        for (a, b) in [("день", "деньги"), ("работа", "забота"), ("дом", "домой"), ("park", "part"), ("стоит", "сто")]
        {
            assert!(!alike(a, b), "{a} {b}");
        }
    }

    #[test]
    fn distance_counts_insertions_deletions_and_changes() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("кот", "кит", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn words_lose_their_punctuation_but_not_where_it_stood() {
        let words = split("«Ёлка», сказал — 8-916… +7!");
        let plain: Vec<_> = words.iter().map(|w| w.plain.as_str()).collect();
        assert_eq!(plain, ["елка", "сказал", "8-916", "+7"]);
        assert_eq!(words.iter().map(|w| w.ends_phrase).collect::<Vec<_>>(), [true, false, true, true]);
    }
}
