//! The nouns that are counted most on the telephone, in all their forms.

use chislo::Gender::{self, Feminine as F, Masculine as M, Neuter as N};

use super::grammar::{Case, Count};

/// A stem and its endings: singular nominative, genitive, dative, accusative, instrumental, prepositional, then the
/// plural without the accusative, which is that of things. `-` is no ending.
#[derive(Debug)]
pub struct Noun {
    stem: &'static str,
    pub gender: Gender,
    endings: &'static str,
    /// Whether such things have numbers: «на 5 этаже» is the fifth.
    pub numbered: bool,
}

const fn noun(stem: &'static str, gender: Gender, endings: &'static str) -> Noun {
    Noun { stem, gender, endings, numbered: false }
}

const fn numbered(stem: &'static str, gender: Gender, endings: &'static str) -> Noun {
    Noun { stem, gender, endings, numbered: true }
}

/// «процент», «метр».
const HARD: &str = "- а у - ом е ы ов ам ами ах";
/// «подъезд» and others whose last consonant asks for и.
const VELAR: &str = "- а у - ом е и ов ам ами ах";
/// «минута».
const A: &str = "а ы е у ой е ы - ам ами ах";
/// «встреча».
const HUSH_A: &str = "а и е у ей е и - ам ами ах";
/// «очередь».
const SOFT_F: &str = "ь и и ь ью и и ей ям ями ях";
/// «отделение».
const IE: &str = "ие ия ию ие ием ии ия ий иям иями иях";
/// «линия».
const IA: &str = "ия ии ии ию ией ии ии ий иям иями иях";

