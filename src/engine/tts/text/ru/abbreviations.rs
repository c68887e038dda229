//! Russian words that are written short, days of the week, letters by name, and Roman numbers.

use chislo::Gender;

use super::grammar::{Case, governed, ordinal};
use super::{MONTHS, next_word};

type Forms = [&'static str; 6];

const STREET: Forms = ["улица", "улицы", "улице", "улицу", "улицей", "улице"];
const CITY: Forms = ["город", "города", "городу", "город", "городом", "городе"];
const BUILDING: Forms = ["строение", "строения", "строению", "строение", "строением", "строении"];

/// Nouns of addresses, in the cases' order.
const PLACES: &[(&str, Forms)] = &[
    ("ул", STREET),
    ("просп", ["проспект", "проспекта", "проспекту", "проспект", "проспектом", "проспекте"]),
    ("пр-т", ["проспект", "проспекта", "проспекту", "проспект", "проспектом", "проспекте"]),
    ("пр-кт", ["проспект", "проспекта", "проспекту", "проспект", "проспектом", "проспекте"]),
    ("пер", ["переулок", "переулка", "переулку", "переулок", "переулком", "переулке"]),
    ("ш", ["шоссе"; 6]),
    ("пл", ["площадь", "площади", "площади", "площадь", "площадью", "площади"]),
    ("наб", ["набережная", "набережной", "набережной", "набережную", "набережной", "набережной"]),
    ("б-р", ["бульвар", "бульвара", "бульвару", "бульвар", "бульваром", "бульваре"]),
    ("бул", ["бульвар", "бульвара", "бульвару", "бульвар", "бульваром", "бульваре"]),
    ("пр-д", ["проезд", "проезда", "проезду", "проезд", "проездом", "проезде"]),
    ("д", ["дом", "дома", "дому", "дом", "домом", "доме"]),
    ("корп", ["корпус", "корпуса", "корпусу", "корпус", "корпусом", "корпусе"]),
    ("стр", BUILDING),
    ("кв", ["квартира", "квартиры", "квартире", "квартиру", "квартирой", "квартире"]),
    ("оф", ["офис", "офиса", "офису", "офис", "офисом", "офисе"]),
    ("каб", ["кабинет", "кабинета", "кабинету", "кабинет", "кабинетом", "кабинете"]),
    ("эт", ["этаж", "этажа", "этажу", "этаж", "этажом", "этаже"]),
    ("под", ["подъезд", "подъезда", "подъезду", "подъезд", "подъездом", "подъезде"]),
    ("обл", ["область", "области", "области", "область", "областью", "области"]),
    ("р-н", ["район", "района", "району", "район", "районом", "районе"]),
    ("мкр", ["микрорайон", "микрорайона", "микрорайону", "микрорайон", "микрорайоном", "микрорайоне"]),
    ("пос", ["посёлок", "посёлка", "посёлку", "посёлок", "посёлком", "посёлке"]),
    ("дер", ["деревня", "деревни", "деревне", "деревню", "деревней", "деревне"]),
    ("г", CITY),
];

/// Other words, whose form the sentence does not change.
const WORDS: &[(&str, &str)] = &[
    ("им", "имени"),
    ("тел", "телефон"),
    ("моб", "мобильный"),
    ("доб", "добавочный"),
    ("руб", "рублей"),
    ("коп", "копеек"),
    ("мин", "минут"),
    ("сек", "секунд"),
    ("мес", "месяцев"),
    ("шт", "штук"),
    ("чел", "человек"),
    ("тыс", "тысяч"),
    ("макс", "максимум"),
    ("напр", "например"),
    ("см", "смотрите"),
    ("ок", "около"),
    ("др", "другие"),
    ("зав", "заведующий"),
    ("зам", "заместитель"),
    ("гл", "главный"),
    ("отд", "отделение"),
    ("проф", "профессор"),
    ("инд", "индекс"),
    ("ст", "станция"),
    ("янв", MONTHS[0]),
    ("февр", MONTHS[1]),
    ("фев", MONTHS[1]),
    ("апр", MONTHS[3]),
    ("авг", MONTHS[7]),
    ("сент", MONTHS[8]),
    ("сен", MONTHS[8]),
    ("окт", MONTHS[9]),
    ("нояб", MONTHS[10]),
    ("ноя", MONTHS[10]),
    ("дек", MONTHS[11]),
];

/// Of several words, with the full stops between them.
const PHRASES: &[(&str, &str)] = &[
    ("т. е.", "то есть"),
    ("т.е.", "то есть"),
    ("т. к.", "так как"),
    ("т.к.", "так как"),
    ("т. д.", "так далее"),
    ("т.д.", "так далее"),
    ("т. п.", "тому подобное"),
    ("т.п.", "тому подобное"),
    ("т. н.", "так называемый"),
    ("н. э.", "нашей эры"),
    ("р/с", "расчётный счёт"),
    ("к/с", "корреспондентский счёт"),
    ("и/или", "и или"),
];

const HYPHENED: &[(&str, &str)] =
    &[("г-н", "господин"), ("г-жа", "госпожа"), ("г-на", "господина"), ("г-же", "госпоже")];

const DAYS: &[(&str, Forms)] = &[
    ("пн", ["понедельник", "понедельника", "понедельнику", "понедельник", "понедельником", "понедельнике"]),
    ("вт", ["вторник", "вторника", "вторнику", "вторник", "вторником", "вторнике"]),
    ("ср", ["среда", "среды", "среде", "среду", "средой", "среде"]),
    ("чт", ["четверг", "четверга", "четвергу", "четверг", "четвергом", "четверге"]),
    ("пт", ["пятница", "пятницы", "пятнице", "пятницу", "пятницей", "пятнице"]),
    ("сб", ["суббота", "субботы", "субботе", "субботу", "субботой", "субботе"]),
    ("вс", ["воскресенье", "воскресенья", "воскресенью", "воскресенье", "воскресеньем", "воскресенье"]),
];

/// Words of capitals that are read as a word, or that are said letter by letter although they have a vowel.
const SPELLED: &[&str] = &[
    "ООО",
    "ОАО",
    "ЗАО",
    "ПАО",
    "АО",
    "ИП",
    "ИНН",
    "КПП",
    "ОГРН",
    "МФЦ",
    "ЖКХ",
    "УК",
    "ТЦ",
    "БЦ",
    "ТРЦ",
    "НДС",
    "НДФЛ",
    "РФ",
    "СССР",
    "США",
    "ЕС",
    "МЧС",
    "МВД",
    "ГИБДД",
    "ДТП",
    "ДМС",
    "ОМС",
    "УЗИ",
    "МРТ",
    "КТ",
    "ЭКГ",
    "ЛФК",
    "ТСЖ",
    "АТС",
    "АЗС",
    "ЕГЭ",
    "ПК",
    "ТВ",
    "СТО",
    "ДНК",
    "ФИО",
    "ИО",
];

fn in_case(forms: &Forms, case: Case) -> &'static str {
    let [nominative, genitive, dative, accusative, instrumental, prepositional] = *forms;
    match case {
        Case::Nominative => nominative,
        Case::Genitive => genitive,
        Case::Dative => dative,
        Case::Accusative => accusative,
        Case::Instrumental => instrumental,
        Case::Prepositional => prepositional,
    }
}

