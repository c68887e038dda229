//! Russian numerals and the nouns that are counted, in all cases.

use chislo::Gender;

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

impl Case {
    /// Whether what is counted stands in the genitive, as after «пять».
    fn is_direct(self) -> bool {
        matches!(self, Nominative | Accusative)
    }
}

/// A noun by its endings: singular in the order of [`Case`], then the plural but for its nominative and accusative, which no
/// number asks for.
#[derive(Debug, Clone, Copy)]
pub struct Noun {
    stem: &'static str,
    singular: [&'static str; 6],
    genitive_plural: &'static str,
    plural: [&'static str; 3],
    pub gender: Gender,
}

/// метр, час, процент
pub const fn masculine(stem: &'static str) -> Noun {
    let (singular, plural) = (["", "а", "у", "", "ом", "е"], ["ам", "ами", "ах"]);
    Noun { stem, singular, genitive_plural: "ов", plural, gender: Gender::Masculine }
}

/// рубль; the stem is without its soft sign
pub const fn soft_masculine(stem: &'static str) -> Noun {
    let (singular, plural) = (["ь", "я", "ю", "ь", "ём", "е"], ["ям", "ями", "ях"]);
    Noun { stem, singular, genitive_plural: "ей", plural, gender: Gender::Masculine }
}

/// минута, тонна
pub const fn feminine(stem: &'static str) -> Noun {
    let (singular, plural) = (["а", "ы", "е", "у", "ой", "е"], ["ам", "ами", "ах"]);
    Noun { stem, singular, genitive_plural: "", plural, gender: Gender::Feminine }
}

/// евро
pub const fn fixed(stem: &'static str) -> Noun {
    Noun { stem, singular: [""; 6], genitive_plural: "", plural: [""; 3], gender: Gender::Masculine }
}

impl Noun {
    /// день, дней
    pub const DAY: Noun = Noun {
        stem: "д",
        singular: ["ень", "ня", "ню", "ень", "нём", "не"],
        genitive_plural: "ней",
        plural: ["ням", "нями", "нях"],
        gender: Gender::Masculine,
    };
    /// копейка, копеек
    pub const KOPECK: Noun = Noun {
        stem: "копе",
        singular: ["йка", "йки", "йке", "йку", "йкой", "йке"],
        genitive_plural: "ек",
        plural: ["йкам", "йками", "йках"],
        gender: Gender::Feminine,
    };
    /// человек, of whom there are пять человек
    pub const PERSON: Noun = masculine("человек").without_ending();

    /// месяц, месяцев
    pub const fn with_genitive_plural(self, genitive_plural: &'static str) -> Self {
        Self { genitive_plural, ..self }
    }

    /// ватт, пять ватт
    pub const fn without_ending(self) -> Self {
        self.with_genitive_plural("")
    }

    /// неделя, недель
    pub const fn soft(self) -> Self {
        let (singular, plural) = (["я", "и", "е", "ю", "ей", "е"], ["ям", "ями", "ях"]);
        Self { singular, genitive_plural: "ь", plural, ..self }
    }

    /// штука, штуки
    pub const fn velar(self) -> Self {
        Self { singular: ["а", "и", "е", "у", "ой", "е"], ..self }
    }

    pub fn is(&self, other: &Noun) -> bool {
        self.stem == other.stem
    }
}

/// год, of which there are лет.
pub const YEAR: Noun = masculine("год");
pub const THOUSAND: Noun = Noun { singular: ["а", "и", "е", "у", "ей", "е"], ..feminine("тысяч") };
const SCALES: [(i64, Noun); 4] = [
    (1_000_000_000_000, masculine("триллион")),
    (1_000_000_000, masculine("миллиард")),
    (1_000_000, masculine("миллион")),
    (1_000, THOUSAND),
];

impl Noun {
    /// As it stands after `n`.
    pub fn after(&self, n: i64, case: Case) -> String {
        let last = if (11..=14).contains(&(n % 100)) { 0 } else { n % 10 };
        match last {
            1 => self.singular(case),
            2..=4 if case.is_direct() => self.singular(Genitive),
            _ => self.plural(case),
        }
    }

    pub fn singular(&self, case: Case) -> String {
        let ending = match case {
            Nominative => self.singular[0],
            Genitive => self.singular[1],
            Dative => self.singular[2],
            Accusative => self.singular[3],
            Instrumental => self.singular[4],
            Prepositional => self.singular[5],
        };
        format!("{}{ending}", self.stem)
    }

    fn plural(&self, case: Case) -> String {
        match case {
            _ if self.stem == YEAR.stem => match case {
                Dative => "годам".into(),
                Instrumental => "годами".into(),
                Prepositional => "годах".into(),
                Nominative | Genitive | Accusative => "лет".into(),
            },
            Nominative | Genitive | Accusative => format!("{}{}", self.stem, self.genitive_plural),
            Dative => format!("{}{}", self.stem, self.plural[0]),
            Instrumental => format!("{}{}", self.stem, self.plural[1]),
            Prepositional => format!("{}{}", self.stem, self.plural[2]),
        }
    }
}

/// A number from 0 to 999 999 999 999 999 in words.
pub fn cardinal(n: i64, gender: Gender, case: Case) -> String {
    if n == 0 {
        return pick(["ноль", "ноля", "нолю", "ноль", "нолём", "ноле"], case).to_owned();
    }
    let (mut words, mut rest) = (Vec::new(), n);
    for (size, noun) in SCALES {
        let count = rest / size;
        if count > 0 {
            below_thousand(count, noun.gender, case, &mut words);
            words.push(noun.after(count, case));
        }
        rest %= size;
    }
    below_thousand(rest, gender, case, &mut words);
    words.join(" ")
}

fn below_thousand(n: i64, gender: Gender, case: Case, words: &mut Vec<String>) {
    let (hundreds, tens, ones) = (n / 100, n % 100 / 10 * 10, n % 10);
    if hundreds > 0 {
        words.push(hundred(hundreds, case));
    }
    match n % 100 {
        0 => {}
        teens @ 1..=19 => words.push(small(teens, gender, case)),
        _ => {
            words.push(ten(tens, case));
            if ones > 0 {
                words.push(small(ones, gender, case));
            }
        }
    }
}

fn pick(forms: [&'static str; 6], case: Case) -> &'static str {
    let [nominative, genitive, dative, accusative, instrumental, prepositional] = forms;
    match case {
        Nominative => nominative,
        Genitive => genitive,
        Dative => dative,
        Accusative => accusative,
        Instrumental => instrumental,
        Prepositional => prepositional,
    }
}

/// A word in «ь»: пять, пяти, пятью.
fn soft(stem: &str, oblique: &str, case: Case) -> String {
    match case {
        Nominative | Accusative => format!("{stem}ь"),
        Genitive | Dative | Prepositional => format!("{oblique}и"),
        Instrumental => format!("{stem}ью"),
    }
}

fn small(n: i64, gender: Gender, case: Case) -> String {
    let forms = match (n, gender) {
        (1, Gender::Masculine) => ["один", "одного", "одному", "один", "одним", "одном"],
        (1, Gender::Feminine) => ["одна", "одной", "одной", "одну", "одной", "одной"],
        (1, _) => ["одно", "одного", "одному", "одно", "одним", "одном"],
        (2, Gender::Feminine) => ["две", "двух", "двум", "две", "двумя", "двух"],
        (2, _) => ["два", "двух", "двум", "два", "двумя", "двух"],
        (3, _) => ["три", "трёх", "трём", "три", "тремя", "трёх"],
        (4, _) => ["четыре", "четырёх", "четырём", "четыре", "четырьмя", "четырёх"],
        (8, _) => return soft("восем", "восьм", case),
        _ => {
            const STEMS: [&str; 15] = [
                "пят",
                "шест",
                "сем",
                "",
                "девят",
                "десят",
                "одиннадцат",
                "двенадцат",
                "тринадцат",
                "четырнадцат",
                "пятнадцат",
                "шестнадцат",
                "семнадцат",
                "восемнадцат",
                "девятнадцат",
            ];
            let stem = usize::try_from(n - 5).ok().and_then(|at| STEMS.get(at)).copied().unwrap_or_default();
            return soft(stem, stem, case);
        }
    };
    pick(forms, case).to_owned()
}

fn ten(tens: i64, case: Case) -> String {
    let round = |first: &str, oblique: &str| match case {
        Nominative | Accusative => format!("{first}ьдесят"),
        Genitive | Dative | Prepositional => format!("{oblique}идесяти"),
        Instrumental => format!("{first}ьюдесятью"),
    };
    match tens {
        20 => soft("двадцат", "двадцат", case),
        30 => soft("тридцат", "тридцат", case),
        40 => (if case.is_direct() { "сорок" } else { "сорока" }).to_owned(),
        50 => round("пят", "пят"),
        60 => round("шест", "шест"),
        70 => round("сем", "сем"),
        80 => round("восем", "восьм"),
        _ => (if case.is_direct() { "девяносто" } else { "девяноста" }).to_owned(),
    }
}

fn hundred(hundreds: i64, case: Case) -> String {
    let many = |first: &str, oblique: &str| match case {
        Nominative | Accusative => format!("{first}ьсот"),
        Genitive => format!("{oblique}исот"),
        Dative => format!("{oblique}истам"),
        Instrumental => format!("{first}ьюстами"),
        Prepositional => format!("{oblique}истах"),
    };
    match hundreds {
        1 => (if case.is_direct() { "сто" } else { "ста" }).to_owned(),
        2 => pick(["двести", "двухсот", "двумстам", "двести", "двумястами", "двухстах"], case).to_owned(),
        3 => pick(["триста", "трёхсот", "трёмстам", "триста", "тремястами", "трёхстах"], case).to_owned(),
        4 => pick(["четыреста", "четырёхсот", "четырёмстам", "четыреста", "четырьмястами", "четырёхстах"], case)
            .to_owned(),
        5 => many("пят", "пят"),
        6 => many("шест", "шест"),
        7 => many("сем", "сем"),
        8 => many("восем", "восьм"),
        _ => many("девят", "девят"),
    }
}

/// «пятый», «пятой», «пятого». Only the last word is declined.
pub fn ordinal(n: i64, gender: Gender, case: Case) -> String {
    let nominative = named(n, gender);
    if nominative.ends_with("третий") || nominative.ends_with("третье") || nominative.ends_with("третья")
    {
        let stem = nominative.trim_end_matches("ий").trim_end_matches("ье").trim_end_matches("ья").to_owned();
        let ending = match (gender, case) {
            (_, Nominative) | (Gender::Masculine | Gender::Neuter, Accusative) => return nominative,
            (Gender::Feminine, Accusative) => "ью",
            (Gender::Feminine, _) => "ьей",
            (_, Genitive) => "ьего",
            (_, Dative) => "ьему",
            (_, Instrumental) => "ьим",
            (_, Prepositional) => "ьем",
        };
        return format!("{stem}{ending}");
    }
    let stem = ["ый", "ой", "ая", "ое"].iter().find_map(|ending| nominative.strip_suffix(ending));
    let Some(stem) = stem.map(str::to_owned) else { return nominative };
    let ending = match (gender, case) {
        (_, Nominative) | (Gender::Masculine | Gender::Neuter, Accusative) => return nominative,
        (Gender::Feminine, Accusative) => "ую",
        (Gender::Feminine, _) => "ой",
        (_, Genitive) => "ого",
        (_, Dative) => "ому",
        (_, Instrumental) => "ым",
        (_, Prepositional) => "ом",
    };
    format!("{stem}{ending}")
}

/// A year is «тысяча девятьсот…», not «одна тысяча…».
fn named(n: i64, gender: Gender) -> String {
    let ordinal = chislo::ordinal(n, gender);
    ordinal.strip_prefix("одна тысяча ").map(|rest| format!("тысяча {rest}")).unwrap_or(ordinal)
}

/// «девяностые», «девяностых».
pub fn plural_ordinal(n: i64, case: Case) -> String {
    let nominative = named(n, Gender::Neuter);
    let (hard, soft) = match case {
        Nominative | Accusative => ("ые", "ьи"),
        Genitive | Prepositional => ("ых", "ьих"),
        Dative => ("ым", "ьим"),
        Instrumental => ("ыми", "ьими"),
    };
    match (nominative.strip_suffix("ое"), nominative.strip_suffix("ье")) {
        (Some(stem), _) => format!("{stem}{hard}"),
        (None, Some(stem)) => format!("{stem}{soft}"),
        (None, None) => nominative,
    }
}

/// What a number begins a compound word with: «двух» of «двухкомнатная».
pub fn compound(n: i64) -> String {
    match n {
        1 => "одно".into(),
        100 => "сто".into(),
        90 => "девяносто".into(),
        1_000 => "тысяче".into(),
        _ => cardinal(n, Gender::Masculine, Genitive).replace(' ', ""),
    }
}

/// The case that a preposition or another word asks of what follows it; `None` if none does.
pub fn governed(word: &str) -> Option<Case> {
    Some(match word {
        "от" | "до" | "из" | "около" | "у" | "без" | "для" | "после" | "более" | "менее" | "больше" | "меньше"
        | "свыше" | "порядка" | "течение" | "позднее" | "позже" | "раньше" | "ранее" | "старше" | "младше"
        | "дольше" | "выше" | "ниже" | "кроме" | "вместо" | "с" | "со" => Genitive,
        "к" | "ко" | "благодаря" => Dative,
        "перед" | "между" | "над" | "под" => Instrumental,
        "о" | "об" | "при" => Prepositional,
        "в" | "во" | "на" | "за" | "через" | "по" | "про" | "спустя" => Accusative,
        _ => return None,
    })
}

/// What the next word tells of the case of a number in front of it: plural endings that no other case has.
pub fn told_by(noun: &str) -> Option<Case> {
    let ends = |endings: &[&str]| noun.chars().count() >= 4 && endings.iter().any(|ending| noun.ends_with(ending));
    match () {
        () if ends(&["ами", "ями", "ыми", "ими"]) => Some(Instrumental),
        () if ends(&["ах", "ях"]) => Some(Prepositional),
        () if ends(&["ам", "ям"]) => Some(Dative),
        () => None,
    }
}

/// The gender of the next word as far as its ending tells it after `n`, which is all that «один» and «два» ask for.
pub fn gender_of(noun: &str, n: i64, case: Case) -> Gender {
    const SOFT_FEMININE: [&str; 8] = ["сть", "чь", "шь", "знь", "пись", "дверь", "площадь", "тетрадь"];
    const MASCULINE: [&str; 6] = ["мужчина", "мужчины", "дядя", "дяди", "коллеги", "пути"];
    let ends = |endings: &[&str]| endings.iter().any(|ending| noun.ends_with(ending));
    let last = if (11..=14).contains(&(n % 100)) { 0 } else { n % 10 };
    let is_feminine = match (last, case) {
        _ if MASCULINE.contains(&noun) => false,
        (1, Nominative) => ends(&["а", "я"]) || ends(&SOFT_FEMININE),
        (1, Accusative) => ends(&["у", "ю"]) || ends(&SOFT_FEMININE),
        (1, Genitive) => ends(&["ы", "и", "ой", "ей"]),
        (1, Dative | Prepositional) => ends(&["ой", "ей", "и"]) || case == Dative && ends(&["е"]),
        (1, Instrumental) => ends(&["ой", "ей", "ью"]),
        (2, Nominative | Accusative) => ends(&["ы", "и", "ые", "ие"]),
        _ => false,
    };
    match () {
        () if is_feminine => Gender::Feminine,
        () if last == 1 && case.is_direct() && ends(&["о", "е", "ё"]) => Gender::Neuter,
        () => Gender::Masculine,
    }
}
