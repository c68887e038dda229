//! Numbers in Russian words, in every case: chislo knows the nominative, the endings are ours.

use chislo::{Gender, int_to_words_gender};

use super::grammar::{Agreement, Case};

/// «двадцать одна», «двадцати одной»; the accusative is that of things, «одну тысячу» is «тысячу».
pub fn cardinal(n: i64, case: Case, gender: Gender) -> String {
    let nominative = int_to_words_gender(n, gender);
    shortened(&nominative).split(' ').map(|word| in_case(word, case)).collect::<Vec<_>>().join(" ")
}

/// «двадцать первого», «две тысячи двадцать шестом».
pub fn ordinal(n: i64, case: Case, agreement: Agreement) -> String {
    let nominative = chislo::ordinal(n, Gender::Masculine);
    let nominative = shortened(&nominative);
    let (head, last) = nominative.rsplit_once(' ').map_or(("", nominative), |(head, last)| (head, last));
    let last = match last.strip_suffix("ий") {
        Some(stem) => format!("{stem}{}", adjective_ending(case, agreement, true)),
        None if case == Case::Nominative && agreement == Agreement::Masculine => last.to_owned(),
        None if case == Case::Accusative && agreement == Agreement::Masculine => last.to_owned(),
        None => {
            let stem = last.strip_suffix("ый").or(last.strip_suffix("ой")).unwrap_or(last);
            format!("{stem}{}", adjective_ending(case, agreement, false))
        }
    };
    if head.is_empty() { last } else { format!("{head} {last}") }
}

/// The beginning of «двухкомнатная», «двадцатиоднолетний»; `None` for what nobody says as one word.
pub fn compound(n: i64) -> Option<String> {
    let words = int_to_words_gender(n, Gender::Masculine);
    let words = shortened(&words);
    if n <= 0 || n > 1000 {
        return None;
    }
    let part = |word: &str| match word {
        "один" => "одно".to_owned(),
        "сто" | "девяносто" => word.to_owned(),
        "тысяча" => "тысяче".to_owned(),
        word => in_case(word, Case::Genitive),
    };
    Some(words.split(' ').map(part).collect())
}

/// The digits of a group: «ноль ноль семь», «девятьсот шестнадцать»; more than three are read by pairs.
pub fn with_zeros(group: &str) -> String {
    let value = group.trim_start_matches('0');
    let mut words = vec!["ноль".to_owned(); group.len() - value.len()];
    match value.parse() {
        Ok(n) if value.len() <= 3 => words.push(cardinal(n, Case::Nominative, Gender::Masculine)),
        _ if value.is_empty() => {}
        _ => words.push(digit_by_digit(value)),
    }
    words.join(" ")
}

pub fn digit_by_digit(digits: &str) -> String {
    let names = digits.chars().filter_map(|c| c.to_digit(10));
    names.map(|n| cardinal(n.into(), Case::Nominative, Gender::Masculine)).collect::<Vec<_>>().join(" ")
}

/// Nobody says the one of «одна тысяча пятьсот».
fn shortened(words: &str) -> &str {
    let long = ["одна тысяча", "один миллион", "один миллиард", "один триллион"];
    let one = long.iter().any(|long| words.starts_with(long)) && !words.starts_with("один миллионн");
    if one { words.split_once(' ').map_or(words, |(_, rest)| rest) } else { words }
}

/// The endings of an adjective; soft are those of «третий».
fn adjective_ending(case: Case, agreement: Agreement, soft: bool) -> &'static str {
    use Agreement::{Feminine, Masculine, Neuter, Plural};
    use Case::{Accusative, Dative, Genitive, Instrumental, Nominative, Prepositional};
    let (hard_ending, soft_ending) = match (agreement, case) {
        (Masculine, Nominative | Accusative) => ("ый", "ий"),
        (Neuter, Nominative | Accusative) => ("ое", "ье"),
        (Masculine | Neuter, Genitive) => ("ого", "ьего"),
        (Masculine | Neuter, Dative) => ("ому", "ьему"),
        (Masculine | Neuter, Instrumental) => ("ым", "ьим"),
        (Masculine | Neuter, Prepositional) => ("ом", "ьем"),
        (Feminine, Nominative) => ("ая", "ья"),
        (Feminine, Accusative) => ("ую", "ью"),
        (Feminine, _) => ("ой", "ьей"),
        (Plural, Nominative | Accusative) => ("ые", "ьи"),
        (Plural, Genitive | Prepositional) => ("ых", "ьих"),
        (Plural, Dative) => ("ым", "ьим"),
        (Plural, Instrumental) => ("ыми", "ьими"),
    };
    if soft { soft_ending } else { hard_ending }
}