/// The case of a place after a preposition: «на улице», «по улице».
fn place(before: &str) -> Case {
    match before {
        "в" | "во" | "на" => Case::Prepositional,
        "по" => Case::Dative,
        "возле" | "напротив" | "вдоль" | "рядом" => Case::Genitive,
        _ => governed(before).unwrap_or(Case::Nominative),
    }
}

/// Reads a short word that `text` begins with: its words and bytes. `before` is the word in front of it, in small letters.
pub fn read(text: &str, before: &str) -> Option<(String, usize)> {
    let lower: String = text.chars().take(24).flat_map(char::to_lowercase).collect();
    let starts = |written: &str| {
        let after = lower.strip_prefix(written)?;
        (!written.ends_with(char::is_alphabetic) || !after.starts_with(char::is_alphanumeric)).then_some(after)
    };
    for (written, said) in PHRASES.iter().chain(HYPHENED) {
        if let Some(after) = starts(written) {
            // The last full stop may also end the sentence.
            let ends = written.ends_with('.') && after.trim().is_empty();
            return Some(((*said).to_owned(), written.len() - usize::from(ends)));
        }
    }
    if let Some(found) = weekdays(text, &lower, before) {
        return Some(found);
    }
    for (written, forms) in PLACES {
        let Some(after) =
            starts(written).and_then(|after| after.strip_prefix('.').or(Some(after).filter(|_| written.contains('-'))))
        else {
            continue;
        };
        let next = after.trim_start();
        let is_number = next.starts_with(|c: char| c.is_ascii_digit());
        let original = text.get(written.len()..).unwrap_or_default().trim_start_matches('.').trim_start();
        let is_name = original.starts_with(char::is_uppercase);
        let fits = match *written {
            "д" | "стр" | "кв" | "оф" | "каб" | "эт" | "под" | "корп" => {
                is_number || *written == "эт" || *written == "корп"
            }
            "г" | "пос" | "дер" | "ш" | "пл" | "наб" | "пер" => {
                is_name || after.trim().is_empty() || !is_number
            }
            _ => true,
        };
        if fits {
            let dot = usize::from(text.get(written.len()..).unwrap_or_default().starts_with('.'));
            let ends = dot == 1 && after.trim().is_empty();
            return Some((in_case(forms, place(before)).to_owned(), written.len() + dot - usize::from(ends)));
        }
    }
    for (written, said) in WORDS {
        if let Some(after) = starts(written).and_then(|after| after.strip_prefix('.')) {
            let ends = after.trim().is_empty();
            return Some(((*said).to_owned(), written.len() + 1 - usize::from(ends)));
        }
    }
    initial(text)
}

