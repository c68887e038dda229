//! Whether the words so far end in the middle of something: a telephone number, an address, a spelled name, a sentence.
//!
//! Case, ё and е, and most punctuation do not count: recognisers put a full stop behind half a sentence. A wrong yes costs
//! a longer silence, a wrong no cuts the caller off, so the lists lean to yes.
//!
//! Left out: grammar. «Я хочу записаться завтра» and a caller who then adds "at ten" are for the model and the silence.

use crate::engine::Language;
use crate::engine::dialog::front_desk::numbers;
use crate::engine::dialog::front_desk::words::{self, Word, has_any, is_listed};

use super::backchannel::is_hum;

/// What the words stopped in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unfinished {
    /// A telephone number with too few digits.
    Number,
    /// A street without a house, or «квартира» without its number.
    Address,
    /// Letters or names for letters; nobody knows how many follow.
    Spelling,
    /// A conjunction, preposition or another word that wants one after it.
    Conjunction,
    /// «Э-э», "um", «сейчас посмотрю».
    Hesitation,
}

/// What the words stopped in the middle of; `None` if they may be all. `text` is the turn so far as it was recognised,
/// `dictating` says that a telephone number was asked for.
pub fn unfinished(text: &str, language: Language, dictating: bool) -> Option<Unfinished> {
    let words = words::split(text);
    let end =
        Ending { line: words::line(&words), words: &words, language, is_question: text.trim_end().ends_with('?') };
    if end.is_number(dictating) {
        return Some(Unfinished::Number);
    }
    if end.is_question {
        return None;
    }
    if end.is_spelling() {
        return Some(Unfinished::Spelling);
    }
    if end.is_address() {
        return Some(Unfinished::Address);
    }
    if end.is_hesitation() {
        return Some(Unfinished::Hesitation);
    }
    end.is_conjunction().then_some(Unfinished::Conjunction)
}

/// A turn so far.
struct Ending<'a> {
    words: &'a [Word],
    line: String,
    language: Language,
    is_question: bool,
}

