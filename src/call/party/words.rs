//! Who is on the line, by words: a menu of keys, an answering machine, a queue, another robot.
//!
//! A phrase is recognised when its words come in their order with at most two others between each. Only what machines say
//! and people do not is here: an order to press a key, not a story of one that was pressed.
//!
//! Left out: understanding what a menu's choices mean.

use serde::{Deserialize, Serialize};

use crate::engine::Language;

/// A machine that speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    /// Asks to press keys, and says what for: `('0', "для соединения с оператором")`, which may be empty.
    Menu { keys: Vec<(char, String)> },
    /// Takes a message after a tone.
    Voicemail,
    /// Asks to wait for somebody.
    Queue,
    /// Says something else that only machines say.
    Robot,
}

/// What a machine is, for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Menu,
    Voicemail,
    Queue,
    Robot,
}

/// What a menu calls a person, as the words begin.
const PERSON: &[&str] = &[
    "оператор",
    "сотрудник",
    "секретар",
    "специалист",
    "менеджер",
    "человек",
    "operator",
    "agent",
    "representative",
    "receptionist",
    "person",
    "somebody",
    "someone",
];

impl Machine {
    /// The key of a menu behind which a person is.
    pub fn key_for_a_person(&self) -> Option<char> {
        let Machine::Menu { keys } = self else { return None };
        let is_person = |purpose: &str| {
            let begins = |word: &str| PERSON.iter().any(|person| word.starts_with(person));
            purpose.to_lowercase().split_whitespace().any(begins)
        };
        keys.iter().find(|(_, purpose)| is_person(purpose)).map(|(key, _)| *key)
    }

    pub fn kind(&self) -> Kind {
        match self {
            Machine::Menu { .. } => Kind::Menu,
            Machine::Voicemail => Kind::Voicemail,
            Machine::Queue => Kind::Queue,
            Machine::Robot => Kind::Robot,
        }
    }
}

/// The machine that says this text; `None` for a person.
pub fn robot(text: &str, language: Language) -> Option<Machine> {
    let words = words(text);
    let phrases = phrases(language);
    let says = |some: &[&str]| some.iter().any(|phrase| contains(&words, phrase));
    if says(phrases.voicemail) && !says(phrases.of_people) {
        return Some(Machine::Voicemail);
    }
    let keys = keys(&words, phrases);
    if !keys.is_empty() {
        return Some(Machine::Menu { keys });
    }
    // Who asks, or speaks of himself, is a person, whatever his words.
    if text.contains('?') || says(phrases.persons) {
        return None;
    }
    if says(phrases.queue) {
        return Some(Machine::Queue);
    }
    says(phrases.robot).then_some(Machine::Robot)
}

/// What machines say: words of a phrase, `|` between those that may stand for each other, `*` for any ending.
struct Phrases {
    voicemail: &'static [&'static str],
    /// What makes the same words a person's.
    of_people: &'static [&'static str],
    /// What only persons say of themselves.
    persons: &'static [&'static str],
    queue: &'static [&'static str],
    robot: &'static [&'static str],
    press: &'static [&'static str],
    /// Who says it before, tells of a key and does not ask to press it.
    tells: &'static [&'static str],
    /// Words between the order and the key.
    key: &'static [&'static str],
    keys: &'static [(&'static str, char)],
    /// Begins what a key is for.
    purpose: &'static [&'static str],
    /// Between two choices.
    or: &'static str,
}