/// `пн`, `в ср.`, `Пн–Пт`.
fn weekdays(text: &str, lower: &str, before: &str) -> Option<(String, usize)> {
    let day = |lower: &str| {
        let (written, forms) = DAYS.iter().find(|(written, _)| lower.starts_with(written))?;
        let after = lower.get(written.len()..)?;
        (!after.starts_with(char::is_alphanumeric)).then_some((forms, written.len()))
    };
    let (first, len) = day(lower)?;
    let rest = lower.get(len..)?;
    let dashed = rest.trim_start().strip_prefix(['-', '–', '—']).map(str::trim_start);
    if let Some((second, (last, taken))) = dashed.and_then(|second| Some((second, day(second)?))) {
        let (from, to) = (in_case(first, Case::Genitive), in_case(last, Case::Accusative));
        let preposition = if matches!(before, "с" | "со") { "" } else { "с " };
        return Some((format!("{preposition}{from} по {to}"), lower.len() - second.len() + taken));
    }
    let dot = super::units::stop("пн", text.get(len..).unwrap_or_default());
    Some((in_case(first, governed(before).unwrap_or(Case::Nominative)).to_owned(), len + dot))
}

/// `И. Петров`: the letter of a name, whose full stop ends no sentence.
fn initial(text: &str) -> Option<(String, usize)> {
    let first = text.chars().next().filter(|c| c.is_uppercase())?;
    let after = text.get(first.len_utf8()..)?.strip_prefix('.')?;
    let goes_on = after.trim_start().starts_with(char::is_uppercase);
    goes_on.then(|| letter(first).map(|name| (name.to_owned(), first.len_utf8() + 1)))?
}

