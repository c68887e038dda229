//! A stream of text cut into what a voice can speak: whole sentences, but the first clause as early as it makes sense.
//! Markdown and emoji, which a model writes in spite of its instructions, are left out of them.
//!
//! Left out: abbreviations beyond a short list; a wrong cut is only a pause.

/// A first clause this long is spoken at its comma already, in characters.
const EARLY_CLAUSE: usize = 40;
/// A sentence without an end is cut at a comma or a space here, in characters.
const LONGEST: usize = 240;

/// What may stand between a full stop and the space behind it.
const CLOSING: [char; 6] = ['»', '"', ')', '*', '_', '`'];

/// Collects text and gives out sentences.
#[derive(Debug, Default)]
pub struct Sentences {
    waiting: String,
    started: bool,
}

impl Sentences {
    pub fn push(&mut self, text: &str) -> Vec<String> {
        self.waiting.push_str(text);
        let mut whole = Vec::new();
        while let Some(end) = self.next_end() {
            let rest = self.waiting.split_off(end);
            let sentence = speakable(&std::mem::replace(&mut self.waiting, rest));
            if !sentence.is_empty() {
                self.started = true;
                whole.push(sentence);
            }
        }
        whole
    }

    /// Whether a sentence was given out.
    pub fn has_begun(&self) -> bool {
        self.started
    }

    /// Drops what has not become a sentence.
    pub fn forget_rest(&mut self) {
        self.waiting.clear();
    }

    /// What is left when the text has ended.
    pub fn finish(self) -> Option<String> {
        Some(speakable(&self.waiting)).filter(|s| !s.is_empty())
    }

    /// The byte where the first sentence ends, if it is whole.
    fn next_end(&self) -> Option<usize> {
        let mut count = 0;
        let mut last_break = None;
        let mut chars = self.waiting.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            count += 1;
            let end = at + c.len_utf8();
            if c == '\n' {
                return Some(end);
            }
            let followed_by_space = chars.peek().is_some_and(|(_, next)| next.is_whitespace());
            if followed_by_space {
                let before = self.waiting.get(..at).unwrap_or_default();
                match c {
                    '!' | '?' | '…' => return Some(end),
                    '.' if !is_abbreviation(before) => return Some(end),
                    c if CLOSING.contains(&c) && before.trim_end_matches(CLOSING).ends_with(['.', '!', '?', '…']) => {
                        return Some(end);
                    }
                    ',' | ';' | ':' | '—' if !self.started && count > EARLY_CLAUSE => return Some(end),
                    ',' | ';' | ':' | '—' => last_break = Some(end),
                    _ => {}
                }
            }
            if count >= LONGEST {
                return last_break.or_else(|| self.waiting.get(..end)?.rfind(' ')).or(Some(end)).filter(|e| *e > 0);
            }
        }
        None
    }
}

/// A whole text in sentences.
pub fn split(text: &str) -> Vec<String> {
    let mut sentences = Sentences { waiting: String::new(), started: true };
    let mut whole = sentences.push(text);
    whole.extend(sentences.finish());
    whole
}

/// Whether a full stop after `before` ends a word and no sentence: «ул.», "Dr.", initials, the number of a list.
fn is_abbreviation(before: &str) -> bool {
    const KNOWN: &[&str] = &[
        "г",
        "ул",
        "д",
        "кв",
        "корп",
        "стр",
        "оф",
        "тел",
        "доб",
        "т",
        "е",
        "к",
        "п",
        "руб",
        "им",
        "обл",
        "пр",
        "просп",
        "пер",
        "эт",
        "mr",
        "mrs",
        "ms",
        "dr",
        "st",
        "ave",
        "no",
        "vs",
        "e.g",
        "i.e",
        "a.m",
        "p.m",
        "т.е",
        "т.к",
        "т.д",
        "т.п",
    ];
    let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
    if !line.is_empty() && line.chars().all(|c| c.is_ascii_digit()) {
        return true;
    }
    let word = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '«' | '"')).next().unwrap_or_default();
    let mut letters = word.chars();
    let initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    initial || KNOWN.contains(&word.to_lowercase().as_str())
}

/// `text` without markdown, emoji and line breaks; empty if no letter or digit is left.
pub fn speakable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let line = unlisted(line.trim());
        out.push(' ');
        out.push_str(&unlinked(line));
    }
    let kept: String =
        out.chars().filter(|c| !matches!(c, '*' | '`' | '#' | '~' | '|' | '_') && !is_emoji(*c)).collect();
    let mut text = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    for (apart, joined) in [(" !", "!"), (" ?", "?"), (" .", "."), (" ,", ",")] {
        text = text.replace(apart, joined);
    }
    if text.contains(char::is_alphanumeric) { text } else { String::new() }
}