const RU: Phrases = Phrases {
    voicemail: &[
        "оставьте|произнесите|запишите|наговорите|продиктуйте сообщени* после сигнал*|гудк*|тона",
        "после сигнал*|гудк*|тона оставьте|произнесите|запишите|наговорите|говорите",
        "можете оставить сообщени* после сигнал*|гудк*",
        "вы позвонили автоответчик*",
        "вы попали голосов* почт*|ящик*",
        "вас приветствует автоответчик*",
        "это автоответчик",
    ],
    of_people: &["могу|можно оставить|наговорить", "я оставил*|наговорил*"],
    persons: &["мне|меня|мной|хочу|хотел*|звоню|передайте|скажите|подскажите"],
    queue: &[
        "ваш* звон*|вызов важен|важны",
        "оставайтесь на линии",
        "все операторы|специалисты|сотрудники|менеджеры|консультанты заняты",
        "в порядке очереди",
        "ожидайте ответа|соединения",
        "дождитесь ответа",
        "вы находитесь в очереди",
        "ваш номер|место в очереди",
        "не кладите|вешайте трубку",
        "происходит соединение",
        "идет соединение с",
    ],
    robot: &[
        "автоматическ*|автоматизированн* звонок|информатор|система|служба",
        "вас приветствует голосов*|виртуальн*|автоматическ*|электронн*",
        "я голосов*|виртуальн*|автоматическ*|электронн* помощник*|ассистент*|секретар*|робот*",
        "разговор*|звонк*|звонок записыва*|записан*",
        "аппарат абонента выключен",
        "телефон абонента выключен",
        "абонент недоступен",
        "абонент не отвечает",
        "абонент не может ответить",
        "вне зоны действия сети",
        "находится вне зоны",
        "набранный вами номер",
        "неправильно набран",
        "данный номер не существует|обслуживается",
        "введите номер|пароль|пароли|код|название|пинкод|добавочный",
        "введите новый|свой|ваш пароль|номер|код",
        "введите одно|одну|несколько слов|цифр*|букв*",
        "наберите внутренний|добавочный номер",
        "переведите|включите тональный",
        "в тональном режиме",
    ],
    press: &["нажмите", "нажимайте", "наберите", "выберите"],
    tells: &["не"],
    key: &["клавишу", "кнопку", "цифру", "на", "пожалуйста", "сейчас"],
    keys: &[
        ("1", '1'),
        ("один", '1'),
        ("одну", '1'),
        ("единиц*", '1'),
        ("2", '2'),
        ("два", '2'),
        ("две", '2'),
        ("двойк*", '2'),
        ("3", '3'),
        ("три", '3'),
        ("тройк*", '3'),
        ("4", '4'),
        ("четыре", '4'),
        ("5", '5'),
        ("пять", '5'),
        ("6", '6'),
        ("шесть", '6'),
        ("7", '7'),
        ("семь", '7'),
        ("8", '8'),
        ("восемь", '8'),
        ("9", '9'),
        ("девять", '9'),
        ("0", '0'),
        ("ноль", '0'),
        ("нуль", '0'),
        ("звездочк*", '*'),
        ("решетк*", '#'),
        ("решотк*", '#'),
        ("диез", '#'),
    ],
    purpose: &["для", "чтобы", "что", "если", "по", "в", "хотите"],
    or: "или",
};

const EN: Phrases = Phrases {
    voicemail: &[
        "leave|record your|a message after|at tone|beep|signal",
        "after|at the tone|beep leave|record|please",
        "you reached voicemail|mailbox",
        "you reached voice mail",
        "leave|record your|a message press|hang",
        "is not available leave|record message",
    ],
    of_people: &["i|we leave|left|record|recorded", "can|could|may i"],
    persons: &["i want|wanted|would|need|have", "i'm calling", "my name|number|call|order|bill"],
    queue: &[
        "your call is important",
        "stay|remain on the line",
        "please hold the|for line|next|a|an|while",
        "continue to hold",
        "thank you for holding",
        "all our|of agents|operators|representatives|lines|advisors are busy",
        "all agents|operators|representatives|lines|advisors are busy",
        "answered in the order",
        "you are in queue",
        "you are number|caller in line|queue",
        "next available agent|operator|representative|advisor",
    ],
    robot: &[
        "this is an automated",
        "i am|m virtual|automated assistant|agent|system",
        "this is virtual|automated assistant|agent|system",
        "call|calls may|will be recorded|monitored",
        "calls are recorded|monitored",
        "recorded|monitored for quality|training",
        "number you have dialed|dialled|called",
        "number not in service",
        "person|customer|subscriber you are calling|trying not|is available|unavailable",
        "enter your|the number|extension|pin|password|code|account",
        "dial by name directory",
        "if you know your party",
    ],
    press: &["press", "dial", "push"],
    tells: &["i", "we", "they", "he", "she", "not", "to", "did", "ve", "would", "must", "should", "t"],
    key: &["the", "key", "number", "button"],
    keys: &[
        ("1", '1'),
        ("one", '1'),
        ("2", '2'),
        ("two", '2'),
        ("3", '3'),
        ("three", '3'),
        ("4", '4'),
        ("four", '4'),
        ("5", '5'),
        ("five", '5'),
        ("6", '6'),
        ("six", '6'),
        ("7", '7'),
        ("seven", '7'),
        ("8", '8'),
        ("eight", '8'),
        ("9", '9'),
        ("nine", '9'),
        ("0", '0'),
        ("zero", '0'),
        ("star", '*'),
        ("pound", '#'),
        ("hash", '#'),
    ],
    purpose: &["for", "to", "if"],
    or: "or",
};