/// A word of capitals letter by letter, if it is said so.
pub fn spelled(word: &str) -> Option<String> {
    let count = word.chars().count();
    let is_capital = |c: char| c.is_uppercase() && letter(c).is_some();
    if !(2..=6).contains(&count) || !word.chars().all(is_capital) {
        return None;
    }
    let has_vowel = word.contains(['А', 'Е', 'Ё', 'И', 'О', 'У', 'Ы', 'Э', 'Ю', 'Я']);
    let names = || word.chars().filter_map(letter).collect::<Vec<_>>().join(" ");
    (!has_vowel || SPELLED.contains(&word)).then(names)
}

/// The name of a Russian letter.
pub fn letter(letter: char) -> Option<&'static str> {
    const NAMES: [&str; 32] = [
        "а",
        "бэ",
        "вэ",
        "гэ",
        "дэ",
        "е",
        "жэ",
        "зэ",
        "и",
        "и краткое",
        "ка",
        "эль",
        "эм",
        "эн",
        "о",
        "пэ",
        "эр",
        "эс",
        "тэ",
        "у",
        "эф",
        "ха",
        "цэ",
        "че",
        "ша",
        "ща",
        "твёрдый знак",
        "ы",
        "мягкий знак",
        "э",
        "ю",
        "я",
    ];
    let small = letter.to_lowercase().next()?;
    match small {
        'ё' => Some("ё"),
        'а'..='я' => NAMES.get(small as usize - 'а' as usize).copied(),
        _ => None,
    }
}

/// A Roman number in front of what is numbered so: `XXI век`, `в III квартале`.
pub fn roman(word: &str, rest: &str, before: &str) -> Option<String> {
    const COUNTED: [(&str, Gender); 14] = [
        ("век", Gender::Masculine),
        ("квартал", Gender::Masculine),
        ("этап", Gender::Masculine),
        ("класс", Gender::Masculine),
        ("корпус", Gender::Masculine),
        ("том", Gender::Masculine),
        ("съезд", Gender::Masculine),
        ("степен", Gender::Feminine),
        ("групп", Gender::Feminine),
        ("категори", Gender::Feminine),
        ("част", Gender::Feminine),
        ("глав", Gender::Feminine),
        ("полугоди", Gender::Neuter),
        ("тысячелети", Gender::Neuter),
    ];
    let n = value(word)?;
    let noun = next_word(rest);
    let (_, gender) = COUNTED.iter().find(|(stem, _)| noun.starts_with(stem))?;
    let ends = |endings: &[char]| noun.ends_with(endings);
    let case = match gender {
        Gender::Feminine if ends(&['ь', 'а', 'я']) => Case::Nominative,
        Gender::Feminine if ends(&['у', 'ю']) => Case::Accusative,
        Gender::Feminine => governed(before).filter(|case| *case != Case::Accusative).unwrap_or(Case::Genitive),
        _ if noun.ends_with("ом") || noun.ends_with("ем") => Case::Instrumental,
        _ if ends(&['а', 'я']) => Case::Genitive,
        _ if ends(&['у', 'ю']) => Case::Dative,
        _ if ends(&['и']) || *gender == Gender::Masculine && ends(&['е']) => Case::Prepositional,
        _ => Case::Nominative,
    };
    Some(ordinal(n, *gender, case))
}

fn value(roman: &str) -> Option<i64> {
    let digit = |c: char| match c {
        'I' => Some(1),
        'V' => Some(5),
        'X' => Some(10),
        'L' => Some(50),
        'C' => Some(100),
        _ => None,
    };
    let digits: Vec<i64> = roman.chars().map(digit).collect::<Option<_>>()?;
    let mut sum = 0;
    for (at, &value) in digits.iter().enumerate() {
        sum += if digits.get(at + 1).is_some_and(|&next| next > value) { -value } else { value };
    }
    (1..=399).contains(&sum).then_some(sum)
}
