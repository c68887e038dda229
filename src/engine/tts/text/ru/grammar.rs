//! The case that a sentence asks of a number: the word before it governs, the noun behind it shows.
//!
//! Left out: whatever asks for more than a few words on either side.

use chislo::Gender;

use super::nouns::Noun;
use crate::engine::tts::text::tokens::{Kind, Place, is_dash};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Nominative,
    Genitive,
    Dative,
    Accusative,
    Instrumental,
    Prepositional,
}

use Case::{Accusative, Dative, Genitive, Instrumental, Nominative, Prepositional};

/// What an adjective or an ordinal agrees with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    Masculine,
    Feminine,
    Neuter,
    Plural,
}

impl From<Gender> for Agreement {
    fn from(gender: Gender) -> Self {
        match gender {
            Gender::Feminine => Agreement::Feminine,
            Gender::Neuter => Agreement::Neuter,
            _ => Agreement::Masculine,
        }
    }
}

/// How a noun is counted: 1 рубль, 2 рубля, 5 рублей.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    One,
    Few,
    Many,
}

impl Count {
    pub fn of(n: i64) -> Self {
        match (n % 100, n % 10) {
            (11..=19, _) => Count::Many,
            (_, 1) => Count::One,
            (_, 2..=4) => Count::Few,
            _ => Count::Many,
        }
    }
}

/// The cases that the word before a number allows, the likeliest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Governed {
    pub cases: &'static [Case],
    /// By a preposition or a word like one, and not by a verb.
    pub firmly: bool,
}

impl Governed {
    pub const FREE: Self = Self { cases: &[], firmly: false };

    pub fn first(self) -> Case {
        self.cases.first().copied().unwrap_or(Nominative)
    }

    pub fn allows(self, case: Case) -> bool {
        self.cases.contains(&case)
    }
}

/// What governs the number at this place. Numbers in the same row («5, 6 и 7 мая»), adverbs and adjectives between
/// them are passed over.
pub fn governed(place: Place<'_>) -> Governed {
    let mut behind = 1;
    let mut passed = 0;
    while passed < 6 {
        let Some(token) = place.back(behind) else { return Governed::FREE };
        match token.kind {
            Kind::Word => {
                if let Some(found) = governor(&token.plain) {
                    return found;
                }
                let joins = matches!(token.plain.as_str(), "и" | "или" | "либо") && in_row(place, behind + 1);
                let counted = is_counted(&token.plain) && in_row(place, behind);
                if !(joins || counted || is_passed(&token.plain)) {
                    return Governed::FREE;
                }
            }
            // «с 10 до 18»: the number before belongs to its own preposition, unless both are in one row.
            Kind::Number if behind > 1 => {}
            Kind::Sign if token.text == "," && in_row(place, behind + 1) => {}
            Kind::Sign if token.text.starts_with(is_dash) && behind > 1 => {}
            Kind::Sign if behind == 1 && matches!(token.text, ">" | "<" | "≥" | "≤") => {
                return Governed { cases: &[Genitive], firmly: true };
            }
            Kind::Sign if matches!(token.text, "~" | "≈" | "(" | "№") => {}
            _ => return Governed::FREE,
        }
        behind += 1;
        passed += 1;
    }
    Governed::FREE
}

/// What the word right before governs: for a word that is no number.
pub fn governed_directly(place: Place<'_>) -> Governed {
    place.word_back(1).and_then(governor).unwrap_or(Governed::FREE)
}

/// Whether the token so far behind is a number, or a word counted by one, that shares its governor with this one.
fn in_row(place: Place<'_>, behind: usize) -> bool {
    let number = |behind: usize| place.back(behind).is_some_and(|token| token.kind == Kind::Number);
    number(behind) || (place.word_back(behind).is_some_and(is_counted) && number(behind + 1))
}

fn is_counted(word: &str) -> bool {
    word.chars().count() > 2 && Noun::of(word).is_some()
}

