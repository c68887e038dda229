//! Opening hours: from secretary.toml, and as answers to "are you open".
//!
//! Left out: holidays and hours past midnight (a night is two intervals: "20:00-24:00" and the next day "00:00-02:00").

use chrono::{Datelike, Days, NaiveDateTime, NaiveTime, Timelike, Weekday};
use serde::Deserialize;

use crate::engine::Language;

/// The hours of each day of the week; a day that is left out is closed. Local time of the machine (`TZ`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hours {
    pub mon: Day,
    pub tue: Day,
    pub wed: Day,
    pub thu: Day,
    pub fri: Day,
    pub sat: Day,
    pub sun: Day,
}

/// The opening times of one day: `"09:00-18:00"`, with a break `"09:00-13:00, 14:00-18:00"`, or `"closed"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Day(Vec<Interval>);

/// In minutes from midnight; `from` is open, `to` (at most 24:00) is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval {
    from: u32,
    to: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("opening hours {0:?}: expected \"HH:MM-HH:MM\", several with a comma between them and in order, or \"closed\"")]
pub struct BadHours(String);

impl TryFrom<String> for Day {
    type Error = BadHours;

    fn try_from(text: String) -> Result<Self, BadHours> {
        if text.trim() == "closed" {
            return Ok(Day::default());
        }
        let mut intervals: Vec<Interval> = Vec::new();
        for part in text.split(',') {
            let interval = part.split_once('-').and_then(|(from, to)| {
                let (from, to) = (minutes(from.trim())?, minutes(to.trim())?);
                (from < to && intervals.last().is_none_or(|last| last.to <= from)).then_some(Interval { from, to })
            });
            intervals.push(interval.ok_or_else(|| BadHours(text.clone()))?);
        }
        Ok(Day(intervals))
    }
}

fn minutes(text: &str) -> Option<u32> {
    if text == "24:00" {
        return Some(24 * 60);
    }
    let time = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
    Some(time.hour() * 60 + time.minute())
}

/// What the caller asks about the hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// "Are you open now?"
    Now,
    /// "Are you open tomorrow?", days from today.
    In(u64),
    /// "Are you open on Saturday?"
    On(Weekday),
    /// "At weekends?"
    Weekend,
    /// "What are your hours?"
    Always,
}

impl Hours {
    /// Whether any hours were configured: without them nothing can be said about them.
    pub fn are_known(&self) -> bool {
        WEEK.iter().any(|day| !self.day(*day).0.is_empty())
    }

    pub fn answer(&self, question: Question, now: NaiveDateTime, language: Language) -> String {
        match question {
            Question::Now => self.now(now, language),
            Question::In(days) => self.on_date(days, now, language),
            Question::On(day) => self.on_weekday(day, language),
            Question::Weekend => {
                let (sat, sun) = (self.on_weekday(Weekday::Sat, language), self.on_weekday(Weekday::Sun, language));
                format!("{sat} {sun}")
            }
            Question::Always => self.always(language),
        }
    }

    /// The schedule as one line for a prompt or a "when are you open".
    pub fn always(&self, language: Language) -> String {
        let mut groups: Vec<(Weekday, Weekday, &Day)> = Vec::new();
        for day in WEEK {
            match groups.last_mut() {
                Some((_, last, hours)) if *hours == self.day(day) => *last = day,
                _ => groups.push((day, day, self.day(day))),
            }
        }
        let open: Vec<String> = groups
            .into_iter()
            .filter(|(_, _, hours)| !hours.0.is_empty())
            .map(|(first, last, hours)| format!("{} {}", days(first, last, language), intervals(hours, language)))
            .collect();
        match language {
            Language::Ru => format!("Мы работаем {}.", open.join(", ")),
            Language::En => format!("We are open {}.", open.join(", ")),
        }
    }