/// A word of a numeral in another case than the nominative.
fn in_case(word: &str, case: Case) -> String {
    // Genitive, dative, accusative, instrumental, prepositional.
    let forms: [&str; 5] = match word {
        "ноль" => ["нуля", "нулю", "ноль", "нулём", "нуле"],
        "один" => ["одного", "одному", "один", "одним", "одном"],
        "одно" => ["одного", "одному", "одно", "одним", "одном"],
        "одна" => ["одной", "одной", "одну", "одной", "одной"],
        "два" => ["двух", "двум", "два", "двумя", "двух"],
        "две" => ["двух", "двум", "две", "двумя", "двух"],
        "три" => ["трёх", "трём", "три", "тремя", "трёх"],
        "четыре" => ["четырёх", "четырём", "четыре", "четырьмя", "четырёх"],
        "восемь" => ["восьми", "восьми", "восемь", "восемью", "восьми"],
        "сорок" => ["сорока", "сорока", "сорок", "сорока", "сорока"],
        "девяносто" => ["девяноста", "девяноста", "девяносто", "девяноста", "девяноста"],
        "сто" => ["ста", "ста", "сто", "ста", "ста"],
        "двести" => ["двухсот", "двумстам", "двести", "двумястами", "двухстах"],
        "триста" => ["трёхсот", "трёмстам", "триста", "тремястами", "трёхстах"],
        "четыреста" => ["четырёхсот", "четырёмстам", "четыреста", "четырьмястами", "четырёхстах"],
        "восемьсот" => ["восьмисот", "восьмистам", "восемьсот", "восемьюстами", "восьмистах"],
        "восемьдесят" => ["восьмидесяти", "восьмидесяти", "восемьдесят", "восемьюдесятью", "восьмидесяти"],
        "тысяча" => ["тысячи", "тысяче", "тысячу", "тысячей", "тысяче"],
        "тысячи" => ["тысяч", "тысячам", "тысячи", "тысячами", "тысячах"],
        "тысяч" => ["тысяч", "тысячам", "тысяч", "тысячами", "тысячах"],
        "миллион" => ["миллиона", "миллиону", "миллион", "миллионом", "миллионе"],
        "миллиона" => ["миллионов", "миллионам", "миллиона", "миллионами", "миллионах"],
        "миллионов" => ["миллионов", "миллионам", "миллионов", "миллионами", "миллионах"],
        "миллиард" => ["миллиарда", "миллиарду", "миллиард", "миллиардом", "миллиарде"],
        "миллиарда" => ["миллиардов", "миллиардам", "миллиарда", "миллиардами", "миллиардах"],
        "миллиардов" => ["миллиардов", "миллиардам", "миллиардов", "миллиардами", "миллиардах"],
        _ => return regular(word, case),
    };
    let form = match case {
        Case::Nominative => word,
        Case::Genitive => forms[0],
        Case::Dative => forms[1],
        Case::Accusative => forms[2],
        Case::Instrumental => forms[3],
        Case::Prepositional => forms[4],
    };
    form.to_owned()
}

/// «пять», «пятнадцать», «пятьдесят», «пятьсот» and their like.
fn regular(word: &str, case: Case) -> String {
    if matches!(case, Case::Nominative | Case::Accusative) {
        return word.to_owned();
    }
    let ending = |genitive, dative, instrumental, prepositional| match case {
        Case::Dative => dative,
        Case::Instrumental => instrumental,
        Case::Prepositional => prepositional,
        _ => genitive,
    };
    if let Some(stem) = word.strip_suffix("ьсот") {
        return format!("{stem}{}", ending("исот", "истам", "ьюстами", "истах"));
    }
    if let Some(stem) = word.strip_suffix("ьдесят") {
        return format!("{stem}{}", ending("идесяти", "идесяти", "ьюдесятью", "идесяти"));
    }
    match word.strip_suffix('ь') {
        Some(stem) => format!("{stem}{}", ending("и", "и", "ью", "и")),
        None => word.to_owned(),
    }
}