fn is_passed(word: &str) -> bool {
    let adverbs = [
        "примерно",
        "приблизительно",
        "почти",
        "где-то",
        "ещё",
        "еще",
        "целых",
        "ровно",
        "всего",
        "всех",
        "этих",
        "тех",
        "следующих",
        "первых",
        "последних",
        "ближайших",
        "следующие",
        "последние",
        "первые",
        "ближайшие",
        "эти",
        "все",
        "каждые",
        "каждых",
        "минимум",
        "максимум",
        "уже",
        "только",
        "именно",
        "чуть",
        "любых",
        "наших",
        "ваших",
        "чем",
    ];
    adverbs.contains(&word)
}

/// The case that follows a word.
fn governor(word: &str) -> Option<Governed> {
    let firmly = |cases| Some(Governed { cases, firmly: true });
    match word {
        "с" | "со" => firmly(&[Genitive, Instrumental, Accusative]),
        "до"
        | "от"
        | "из"
        | "у"
        | "без"
        | "для"
        | "около"
        | "после"
        | "кроме"
        | "более"
        | "менее"
        | "больше"
        | "меньше"
        | "свыше"
        | "выше"
        | "ниже"
        | "старше"
        | "младше"
        | "моложе"
        | "раньше"
        | "позже"
        | "позднее"
        | "ранее"
        | "дольше"
        | "дороже"
        | "дешевле"
        | "порядка"
        | "течение"
        | "протяжении"
        | "размере"
        | "количестве"
        | "пределах"
        | "объёме"
        | "вместо"
        | "против"
        | "среди"
        | "районе"
        | "истечении"
        | "возрасте"
        | "начиная" => firmly(&[Genitive]),
        "к" | "ко" | "благодаря" | "ближе" => firmly(&[Dative]),
        "по" => firmly(&[Accusative, Dative]),
        "в" | "во" | "на" => firmly(&[Accusative, Prepositional]),
        "за" | "под" => firmly(&[Accusative, Instrumental]),
        "через" | "спустя" | "про" => firmly(&[Accusative]),
        "о" | "об" | "при" => firmly(&[Prepositional]),
        "над" | "перед" | "между" => firmly(&[Instrumental]),
        "стоит"
        | "стоят"
        | "стоила"
        | "стоил"
        | "стоило"
        | "стоили"
        | "стоить"
        | "составляет"
        | "составит"
        | "займёт"
        | "займет"
        | "занимает"
        | "занять"
        | "длится"
        | "продлится"
        | "длиться"
        | "ждать"
        | "подождать"
        | "подождите"
        | "заплатить"
        | "заплатите"
        | "оплатить"
        | "оплатите"
        | "платить"
        | "доплатить"
        | "внести"
        | "внесите"
        | "идёт"
        | "вернём"
        | "вернем"
        | "скинем"
        | "потратите"
        | "сэкономите"
        | "получите" => Some(Governed { cases: &[Accusative], firmly: false }),
        _ => None,
    }
}

/// The case and the gender of a number before this noun; adjectives are passed over.
pub fn agreement(n: i64, governed: Governed, noun: Place<'_>) -> (Case, Gender) {
    let count = Count::of(n);
    let fits = match counted(noun, count) {
        Some(word) => Noun::of(word).map_or_else(|| guess(word, count), |noun| noun.cases_of(word, count)),
        None => Vec::new(),
    };
    let chosen = governed.cases.iter().find_map(|case| fits.iter().find(|(fit, _)| fit == case)).or(fits.first());
    chosen.copied().unwrap_or((governed.first(), Gender::Masculine))
}

/// The noun that is counted: the first word that is no adjective, or the last word at all.
pub fn counted(place: Place<'_>, count: Count) -> Option<&str> {
    let mut word = place.word(0).filter(|word| is_noun(word))?;
    for ahead in 1..4 {
        if !is_adjective(word, count) || Noun::of(word).is_some() {
            break;
        }
        match place.word(ahead) {
            Some(next) if next.chars().count() > 2 && is_russian(next) => word = next,
            _ => break,
        }
    }
    is_russian(word).then_some(word)
}