/// Without the mark of a list, a heading or a quotation in front.
fn unlisted(line: &str) -> &str {
    let line = line.trim_start_matches(['#', '>', ' ']);
    for bullet in ["- ", "* ", "• ", "– ", "— "] {
        if let Some(rest) = line.strip_prefix(bullet) {
            return rest;
        }
    }
    match line.split_once(". ") {
        Some((number, rest))
            if !number.is_empty() && number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            rest
        }
        _ => line,
    }
}

/// `[text](address)` as `text`.
fn unlinked(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(text, tail)| Some((text, tail.split_once(')')?.1)));
        out.push_str(before);
        match link {
            Some((text, tail)) => {
                out.push_str(text);
                rest = tail;
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

/// Pictographs, arrows, dingbats, the joiners and variation selectors between them.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1F000}'..='\u{1FAFF}' | '\u{2190}'..='\u{21FF}' | '\u{2600}'..='\u{27BF}' | '\u{2B00}'..='\u{2BFF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{200D}' | '\u{20E3}' | '\u{E0020}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same text in pieces of every size gives the same sentences.
    fn cut(text: &str) -> Vec<String> {
        let by = |size: usize| {
            let chars: Vec<char> = text.chars().collect();
            let mut sentences = Sentences::default();
            let mut out: Vec<String> = Vec::new();
            for piece in chars.chunks(size) {
                out.extend(sentences.push(&piece.iter().collect::<String>()));
            }
            out.extend(sentences.finish());
            out
        };
        let whole = by(text.len().max(1));
        for size in 1..12 {
            assert_eq!(by(size), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn text_is_cut_at_sentence_ends() {
        for (text, expected) in [
            ("Да. Мы открыты! Чем помочь?", vec!["Да.", "Мы открыты!", "Чем помочь?"]),
            ("Мы на ул. Садовой, д. 5, вход с А. С. Пушкина.", vec!["Мы на ул. Садовой, д. 5, вход с А. С. Пушкина."]),
            ("Цена 3.5 рубля. Ждём…", vec!["Цена 3.5 рубля.", "Ждём…"]),
            ("Dr. Smith is in. Call 8 a.m. tomorrow.", vec!["Dr. Smith is in.", "Call 8 a.m. tomorrow."]),
            ("Он сказал: «Да.» И ушёл.", vec!["Он сказал: «Да.»", "И ушёл."]),
            ("без конца", vec!["без конца"]),
            ("", vec![]),
            (" … ", vec![]),
        ] {
            assert_eq!(cut(text), expected);
        }
    }

    #[test]
    fn only_the_first_clause_is_spoken_early() {
        let text = "Конечно, я с удовольствием подскажу вам расписание, мы работаем каждый будний день недели, с девяти, до шести.";
        assert_eq!(
            cut(text),
            [
                "Конечно, я с удовольствием подскажу вам расписание,",
                "мы работаем каждый будний день недели, с девяти, до шести."
            ]
        );
    }

    #[test]
    fn a_sentence_without_end_is_cut() {
        let cut = cut(&"слово ".repeat(200));
        assert!(cut.iter().all(|s| s.chars().count() <= LONGEST), "{cut:?}");
        assert_eq!(cut.join(" ").split(' ').count(), 200);
        let cut = self::cut(&"ж".repeat(1_000));
        assert_eq!(cut.concat().chars().count(), 1_000);
    }

    #[test]
    fn markdown_and_emoji_are_not_spoken() {
        for (text, expected) in [
            ("**Да**, *конечно* 😊!", vec!["Да, конечно!"]),
            ("**Конечно.** Мы _открыты._ Ждём", vec!["Конечно.", "Мы открыты.", "Ждём"]),
            (
                "# Часы\n- будни: 9–18\n- суббота\n1. первое\n2. второе",
                vec!["Часы", "будни: 9–18", "суббота", "первое", "второе"],
            ),
            ("Вот [сайт](https://example.org/a_b) или `код`.", vec!["Вот сайт или код."]),
            ("👍🏽", vec![]),
        ] {
            let spoken: Vec<String> = cut(text);
            assert_eq!(spoken, expected);
        }
    }
}