    fn now(&self, now: NaiveDateTime, language: Language) -> String {
        let minute = now.hour() * 60 + now.minute();
        let today = self.day(now.weekday());
        if let Some(open) = today.0.iter().find(|i| i.from <= minute && minute < i.to) {
            return match language {
                Language::Ru => format!("Да, сейчас мы работаем, до {}.", genitive(open.to)),
                Language::En => format!("Yes, we are open now, until {}.", clock(open.to)),
            };
        }
        let later = today.0.iter().find(|i| minute < i.from).map(|i| (0, i.from));
        let next = later.or_else(|| (1..=7).find_map(|n| self.day(plus(now, n)).0.first().map(|i| (n, i.from))));
        match (next, language) {
            (Some((n, from)), Language::Ru) => {
                format!("Сейчас мы закрыты. Откроемся {} в {}.", date_ru(n, now), accusative(from))
            }
            (Some((n, from)), Language::En) => {
                format!("We are closed now. We open {} at {}.", date_en(n, now), clock(from))
            }
            (None, Language::Ru) => "Сейчас мы закрыты.".to_owned(),
            (None, Language::En) => "We are closed now.".to_owned(),
        }
    }

    fn on_date(&self, in_days: u64, now: NaiveDateTime, language: Language) -> String {
        let day = self.day(plus(now, in_days));
        let over = in_days == 0 && day.0.last().is_some_and(|i| i.to <= now.hour() * 60 + now.minute());
        match (language, day.0.is_empty()) {
            (Language::Ru, true) => format!("{} мы не работаем.", capital(&date_ru(in_days, now))),
            (Language::En, true) => format!("We are closed {}.", date_en(in_days, now)),
            (Language::Ru, _) if over => format!("Сегодня мы работали {} и уже закрылись.", intervals(day, language)),
            (Language::En, _) if over => format!("We were open {} today and have closed.", intervals(day, language)),
            (Language::Ru, _) => {
                format!("{} мы работаем {}.", capital(&date_ru(in_days, now)), intervals(day, language))
            }
            (Language::En, _) => format!("We are open {} {}.", date_en(in_days, now), intervals(day, language)),
        }
    }

    fn on_weekday(&self, day: Weekday, language: Language) -> String {
        let hours = self.day(day);
        match (language, hours.0.is_empty()) {
            (Language::Ru, true) => format!("{} мы не работаем.", capital(on_ru(day))),
            (Language::En, true) => format!("We are closed on {}.", name_en(day)),
            (Language::Ru, false) => format!("{} мы работаем {}.", capital(on_ru(day)), intervals(hours, language)),
            (Language::En, false) => format!("On {} we are open {}.", name_en(day), intervals(hours, language)),
        }
    }

    fn day(&self, day: Weekday) -> &Day {
        match day {
            Weekday::Mon => &self.mon,
            Weekday::Tue => &self.tue,
            Weekday::Wed => &self.wed,
            Weekday::Thu => &self.thu,
            Weekday::Fri => &self.fri,
            Weekday::Sat => &self.sat,
            Weekday::Sun => &self.sun,
        }
    }
}

const WEEK: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

fn plus(now: NaiveDateTime, days: u64) -> Weekday {
    now.date().checked_add_days(Days::new(days)).unwrap_or(now.date()).weekday()
}

fn date_ru(in_days: u64, now: NaiveDateTime) -> String {
    match in_days {
        0 => "сегодня".to_owned(),
        1 => "завтра".to_owned(),
        n => on_ru(plus(now, n)).to_owned(),
    }
}

fn date_en(in_days: u64, now: NaiveDateTime) -> String {
    match in_days {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        n => format!("on {}", name_en(plus(now, n))),
    }
}

fn days(first: Weekday, last: Weekday, language: Language) -> String {
    match language {
        _ if (first, last) == (Weekday::Mon, Weekday::Sun) => match language {
            Language::Ru => "каждый день".to_owned(),
            Language::En => "every day".to_owned(),
        },
        Language::Ru if first == last => on_ru(first).to_owned(),
        Language::En if first == last => format!("on {}", name_en(first)),
        Language::Ru => {
            let from = if first == Weekday::Tue { "со" } else { "с" };
            format!("{from} {} по {}", genitive_day(first), on_ru(last).split_once(' ').map_or("", |(_, day)| day))
        }
        Language::En => format!("from {} to {}", name_en(first), name_en(last)),
    }
}