const fn phrases(language: Language) -> &'static Phrases {
    match language {
        Language::Ru => &RU,
        Language::En => &EN,
    }
}

/// A word in small letters without «ё», and whether a sentence ends after it.
struct Word {
    text: String,
    ends: bool,
}

fn words(text: &str) -> Vec<Word> {
    let pieces = text.split(|c: char| c.is_whitespace() || "-–—«»\"'’,:()".contains(c));
    let mut words: Vec<Word> = Vec::new();
    for piece in pieces {
        // Keys may be written as they stand on the telephone.
        let text: String = piece.chars().filter(|c| c.is_alphanumeric() || "*#".contains(*c)).collect();
        let ends = piece.ends_with(['.', '!', '?', ';', '…']);
        if !text.is_empty() {
            words.push(Word { text: text.to_lowercase().replace('ё', "е"), ends });
        } else if ends && let Some(last) = words.last_mut() {
            last.ends = true;
        }
    }
    words
}

/// Between two words of a phrase there may be so many others.
const BETWEEN: usize = 2;

fn contains(words: &[Word], phrase: &str) -> bool {
    (0..words.len()).any(|at| begins(&words[at..], phrase, 0))
}

/// Whether the phrase begins in one of the first `skip` words, or at the first one.
fn begins(words: &[Word], phrase: &str, skip: usize) -> bool {
    let (first, rest) = phrase.split_once(' ').unwrap_or((phrase, ""));
    (0..words.len().min(skip + 1))
        .any(|at| fits(&words[at].text, first) && (rest.is_empty() || begins(&words[at + 1..], rest, BETWEEN)))
}

fn fits(word: &str, pattern: &str) -> bool {
    pattern.split('|').any(|one| match one.strip_suffix('*') {
        Some(beginning) if !beginning.is_empty() => word.starts_with(beginning),
        _ => word == one,
    })
}

/// A key that a text asks for: it is told in `words[from..to]`.
struct Asked {
    key: char,
    from: usize,
    to: usize,
}

fn keys(words: &[Word], phrases: &Phrases) -> Vec<(char, String)> {
    let asked = asked(words, phrases);
    let is_purpose = |word: &Word| phrases.purpose.contains(&word.text.as_str());
    let said = |from: usize, to: usize| -> String {
        let words = words.get(from..to).unwrap_or_default().iter().map(|word| word.text.as_str());
        words.collect::<Vec<_>>().join(" ")
    };
    // Of this sentence alone.
    let since = |at: usize, from: usize| (from..at).rev().find(|&n| words[n].ends).map_or(from, |n| n + 1);
    let until = |from: usize, to: usize| {
        if words.get(from.wrapping_sub(1)).is_some_and(|word| word.ends) {
            return from;
        }
        (from..to).find(|&n| words[n].ends).map_or(to, |n| n + 1)
    };
    // «Для продаж нажмите один» or «Нажмите один для продаж»: all choices are told in the same way.
    let first_before = asked.first().map_or(0..0, |first| since(first.from, 0)..first.from);
    let before = first_before.clone().any(|n| is_purpose(&words[n]));
    let mut found = Vec::new();
    for (n, one) in asked.iter().enumerate() {
        let ahead = asked.get(n.wrapping_sub(1)).map_or(0, |previous| previous.to);
        let behind = asked.get(n + 1).map_or(words.len(), |next| next.from);
        let (from, to) = if before {
            let from = since(one.from, ahead);
            ((from..one.from).find(|&n| is_purpose(&words[n])).unwrap_or(from), one.from)
        } else {
            (one.to, until(one.to, behind))
        };
        let to = if (from..to).last().is_some_and(|last| words[last].text == phrases.or) { to - 1 } else { to };
        found.push((one.key, said(from, to)));
    }
    found
}