static NOUNS: &[Noun] = &[
    noun("час", M, HARD),
    noun("минут", F, A),
    noun("секунд", F, A),
    noun("д", M, "ень ня ню ень нём не ни ней ням нями нях"),
    noun("сут", F, "ки ок кам ки ками ках ки ок кам ками ках"),
    noun("недел", F, "я и е ю ей е и ь ям ями ях"),
    noun("месяц", M, "- а у - ем е ы ев ам ами ах"),
    noun("полугоди", N, "е я ю е ем и я й ям ями ях"),
    noun("рубл", M, "ь я ю ь ём е и ей ям ями ях"),
    noun("копе", F, "йка йки йке йку йкой йке йки ек йкам йками йках"),
    noun("доллар", M, HARD),
    noun("евро", M, "- - - - - - - - - - -"),
    noun("фунт", M, HARD),
    noun("юан", M, "ь я ю ь ем е и ей ям ями ях"),
    noun("тенге", M, "- - - - - - - - - - -"),
    noun("тысяч", F, HUSH_A),
    noun("миллион", M, HARD),
    noun("миллиард", M, HARD),
    noun("триллион", M, HARD),
    noun("процент", M, HARD),
    noun("человек", M, "- а у а ом е и - ам ами ах"),
    noun("раз", M, "- а у - ом е ы - ам ами ах"),
    noun("штук", F, "а и е у ой е и - ам ами ах"),
    noun("километр", M, HARD),
    noun("метр", M, HARD),
    noun("сантиметр", M, HARD),
    noun("миллиметр", M, HARD),
    noun("гектар", M, HARD),
    noun("литр", M, HARD),
    noun("миллилитр", M, HARD),
    noun("грамм", M, "- а у - ом е ы ов ам ами ах"),
    noun("миллиграмм", M, HARD),
    noun("килограмм", M, HARD),
    noun("тонн", F, A),
    noun("градус", M, HARD),
    noun("ватт", M, "- а у - ом е ы - ам ами ах"),
    noun("киловатт", M, "- а у - ом е ы - ам ами ах"),
    noun("вольт", M, "- а у - ом е ы - ам ами ах"),
    noun("ампер", M, "- а у - ом е ы - ам ами ах"),
    noun("герц", M, "- а у - ем е ы - ам ами ах"),
    noun("килогерц", M, "- а у - ем е ы - ам ами ах"),
    noun("мегагерц", M, "- а у - ем е ы - ам ами ах"),
    noun("гигабайт", M, "- а у - ом е ы - ам ами ах"),
    noun("мегабайт", M, "- а у - ом е ы - ам ами ах"),
    noun("мегабит", M, "- а у - ом е ы - ам ами ах"),
    noun("килобит", M, "- а у - ом е ы - ам ами ах"),
    noun("мест", N, "о а у о ом е а - ам ами ах"),
    noun("дет", M, "и ей ям ей ьми ях и ей ям ьми ях"),
    noun("балл", M, HARD),
    noun("дол", F, "я и е ю ей е и ей ям ями ях"),
    noun("сот", F, "ка ки ке ку кой ке ки ок кам ками ках"),
    noun("комнат", F, A),
    noun("ноч", F, "ь и и ь ью и и ей ам ами ах"),
    noun("встреч", F, HUSH_A),
    noun("специалист", M, "- а у а ом е ы ов ам ами ах"),
    noun("врач", M, "- а у а ом е и ей ам ами ах"),
    noun("сотрудник", M, "- а у а ом е и ов ам ами ах"),
    noun("клиент", M, "- а у а ом е ы ов ам ами ах"),
    noun("гост", M, "ь я ю я ем е и ей ям ями ях"),
    noun("заяв", F, "ка ки ке ку кой ке ки ок кам ками ках"),
    numbered("год", M, "- а у - ом у ы - ам ами ах"),
    numbered("этаж", M, "- а у - ом е и ей ам ами ах"),
    numbered("подъезд", M, HARD),
    numbered("корпус", M, "- а у - ом е а ов ам ами ах"),
    numbered("кабинет", M, HARD),
    numbered("офис", M, HARD),
    numbered("зал", M, HARD),
    numbered("класс", M, HARD),
    numbered("курс", M, HARD),
    numbered("этап", M, HARD),
    numbered("квартал", M, HARD),
    numbered("век", M, "- а у - ом е а ов ам ами ах"),
    numbered("ряд", M, "- а у - ом у ы ов ам ами ах"),
    numbered("размер", M, HARD),
    numbered("разряд", M, HARD),
    numbered("вариант", M, HARD),
    numbered("пункт", M, HARD),
    numbered("сектор", M, HARD),
    numbered("блок", M, VELAR),
    numbered("том", M, "- а у - ом е а ов ам ами ах"),
    numbered("тур", M, HARD),
    numbered("сезон", M, HARD),
    numbered("уров", M, "ень ня ню ень нем не ни ней ням нями нях"),
    numbered("пут", M, "ь и и ь ём и и ей ям ями ях"),
    numbered("вагон", M, HARD),
    numbered("поезд", M, HARD),
    numbered("автобус", M, HARD),
    numbered("трамва", M, "й я ю й ем е и ев ям ями ях"),
    numbered("троллейбус", M, HARD),
    numbered("маршрут", M, HARD),
    numbered("терминал", M, HARD),
    numbered("участ", M, "ок ка ку ок ком ке ки ков кам ками ках"),
    numbered("микрорайон", M, HARD),
    numbered("проезд", M, HARD),
    numbered("переул", M, "ок ка ку ок ком ке ки ков кам ками ках"),
    numbered("дом", M, "- а у - ом е а ов ам ами ах"),
    numbered("квартир", F, A),
    numbered("част", F, SOFT_F),
    numbered("степен", F, SOFT_F),
    numbered("очеред", F, SOFT_F),
    numbered("глав", F, A),
    numbered("смен", F, A),
    numbered("групп", F, A),
    numbered("палат", F, A),
    numbered("школ", F, A),
    numbered("больниц", F, "а ы е у ей е ы - ам ами ах"),
    numbered("поликлиник", F, "а и е у ой е и - ам ами ах"),
    numbered("платформ", F, A),
    numbered("улиц", F, "а ы е у ей е ы - ам ами ах"),
    numbered("стать", F, "я и е ю ёй е и - ям ями ях"),
    numbered("стади", F, "я и и ю ей и и й ям ями ях"),
    numbered("лини", F, "я и и ю ей и и й ям ями ях"),
    numbered("секц", F, IA),
    numbered("категор", F, IA),
    numbered("отделен", N, IE),
    numbered("окн", N, "о а у о ом е а - ам ами ах"),
    numbered("числ", N, "о а у о ом е а - ам ами ах"),
    // Signs and street names, for their abbreviations.
    noun("город", M, "- а у - ом е а ов ам ами ах"),
    noun("строен", N, IE),
    noun("страниц", F, "а ы е у ей е ы - ам ами ах"),
    noun("площад", F, SOFT_F),
    noun("проспект", M, HARD),
    noun("бульвар", M, HARD),
    noun("шоссе", N, "- - - - - - - - - - -"),
    noun("набережн", F, "ая ой ой ую ой ой ые ых ым ыми ых"),
    noun("тупик", M, VELAR),
    noun("област", F, SOFT_F),
    noun("район", M, HARD),
    noun("посёл", M, "ок ка ку ок ком ке ки ков кам ками ках"),
    noun("деревн", F, "я и е ю ей е и - ям ями ях"),
    noun("сел", N, "о а у о ом е а - ам ами ах"),
    noun("помещен", N, IE),
    noun("станц", F, IA),
    noun("владен", N, IE),
    noun("телефон", M, HARD),
    noun("понедельник", M, VELAR),
    noun("вторник", M, VELAR),
    noun("сред", F, A),
    noun("четверг", M, VELAR),
    noun("пятниц", F, "а ы е у ей е ы - ам ами ах"),
    noun("суббот", F, A),
    noun("воскресен", N, "ье ья ью ье ьем ье ья ий ьям ьями ьях"),
];