fn on_ru(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "в понедельник",
        Weekday::Tue => "во вторник",
        Weekday::Wed => "в среду",
        Weekday::Thu => "в четверг",
        Weekday::Fri => "в пятницу",
        Weekday::Sat => "в субботу",
        Weekday::Sun => "в воскресенье",
    }
}

fn genitive_day(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "понедельника",
        Weekday::Tue => "вторника",
        Weekday::Wed => "среды",
        Weekday::Thu => "четверга",
        Weekday::Fri => "пятницы",
        Weekday::Sat => "субботы",
        Weekday::Sun => "воскресенья",
    }
}

fn name_en(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

fn intervals(day: &Day, language: Language) -> String {
    let each: Vec<String> = day
        .0
        .iter()
        .map(|i| match language {
            Language::Ru if (i.from, i.to) == (0, 24 * 60) => "круглосуточно".to_owned(),
            Language::En if (i.from, i.to) == (0, 24 * 60) => "around the clock".to_owned(),
            Language::Ru => format!("с {} до {}", genitive(i.from), genitive(i.to)),
            Language::En => format!("from {} to {}", clock(i.from), clock(i.to)),
        })
        .collect();
    each.join(if language == Language::Ru { " и " } else { " and " })
}

/// «девяти», «девяти тридцати»: after «с» and «до». A voice reads «9:30» in the nominative, which is wrong there.
fn genitive(minutes: u32) -> String {
    const HOURS: [&str; 25] = [
        "нуля",
        "часа",
        "двух",
        "трёх",
        "четырёх",
        "пяти",
        "шести",
        "семи",
        "восьми",
        "девяти",
        "десяти",
        "одиннадцати",
        "двенадцати",
        "тринадцати",
        "четырнадцати",
        "пятнадцати",
        "шестнадцати",
        "семнадцати",
        "восемнадцати",
        "девятнадцати",
        "двадцати",
        "двадцати одного",
        "двадцати двух",
        "двадцати трёх",
        "полуночи",
    ];
    let hour = usize::try_from(minutes / 60).ok().and_then(|h| HOURS.get(h)).copied();
    let part = match minutes % 60 {
        0 => Some(""),
        10 => Some(" десяти"),
        15 => Some(" пятнадцати"),
        20 => Some(" двадцати"),
        30 => Some(" тридцати"),
        40 => Some(" сорока"),
        45 => Some(" сорока пяти"),
        50 => Some(" пятидесяти"),
        _ => None,
    };
    match (hour, part) {
        (Some(hour), Some(part)) => format!("{hour}{part}"),
        _ => format!("{}:{:02}", minutes / 60, minutes % 60),
    }
}

/// «девять», «девять 30»: after «в».
fn accusative(minutes: u32) -> String {
    const HOURS: [&str; 24] = [
        "ноль часов",
        "час",
        "два",
        "три",
        "четыре",
        "пять",
        "шесть",
        "семь",
        "восемь",
        "девять",
        "десять",
        "одиннадцать",
        "двенадцать",
        "тринадцать",
        "четырнадцать",
        "пятнадцать",
        "шестнадцать",
        "семнадцать",
        "восемнадцать",
        "девятнадцать",
        "двадцать",
        "двадцать один",
        "двадцать два",
        "двадцать три",
    ];
    let hour = usize::try_from(minutes / 60).ok().and_then(|h| HOURS.get(h));
    match (hour, minutes % 60) {
        (Some(hour), 0) => (*hour).to_owned(),
        (Some(hour), minute) => format!("{hour} {minute:02}"),
        (None, _) => format!("{}:{:02}", minutes / 60, minutes % 60),
    }
}

/// "9 a.m." would end a sentence for the voice, so: "9 AM", "9:30 AM", "noon", "midnight".
fn clock(minutes: u32) -> String {
    let (hour, minute) = (minutes / 60, minutes % 60);
    match (hour, minute) {
        (12, 0) => return "noon".to_owned(),
        (0 | 24, 0) => return "midnight".to_owned(),
        _ => {}
    }
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    if minute == 0 { format!("{hour} {half}") } else { format!("{hour}:{minute:02} {half}") }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    fn office() -> Hours {
        toml::from_str(
            "mon='09:00-18:00'\ntue='09:00-18:00'\nwed='09:00-18:00'\nthu='09:00-18:00'\n\
             fri='09:30-13:00, 14:00-17:45'\nsat='10:00-15:00'",
        )
        .unwrap()
    }

    fn at(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    #[test]
    fn answers_follow_the_schedule_and_the_clock() {
        // 2026-11-20 is a Friday.
        for (question, now, language, expected) in [
            (Question::Now, "2026-11-20 10:00", Ru, "Да, сейчас мы работаем, до тринадцати."),
            (Question::Now, "2026-11-20 13:30", Ru, "Сейчас мы закрыты. Откроемся сегодня в четырнадцать."),
            (Question::Now, "2026-11-20 18:00", Ru, "Сейчас мы закрыты. Откроемся завтра в десять."),
            (Question::Now, "2026-11-21 15:00", Ru, "Сейчас мы закрыты. Откроемся в понедельник в девять."),
            (Question::Now, "2026-11-21 15:00", En, "We are closed now. We open on Monday at 9 AM."),
            (Question::Now, "2026-11-19 12:00", En, "Yes, we are open now, until 6 PM."),
            (
                Question::In(0),
                "2026-11-20 10:00",
                Ru,
                "Сегодня мы работаем с девяти тридцати до тринадцати и с четырнадцати до семнадцати сорока пяти.",
            ),
            (Question::In(0), "2026-11-21 15:00", Ru, "Сегодня мы работали с десяти до пятнадцати и уже закрылись."),
            (Question::In(1), "2026-11-21 15:00", Ru, "Завтра мы не работаем."),
            (Question::In(1), "2026-11-20 15:00", En, "We are open tomorrow from 10 AM to 3 PM."),
            (Question::On(Weekday::Wed), "2026-11-21 15:00", Ru, "В среду мы работаем с девяти до восемнадцати."),
            (Question::On(Weekday::Sun), "2026-11-21 15:00", En, "We are closed on Sunday."),
            (
                Question::Weekend,
                "2026-11-20 10:00",
                Ru,
                "В субботу мы работаем с десяти до пятнадцати. В воскресенье мы не работаем.",
            ),
            (
                Question::Always,
                "2026-11-20 10:00",
                En,
                "We are open from Monday to Thursday from 9 AM to 6 PM, on Friday from 9:30 AM to 1 PM and \
                 from 2 PM to 5:45 PM, on Saturday from 10 AM to 3 PM.",
            ),
        ] {
            assert_eq!(office().answer(question, at(now), language), expected);
        }
    }

    #[test]
    fn days_alike_are_said_together() {
        let hours: Hours = toml::from_str("tue='10:00-20:00'\nwed='10:00-20:00'\nthu='00:00-24:00'").unwrap();
        assert_eq!(hours.always(Ru), "Мы работаем со вторника по среду с десяти до двадцати, в четверг круглосуточно.");
        assert!(!Hours::default().are_known());
    }

    #[test]
    fn bad_hours_say_what_is_expected() {
        for text in ["9-18", "18:00-09:00", "09:00-25:00", "", "09:00-13:00, 12:00-18:00", "09:00 - 18:00, closed"] {
            let error = Day::try_from(text.to_owned()).unwrap_err().to_string();
            assert!(error.contains("HH:MM-HH:MM"), "{text}: {error}");
        }
        let error = toml::from_str::<Hours>("mon='9 to 5'").unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