fn asked(words: &[Word], phrases: &Phrases) -> Vec<Asked> {
    let key_at = |at: usize| {
        let found = words.get(at).and_then(|word| key(&word.text, phrases));
        // More than one figure is a number.
        let is_figure = |word: &Word| key(&word.text, phrases).is_some() || word.text.starts_with(char::is_numeric);
        found.filter(|_| words[at].ends || !words.get(at + 1).is_some_and(is_figure))
    };
    let mut found: Vec<Asked> = Vec::new();
    for at in 0..words.len() {
        let word = words[at].text.as_str();
        let tells = at > 0 && phrases.tells.contains(&words[at - 1].text.as_str());
        let is_order = phrases.press.contains(&word) && !tells;
        // «… или два, если …»
        let is_other = word == phrases.or && !found.is_empty();
        if !is_order && !is_other {
            continue;
        }
        let place = (at + 1..words.len()).find(|&n| !phrases.key.contains(&words[n].text.as_str()));
        if let Some((place, key)) = place.and_then(|place| Some((place, key_at(place)?))) {
            found.push(Asked { key, from: at, to: place + 1 });
        }
    }
    found
}

fn key(word: &str, phrases: &Phrases) -> Option<char> {
    if let ("*" | "#", Some(key)) = (word, word.chars().next()) {
        return Some(key);
    }
    phrases.keys.iter().find(|(pattern, _)| fits(word, pattern)).map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    fn menu(keys: &[(char, &str)]) -> Machine {
        Machine::Menu { keys: keys.iter().map(|(key, what)| (*key, (*what).to_owned())).collect() }
    }

    #[test]
    fn menus_tell_their_keys_and_what_they_are_for() {
        for (language, text, keys) in [
            (
                Ru,
                "Нажмите 1 для перехода в режим воспроизведения. Нажмите 8 для перезаписи.",
                &[('1', "для перехода в режим воспроизведения"), ('8', "для перезаписи")][..],
            ),
            (Ru, "Для соединения с оператором нажмите ноль.", &[('0', "для соединения с оператором")]),
            (
                Ru,
                "Здравствуйте! Для отдела продаж нажмите один, для бухгалтерии нажмите два. По другим вопросам нажмите цифру 3.",
                &[('1', "для отдела продаж"), ('2', "для бухгалтерии"), ('3', "по другим вопросам")],
            ),
            (
                Ru,
                "нажмите один что бы перезаписать ваше временное сообщение или 2 чтобы его удалить",
                &[('1', "что бы перезаписать ваше временное сообщение"), ('2', "чтобы его удалить")],
            ),
            (
                Ru,
                "Пожалуйста, нажмите 1 для того, чтобы принять звонок, или 2, если вы не хотите его принимать.",
                &[('1', "для того чтобы принять звонок"), ('2', "если вы не хотите его принимать")],
            ),
            (
                Ru,
                "Нажмите звёздочку для включения паузы. Нажмите решетку для ввода нового названия.",
                &[('*', "для включения паузы"), ('#', "для ввода нового названия")],
            ),
            (
                Ru,
                "Нажмите 1, чтобы принять эту запись. Или просто оставайтесь на линии.",
                &[('1', "чтобы принять эту запись")],
            ),
            (Ru, "Введите новый пароль и нажмите решётку.", &[('#', "")]),
            // As Whisper writes them.
            (
                Ru,
                "Нажмите один, чтобы ввести номер или нажмите 2, чтобы воспользоваться справочником.",
                &[('1', "чтобы ввести номер"), ('2', "чтобы воспользоваться справочником")],
            ),
            (
                Ru,
                "Нажмите один, чтобы перезаписать ваши временные сообщения или два, чтобы его удалить.",
                &[('1', "чтобы перезаписать ваши временные сообщения"), ('2', "чтобы его удалить")],
            ),
            (Ru, "Нажмите звездочку, чтобы вернуться в главную меню.", &[('*', "чтобы вернуться в главную меню")]),
            (Ru, "ошибка регистрации, видите номер атератора и нажмите решетку.", &[('#', "")]),
            (
                Ru,
                "Нажмите один, чтобы принять эту запись или просто оставайтесь на линии.",
                &[('1', "чтобы принять эту запись или просто оставайтесь на линии")],
            ),
            (
                En,
                "Press one for sales, press two for support, or press zero to speak to an operator.",
                &[('1', "for sales"), ('2', "for support"), ('0', "to speak to an operator")],
            ),
            (
                En,
                "For English, press 1. To leave a message for the doctor, press the star key.",
                &[('1', "for english"), ('*', "to leave a message for the doctor")],
            ),
            (En, "Press # to finish.", &[('#', "to finish")]),
        ] {
            assert_eq!(robot(text, language), Some(menu(keys)), "{text}");
        }
    }

    #[test]
    fn other_machines_are_known_by_what_they_say() {
        use Machine::{Queue, Robot, Voicemail};
        for (language, text, machine) in [
            (Ru, "Оставьте сообщение после сигнала.", Voicemail),
            (Ru, "Никого нет дома. Пожалуйста, оставьте ваше сообщение после звукового сигнала.", Voicemail),
            (Ru, "После сигнала произнесите свое сообщение при статусе «занято» и нажмите решетку.", Voicemail),
            (Ru, "После сигнала произнесите свое сообщение при статусе занята и нажмите решетку.", Voicemail),
            (Ru, "Вы позвонили на автоответчик компании «Ромашка».", Voicemail),
            (Ru, "Спасибо! Оставайтесь на линии! Происходится идининнее с обонентом!", Queue),
            (Ru, "Ваш звонок очень важен для нас.", Queue),
            (Ru, "Оставайтесь на линии. Происходит соединение с абонентом.", Queue),
            (
                Ru,
                "В данный момент все операторы заняты. Пожалуйста, оставайтесь на линии — ваш вызов будет принят в порядке очереди.",
                Queue,
            ),
            (Ru, "Это автоматический звонок из поликлиники номер пять.", Robot),
            (Ru, "Здравствуйте! Вас приветствует виртуальный помощник банка.", Robot),
            (Ru, "Все разговоры записываются в целях повышения качества обслуживания.", Robot),
            (Ru, "Аппарат абонента выключен или находится вне зоны действия сети.", Robot),
            (Ru, "Извините, данный номер не существует. Пожалуйста, попробуйте еще раз.", Robot),
            (Ru, "Чтобы оставить сообщение, введите номер абонента.", Robot),
            (En, "I'm not here right now. Please leave a message after the beep.", Voicemail),
            (En, "You have reached the voicemail of John Smith.", Voicemail),
            (En, "Your call is very important to us. Please stay on the line.", Queue),
            (En, "All of our agents are currently busy.", Queue),
            (En, "Please hold while we connect you to the next available representative.", Queue),
            (En, "This is an automated message from your bank.", Robot),
            (En, "This call may be recorded for quality and training purposes.", Robot),
            (En, "The number you have dialed is not in service.", Robot),
        ] {
            assert_eq!(robot(text, language), Some(machine), "{text}");
        }
    }

    #[test]
    fn what_callers_say_is_no_machine() {
        for text in [
            "Здравствуйте! Подскажите, пожалуйста, до скольки вы сегодня работаете?",
            "Я нажал один, а меня никуда не соединили.",
            "Мне сказали нажать два, но ничего не произошло.",
            "Наберите меня, пожалуйста, по номеру восемь девять один шесть.",
            "Наберите 8 916 123 45 67.",
            "Передайте, чтобы он набрал мне до двух.",
            "Можно оставить сообщение для директора?",
            "Скажите, этот разговор записывается?",
            "Вы принимаете в порядке очереди?",
            "Я звоню, а абонент не отвечает, передайте ему, что я приеду.",
            "Оставьте ему, пожалуйста, сообщение, что я звонил.",
            "Я оставила сообщение после сигнала, но мне никто не перезвонил.",
            "Для меня это очень важный звонок.",
            "Я подожду на линии.",
            "У вас всё время занято, все операторы куда-то делись.",
            "Запишите меня на завтра, на два часа.",
            "Мой номер восемь, девять, один, шесть, один, два, три.",
            "Соедините меня с бухгалтерией.",
            "Вы робот или человек?",
            "Это голосовой помощник или живой человек?",
            "Алло, это стоматология?",
            "Да, всё верно. Один, два, три.",
        ] {
            assert_eq!(robot(text, Ru), None, "{text}");
        }
        for text in [
            "Hello, what time do you close today?",
            "I pressed one and nothing happened.",
            "When I press one for sales, it hangs up.",
            "Can I leave a message after the beep?",
            "Could I leave a message for the doctor?",
            "Please hold on a second, let me find my card.",
            "Four one five, five five five, zero one seven two.",
            "I was told to press 2.",
            "My call is about an important order.",
            "Are you a virtual assistant or a person?",
            "He was not an ill disposed young man.",
        ] {
            assert_eq!(robot(text, En), None, "{text}");
        }
    }
}