const CASES: [Case; 6] =
    [Case::Nominative, Case::Genitive, Case::Dative, Case::Accusative, Case::Instrumental, Case::Prepositional];

impl Noun {
    /// The noun that this word is a form of.
    pub fn of(word: &str) -> Option<&'static Noun> {
        let word = if matches!(word, "лет") { "год" } else { word };
        NOUNS.iter().find(|noun| {
            let ending = word.strip_prefix(noun.stem);
            ending.is_some_and(|ending| noun.endings.split(' ').any(|e| e == ending || (e == "-" && ending.is_empty())))
        })
    }

    /// The form in this case.
    pub fn form(&self, case: Case, plural: bool) -> String {
        let singular = CASES.iter().position(|c| *c == case).unwrap_or(0);
        let ending = match (plural, case) {
            (false, _) => singular,
            (true, Case::Nominative | Case::Accusative) => 6,
            (true, Case::Genitive) => 7,
            (true, Case::Dative) => 8,
            (true, Case::Instrumental) => 9,
            (true, Case::Prepositional) => 10,
        };
        if self.stem == "год" && ending == 7 {
            return "лет".to_owned();
        }
        let ending = self.endings.split(' ').nth(ending).unwrap_or_default();
        format!("{}{}", self.stem, ending.trim_start_matches('-'))
    }

    /// The form after a number in this case.
    pub fn counted(&self, count: Count, case: Case) -> String {
        match (count, case) {
            (Count::One, _) => self.form(case, false),
            (Count::Few, Case::Nominative | Case::Accusative) => self.form(Case::Genitive, false),
            (Count::Many, Case::Nominative | Case::Accusative) => self.form(Case::Genitive, true),
            (_, _) => self.form(case, true),
        }
    }

    /// The cases in which it looks so after a number.
    pub fn cases_of(&self, word: &str, count: Count) -> Vec<(Case, Gender)> {
        CASES.into_iter().filter(|case| self.counted(count, *case) == word).map(|case| (case, self.gender)).collect()
    }

    /// The cases of the singular that look so.
    pub fn singular_cases(&self, word: &str) -> Vec<Case> {
        CASES.into_iter().filter(|case| self.form(*case, false) == word).collect()
    }
}