/// Not one of the little words between the nouns.
fn is_noun(word: &str) -> bool {
    let little = [
        "или",
        "либо",
        "для",
        "под",
        "при",
        "без",
        "через",
        "после",
        "перед",
        "между",
        "уже",
        "ещё",
        "вам",
        "вас",
        "нам",
        "нас",
        "она",
        "они",
        "оно",
        "это",
        "как",
        "что",
        "так",
        "нет",
        "все",
        "всё",
        "где",
        "когда",
        "если",
        "чтобы",
        "также",
        "тоже",
        "зато",
        "пока",
        "только",
        "потом",
        "затем",
        "там",
        "тут",
        "здесь",
        "утра",
        "вечера",
        "дня",
        "ночи",
        "его",
        "или",
    ];
    word.chars().count() > 2 && !little.contains(&word)
}

fn is_russian(word: &str) -> bool {
    word.starts_with(|c: char| matches!(c, 'а'..='я' | 'ё'))
}

fn is_adjective(word: &str, count: Count) -> bool {
    const ENDINGS: [&str; 24] = [
        "ый", "ний", "ский", "кий", "гий", "чий", "щий", "ший", "ая", "яя", "ое", "ее", "ых", "их", "ого", "его",
        "ому", "ему", "ым", "ыми", "ими", "ую", "юю", "ые",
    ];
    let long = word.chars().count() > 4;
    long && (ENDINGS.iter().any(|ending| word.ends_with(ending)) || (count == Count::Few && word.ends_with("ие")))
}

/// The cases that an unknown noun may be in, by its ending.
fn guess(word: &str, count: Count) -> Vec<(Case, Gender)> {
    use Gender::{Feminine, Masculine, Neuter};
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
    if count != Count::One {
        return if ends(&["ами", "ями", "ьми", "ыми", "ими"]) {
            vec![(Instrumental, Masculine)]
        } else if ends(&["ах", "ях"]) {
            vec![(Prepositional, Masculine)]
        } else if ends(&["ам", "ям", "ым", "им"]) && !ends(&["грамм", "замм"]) {
            vec![(Dative, Masculine)]
        } else if count == Count::Many || ends(&["ых", "их"]) {
            [Nominative, Accusative, Genitive, Prepositional].map(|case| (case, Masculine)).to_vec()
        } else if ends(&["ы", "и", "ые", "ие"]) {
            vec![(Nominative, Feminine), (Accusative, Feminine)]
        } else if ends(&["а", "я"]) {
            vec![(Nominative, Masculine), (Accusative, Masculine)]
        } else {
            vec![(Genitive, Masculine), (Accusative, Masculine)]
        };
    }
    if ends(&["ый", "ий"]) {
        vec![(Nominative, Masculine), (Accusative, Masculine)]
    } else if ends(&["ого", "его"]) {
        vec![(Genitive, Masculine)]
    } else if ends(&["ые", "ые"]) {
        Vec::new()
    } else if ends(&["а", "я"]) {
        vec![(Nominative, Feminine), (Genitive, Masculine)]
    } else if ends(&["у", "ю"]) {
        vec![(Accusative, Feminine), (Dative, Masculine), (Prepositional, Masculine)]
    } else if ends(&["ы", "и"]) {
        vec![(Genitive, Feminine), (Dative, Feminine), (Prepositional, Feminine)]
    } else if ends(&["о", "ие", "ье", "ее", "ое"]) {
        vec![(Nominative, Neuter), (Accusative, Neuter)]
    } else if ends(&["е"]) {
        vec![(Prepositional, Masculine), (Dative, Feminine), (Nominative, Neuter)]
    } else if ends(&["ом", "ем", "ём", "ым", "им"]) {
        vec![(Instrumental, Masculine), (Prepositional, Masculine)]
    } else if ends(&["ой", "ей", "ью"]) {
        vec![(Instrumental, Feminine)]
    } else if ends(&["сть", "знь", "дь", "вь", "чь", "щь", "шь", "жь", "ись"]) {
        vec![(Nominative, Feminine), (Accusative, Feminine)]
    } else {
        vec![(Nominative, Masculine), (Accusative, Masculine)]
    }
}