impl Ending<'_> {
    /// The plain word that stands `back` words before the last one; empty before the first.
    fn word(&self, back: usize) -> &str {
        let at = self.words.len().checked_sub(back + 1);
        at.and_then(|at| self.words.get(at)).map_or("", |word| word.plain.as_str())
    }

    fn pick<T>(&self, ru: T, en: T) -> T {
        match self.language {
            Language::Ru => ru,
            Language::En => en,
        }
    }

    fn has(&self, ru: &[&str], en: &[&str]) -> bool {
        has_any(&self.line, self.pick(ru, en))
    }

    fn ends_with(&self, ru: &[&str], en: &[&str]) -> bool {
        self.pick(ru, en).iter().any(|phrase| self.line.ends_with(&format!(" {phrase} ")))
    }

    /// A question that a recogniser gave no question mark.
    fn asks(&self) -> bool {
        self.has(
            &["где", "как", "какой", "какая", "какие", "куда", "когда", "сколько", "кто", "чей", "что за", "есть ли"],
            &[
                "what", "what's", "where", "where's", "which", "who", "who's", "how", "when", "is there", "do you",
                "can you",
            ],
        )
    }

    fn is_number(&self, dictating: bool) -> bool {
        let announced = self.ends_with(
            &[
                "мой номер",
                "мой телефон",
                "мой номер телефона",
                "запишите номер",
                "записывайте номер",
                "по номеру",
                "на номер",
            ],
            &[
                "my number is",
                "my phone number is",
                "the number is",
                "my cell is",
                "my number",
                "call me at",
                "reach me at",
            ],
        );
        if announced {
            return !self.is_question;
        }
        let Some((digits, before)) = numbers::at_end(self.words, self.language) else { return false };
        let count = numbers::count(&digits);
        // Eight or nine digits are more than a local number and less than any other.
        if numbers::is_whole(&digits, self.language) && !matches!(count, 6 | 8 | 9) {
            return false;
        }
        let dialled =
            digits.starts_with('+') || self.language == Language::Ru && digits.starts_with("89") && count >= 4;
        dictating || dialled || count >= 3 && self.talks_of_a_telephone() && !self.counts_something_else(before)
    }

    fn talks_of_a_telephone(&self) -> bool {
        self.has(
            &["телефон*", "мой номер", "на номер", "по номеру", "мобильн*", "сотов*", "перезвон*", "позвон*", "набер*"],
            &[
                "phone*",
                "telephone*",
                "my number",
                "the number is",
                "cell",
                "mobile",
                "call me",
                "call back",
                "reach me",
            ],
        )
    }

    /// A room, an order or a time of day, by the word before the number.
    fn counts_something_else(&self, before: usize) -> bool {
        let noun = before.checked_sub(1).and_then(|at| self.words.get(at)).map_or("", |word| word.plain.as_str());
        let nouns = self.pick(
            &["квартир", "дом", "комнат", "кабинет", "заказ", "офис", "добавочн", "договор", "палат"][..],
            &["apartment", "flat", "room", "order", "extension", "suite", "invoice", "street"],
        );
        let times = self.pick("в во к до после с со через около на", "at after before by until till around about in");
        let words = self.words.len() - before;
        // «На номер восемь…» is no time, and "at two one two" has too many words for one.
        nouns.iter().any(|start| noun.starts_with(start)) || is_listed(noun, times) && words <= 2
    }

    fn is_spelling(&self) -> bool {
        let triggers = self.pick(
            &["по буквам", "по букве", "по слогам", "диктую", "пишется"][..],
            &["spell*", "letter by letter", "double u"],
        );
        let letters: Vec<_> = self.words.iter().rev().map_while(|word| self.letters_of(word)).collect();
        let in_a_row = letters.iter().map(|word| word.chars().count()).sum::<usize>();
        let trigger = has_any(&self.line, triggers);
        let as_in = self.pick(&["как"][..], &["as in", "for", "like"]).iter().any(|link| {
            let after: Vec<_> = link.split(' ').collect();
            let letter = self.word(after.len() + 1);
            let linked = after.iter().rev().enumerate().all(|(n, word)| self.word(n + 1) == *word);
            linked && letter.chars().count() == 1 && letter.chars().all(char::is_alphabetic)
        });
        let only_trigger = &["spelled", "spell it", "letter by letter"];
        if as_in || self.ends_with(&["по буквам", "диктую", "пишется"], only_trigger) && !self.asks()
        {
            return true;
        }
        let names = self.words.iter().rev().take_while(|word| is_name_for_a_letter(word)).count();
        if (trigger && in_a_row + names == 0) || (!trigger && in_a_row < 2 && names < 3) {
            return false;
        }
        // Spelled to its end what was said whole before.
        let spelled: String = match in_a_row {
            0 => self.words.iter().rev().take(names).filter_map(|word| word.plain.chars().next()).collect(),
            _ => letters.iter().flat_map(|word| word.chars().rev()).collect(),
        };
        let spelled: String = spelled.chars().rev().collect();
        !self.words.iter().any(|word| word.plain == spelled && spelled.chars().count() > 1)
    }

    /// The letters of a word that is one letter or several with hyphens, as in «И-В-А-Н», but not «э-э».
    fn letters_of(&self, word: &Word) -> Option<String> {
        let single = |piece: &str| piece.chars().count() == 1 && piece.chars().all(char::is_alphabetic);
        let is_word = is_listed(&word.plain, self.pick("и а в с к у о я", "a i")) && !word.is_capitalised();
        let letters = word.plain.replace('-', "");
        let drawn = letters.chars().count() > 1 && letters.chars().all(|c| letters.starts_with(c));
        (word.plain.split('-').all(single) && !is_word && !drawn).then_some(letters)
    }

    fn is_address(&self) -> bool {
        let context = self.has(
            &["адрес*", "живу", "живем", "доставк*", "доставить", "привезти", "привезите", "приехать", "приезжайте"],
            &["address", "live at", "live on", "living at", "located at", "deliver to", "delivered to"],
        );
        let (last, before) = (self.word(0), self.word(1));
        let number_before = self.words.iter().rev().skip(1).any(|word| numbers::is_number_word(word, self.language));
        match self.language {
            Language::Ru => {
                let part = "дом квартира корпус строение подъезд кв номер";
                if is_listed(last, part) && (context || self.street().is_some() || number_before && last != "дом") {
                    return !self.asks();
                }
                if self.ends_with(&["мой адрес", "наш адрес", "адрес такой", "адрес доставки", "по адресу"], &[])
                {
                    return !self.asks();
                }
                let Some(street) = self.street() else { return false };
                let after = self.words.get(street + 1..).unwrap_or_default();
                let numbered = after.iter().any(|word| is_numbered(word, self.language));
                let near = [street.checked_sub(1).filter(|&at| at > 0), Some(street + 1)].into_iter().flatten();
                let named = near.filter_map(|at| self.words.get(at)).any(Word::is_capitalised);
                let bare = self.words.len() <= 4 && !self.words.get(street).is_none_or(|w| w.plain.ends_with('е'));
                after.len() <= 3 && !numbered && (named || context || bare) && !self.asks()
            }
            Language::En => {
                let part = is_listed(last, "apartment apt flat unit suite house") && (context || number_before);
                let opened = self.ends_with(&[], &["address is", "live at", "living at", "located at", "deliver to"]);
                let number = numbers::at_end(self.words, Language::En).is_some_and(|(_, at)| {
                    let opening = words::line(self.words.get(..at).unwrap_or_default());
                    ["address is", "live at", "living at", "located at", "deliver to", "delivered to"]
                        .iter()
                        .any(|phrase| opening.ends_with(&format!(" {phrase} ")))
                });
                (part || opened || number) && !self.asks() && before != "which"
            }
        }
    }

    /// Where the last word for a kind of street stands.
    fn street(&self) -> Option<usize> {
        const STREETS: [&str; 9] =
            ["улиц", "проспект", "переулок", "переулк", "шоссе", "бульвар", "площад", "набережн", "проезд"];
        self.words.iter().rposition(|w| w.plain == "ул" || STREETS.iter().any(|street| w.plain.starts_with(street)))
    }

    fn is_hesitation(&self) -> bool {
        let last = self.word(0);
        let alone = self.words.len() == 1;
        // By itself a hum says yes.
        if last.chars().count() > 1 && is_hum(last) && !self.words.iter().all(|word| is_hum(&word.plain)) {
            return true;
        }
        let fillers = self.pick(
            "э ээ эээ э-э э-э-э эм э-м ну нуу типа короче значит секунду секундочку секундку минутку минуточку щас",
            "um uh er erm umm uhm well hmm",
        );
        let phrases_ru = [
            "как бы",
            "как сказать",
            "как его",
            "как ее",
            "это самое",
            "то есть",
            "в общем",
            "сейчас скажу",
            "сейчас посмотрю",
            "сейчас найду",
            "сейчас вспомню",
            "дайте подумать",
            "дайте вспомнить",
            "одну минуту",
            "подождите минуту",
        ];
        let phrases_en = [
            "let me see",
            "let me think",
            "let me check",
            "let me look",
            "hold on",
            "hang on",
            "one moment",
            "one second",
            "just a second",
            "just a moment",
            "give me a second",
            "you know",
            "i mean",
            "sort of",
            "kind of",
        ];
        is_listed(last, fillers)
            || self.ends_with(&phrases_ru, &phrases_en)
            || alone && is_listed(last, "сейчас")
            || self.ends_with(&["да сейчас", "так сейчас"], &[])
    }

    fn is_conjunction(&self) -> bool {
        match self.language {
            Language::Ru => self.is_russian_conjunction(),
            Language::En => self.is_english_conjunction(),
        }
    }

    fn is_russian_conjunction(&self) -> bool {
        let (last, before) = (self.word(0), self.word(1));
        let many = self.words.len() >= 2;
        let always = "и но или либо если чтобы чтоб если потому поэтому хотя зато однако причем притом пусть будто \
                      в во на с со к ко у об обо от из до для за по под над при про через без между перед около кроме ради \
                      вместо насчет относительно согласно благодаря из-за из-под не ни бы который которая которое которые \
                      которого которой которую которым";
        if is_listed(last, always) {
            // «Ни за что», «да и», «или» alone ask for more as well; «хорошо бы» and «я за» do not.
            return !self.ends_with(&["хорошо бы", "неплохо бы", "я за", "мы за", "я не против", "еще бы"], &[]);
        }
        match last {
            // Alone they are «что вы сказали?».
            "а" | "о" | "я" | "мы" => many && !is_listed(before, "и это как"),
            "что" => self.words.len() >= 3 && !is_listed(before, "и ну а вы ты это за ни не кое") && !self.asks(),
            "как" => many && is_listed(before, "так вот такой такая"),
            "узнать" | "спросить" | "уточнить" => {
                is_listed(before, "хотел хотела хотели хочу бы")
            }
            "после" => many && !is_listed(before, "чуть потом сразу"),
            _ => {
                self.ends_with(
                    &[
                        "меня зовут",
                        "мое имя",
                        "моя фамилия",
                        "я хотел",
                        "я хотела",
                        "хотелось бы",
                        "мне нужен",
                        "мне нужна",
                        "мне нужно",
                        "дело в том",
                        "по поводу",
                        "по вопросу",
                        "в связи",
                        "а также",
                        "то есть",
                        "вопрос такой",
                        "такой вопрос",
                        "так как",
                        "передайте ему",
                        "передайте ей",
                        "передайте",
                        "это насчет",
                    ],
                    &[],
                ) || self.is_bare_request()
            }
        }
    }

    /// «Здравствуйте, подскажите, пожалуйста» and nothing yet.
    fn is_bare_request(&self) -> bool {
        let polite =
            "здравствуйте добрый день вечер утро алло девушка извините простите да скажите подскажите пожалуйста а";
        self.words.iter().all(|word| is_listed(&word.plain, polite)) && self.has(&["скажите", "подскажите"], &[])
    }

    fn is_english_conjunction(&self) -> bool {
        let (last, before) = (self.word(0), self.word(1));
        let many = self.words.len() >= 2;
        // "What is it about", "who should I talk to": the word before which it belongs stands in front.
        let stranded = self.asks();
        let negated = self.has(&[], &["don't", "didn't", "doesn't", "not"]);
        match last {
            "and" | "or" | "but" | "because" | "cause" | "'cause" | "if" | "unless" | "although" | "than" | "the"
            | "a" | "an" | "my" | "your" | "our" | "his" | "their" | "whether" | "regarding" | "since" | "without"
            | "between" | "i'm" | "i'd" | "i'll" | "we're" | "it's" | "there's" | "that's" | "into" | "during" => true,
            "i" | "we" => many,
            "to" => many && !stranded && !negated && !is_listed(before, "love talking"),
            "for" | "of" | "from" | "with" | "at" | "about" | "as" => many && !stranded && before != "it's",
            "in" | "on" | "by" => {
                let verbs = "come coming came log logged sign drop dropped call check hold hang go going move later put turn \
                             fill stop stopped moved moving get be is";
                many && !stranded && !is_listed(before, verbs)
            }
            "so" => !is_listed(before, "think hope guess believe suppose said even or"),
            "that" => is_listed(before, "so is say said sure hope told"),
            "is" | "are" | "was" => {
                self.words.len() >= 3 && !stranded && !is_listed(before, "it he she that this there yes they here i we")
            }
            _ => self.ends_with(
                &[],
                &[
                    "i would like",
                    "i'd like",
                    "i want",
                    "i was wondering",
                    "want to know",
                    "wanted to know",
                    "like to know",
                    "want to ask",
                    "wanted to ask",
                    "like to ask",
                    "calling because",
                    "tell him",
                    "tell her",
                ],
            ),
        }
    }
}

/// «12», «пять», «5а», «12/3».
fn is_numbered(word: &Word, language: Language) -> bool {
    word.plain.contains(|c: char| c.is_ascii_digit()) || numbers::is_number_word(word, language)
}

fn is_name_for_a_letter(word: &Word) -> bool {
    let names = "анна антон алексей борис василий виктор григорий галина дмитрий елена евгений женя жанна зинаида зоя иван \
                 константин кирилл леонид людмила михаил мария николай ольга олег павел петр роман семен сергей татьяна \
                 ульяна федор харитон цапля человек шура щука эхо эмма юрий яков яна мягкий знак твердый краткий \
                 alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec \
                 romeo sierra tango uniform victor whiskey x-ray yankee zulu";
    is_listed(&word.plain, names)
}

#[cfg(test)]
mod tests;
