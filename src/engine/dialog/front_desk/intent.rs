//! What a caller wants, from the words alone. Each question is a function of its own: one sentence may want several things.

use chrono::Weekday;

use crate::engine::Language;

use super::hours::Question;
use super::numbers;
use super::words::{self, Word, has_any};

/// A caller's sentence, taken apart once.
pub struct Heard {
    pub words: Vec<Word>,
    line: String,
    language: Language,
}

impl Heard {
    pub fn new(text: &str, language: Language) -> Self {
        let words = words::split(text);
        Heard { line: words::line(&words), words, language }
    }

    fn has(&self, ru: &[&str], en: &[&str]) -> bool {
        has_any(&self.line, if self.language == Language::Ru { ru } else { en })
    }

    /// Yes or no, by the first word that decides.
    pub fn yes(&self) -> Option<bool> {
        if self.has(
            &["не так", "не верно", "не правильно", "не тот", "не та", "не совсем", "не надо", "не нужно", "да нет"],
            &["not right", "not correct", "not quite", "that's not", "it's not", "isn't", "not it"],
        ) {
            return Some(false);
        }
        let short = self.words.len() <= 2;
        self.words.iter().find_map(|word| match word.plain.as_str() {
            "да"
            | "ага"
            | "угу"
            | "верно"
            | "правильно"
            | "точно"
            | "конечно"
            | "именно"
            | "хорошо"
            | "ок"
            | "окей"
            | "записывайте"
            | "запишите" => Some(true),
            // «Так, подождите» and «можно ещё раз» are no yes.
            "так" | "можно" | "давайте" | "пожалуй" if short => Some(true),
            "yes" | "yeah" | "yep" | "yup" | "correct" | "right" | "sure" | "exactly" | "ok" | "okay" | "please"
            | "absolutely" | "certainly" => Some(true),
            "нет" | "неа" | "неверно" | "неправильно" | "ошибка" | "ошиблись" | "ничего" | "неправильный" => {
                Some(false)
            }
            "no" | "nope" | "nah" | "wrong" | "incorrect" | "nothing" => Some(false),
            _ => None,
        })
    }

    pub fn is_farewell(&self) -> bool {
        let said = self.has(
            &[
                "до свидан*",
                "досвидан*",
                "всего доброго",
                "всего хорошего",
                "до встречи",
                "до связи",
                "прощайте",
                "хорошего дня",
                "удачного дня",
                "спасибо пока",
                "ну пока",
                "пока пока",
                "спасибо все",
                "все спасибо",
                "это все спасибо",
                "больше ничего",
            ],
            &[
                "bye",
                "goodbye",
                "bye-bye",
                "good bye",
                "have a good day",
                "have a nice day",
                "have a great day",
                "that's all",
                "that is all",
                "that will be all",
                "that'll be all",
                "nothing else",
            ],
        );
        // So the recogniser hears «до свидания» at times, but where something is brought to somebody's notice.
        let brings = ["довед*", "довес*", "довод*", "довож*", "донес*", "донос*", "донош*"];
        let misheard = || self.line.ends_with(" до сведения ") && !has_any(&self.line, &brings);
        said || self.line == " пока " || misheard()
    }

    pub fn is_thanks(&self) -> bool {
        self.words.len() <= 5 && self.has(&["спасибо", "благодар*"], &["thanks", "thank you", "cheers"])
    }

    /// «У меня вопрос», without the question.
    pub fn announces_question(&self) -> bool {
        self.has(&["вопрос", "вопросик", "спросить"], &["question", "ask"])
    }

    pub fn is_greeting(&self) -> bool {
        self.words.len() <= 4
            && self.has(
                &["здравствуй*", "добрый день", "доброе утро", "добрый вечер", "привет", "алло", "але", "ало"],
                &["hello", "hi", "hey", "good morning", "good afternoon", "good evening"],
            )
    }

    pub fn asks_whether_robot(&self) -> bool {
        self.has(
            &[
                "робот*",
                "бот",
                "автоответчик*",
                "вы живой человек",
                "живой человек",
                "вы человек",
                "ты человек",
                "с человеком говорю",
                "вы настоящ*",
                "искусственный интеллект",
                "нейросет*",
                "ты живая",
                "вы живая",
            ],
            &[
                "robot",
                "a bot",
                "an ai",
                "a machine",
                "a real person",
                "a human",
                "are you real",
                "are you human",
                "answering machine",
                "a computer",
            ],
        )
    }

    /// To be put through. We cannot, and say so.
    pub fn wants_transfer(&self) -> bool {
        self.has(
            &[
                "соедините",
                "соединить",
                "переключите",
                "переключить",
                "переведите на",
                "позовите",
                "пригласите",
                "оператор*",
            ],
            &[
                "put me through",
                "connect me",
                "transfer me",
                "speak to",
                "speak with",
                "talk to",
                "talk with",
                "operator",
            ],
        )
    }

    pub fn wants_message(&self) -> bool {
        self.has(
            &[
                "передайте",
                "передать",
                "передай",
                "сообщение",
                "перезвон*",
                "позвоните мне",
                "свяжитесь",
                "связаться со мной",
                "запишите",
                "записать",
                "оставить заявку",
                "оставить телефон",
                "оставить номер",
            ],
            &[
                "message",
                "call me back",
                "call back",
                "callback",
                "ring me back",
                "call me",
                "tell him",
                "tell her",
                "tell them",
                "let him know",
                "let her know",
                "let them know",
                "get back to me",
                "please tell",
                "pass on",
                "write down",
                "take down",
                "leave my number",
            ],
        )
    }

    /// «Не надо, я передумала.»
    pub fn cancels(&self) -> bool {
        self.words.len() <= 6
            && self.has(
                &[
                    "передумал",
                    "передумала",
                    "отмена",
                    "отмените",
                    "ничего не надо",
                    "не надо ничего",
                    "не нужно ничего",
                ],
                &["never mind", "nevermind", "cancel", "forget it", "changed my mind"],
            )
    }

    /// Does not want to tell a name or a number.
    pub fn refuses(&self) -> bool {
        self.has(
            &[
                "не скажу",
                "не хочу",
                "не буду",
                "неважно",
                "не важно",
                "без имени",
                "без номера",
                "нет номера",
                "нет телефона",
                "у вас есть",
                "он знает",
                "она знает",
                "они знают",
                "не надо",
                "не нужно",
            ],
            &[
                "rather not",
                "don't want",
                "won't say",
                "doesn't matter",
                "not important",
                "no number",
                "no phone",
                "skip",
                "you have my number",
                "he knows",
                "she knows",
                "they know",
                "has my number",
                "have my number",
            ],
        )
    }

    /// «На этот номер»: the one the call comes from.
    pub fn means_own_number(&self) -> bool {
        self.has(
            &[
                "этот номер",
                "этот же номер",
                "этому номеру",
                "этому же номеру",
                "тот же номер",
                "с которого звоню",
                "с которого я звоню",
                "этот телефон",
                "этот же",
                "у вас определился",
                "мой номер определился",
                "номер определился",
            ],
            &[
                "this number",
                "the same number",
                "same number",
                "number i'm calling from",
                "the one i'm calling",
                "number i am calling",
            ],
        )
    }

    /// «Повторите, пожалуйста.»
    pub fn asks_to_repeat(&self) -> bool {
        self.words.len() <= 6
            && self.has(
                &[
                    "повторите",
                    "повтори",
                    "еще раз",
                    "что вы сказали",
                    "не расслышал",
                    "не расслышала",
                    "не понял",
                    "не поняла",
                    "как вы сказали",
                ],
                &[
                    "repeat",
                    "say again",
                    "say that again",
                    "pardon",
                    "come again",
                    "didn't catch",
                    "didn't hear",
                    "once more",
                ],
            )
    }

    /// «Это всё», after a number dictated in parts.
    pub fn is_all(&self) -> bool {
        self.words.len() <= 5
            && self.has(
                &["все", "всё", "это весь", "весь номер", "конец"],
                &["that's it", "that's all", "that is it", "that is all", "done"],
            )
    }

    /// A question about opening hours, and which; «а в субботу?» is one too.
    pub fn asks_hours(&self) -> Option<Question> {
        let day = self.day();
        let named = self.has(
            &[
                "работаете",
                "офис работает",
                "работает офис",
                "магазин работает",
                "работает магазин",
                "режим работы",
                "график",
                "часы работы",
                "время работы",
                "расписание",
                "открыты",
                "открыто",
                "открыт",
                "закрыты",
                "закрыто",
                "закрыт",
                "открываетесь",
                "закрываетесь",
                "открывается",
                "закрывается",
                "до скольки",
                "до которого часа",
                "во сколько откр*",
                "во сколько закр*",
                "со скольки",
                "рабочие часы",
                "рабочее время",
                "рабочие дни",
                "выходные дни",
                "приемные часы",
            ],
            &[
                "you open",
                "you close",
                "you closed",
                "opening hours",
                "opening times",
                "opening time",
                "closing time",
                "office hours",
                "business hours",
                "working hours",
                "your hours",
                "what hours",
                "hours of operation",
                "open now",
                "open today",
                "open tomorrow",
                "open on",
                "open until",
                "open till",
                "still open",
                "open at",
                "schedule",
            ],
        );
        if day.is_some() && (named || self.words.len() <= 3) {
            return day;
        }
        let now = || self.has(&["сейчас", "уже", "еще"], &["now", "still", "already", "currently"]);
        named.then(|| if now() { Question::Now } else { Question::Always })
    }

    fn day(&self) -> Option<Question> {
        // «Послезавтра» and "the day after tomorrow" before what they contain.
        const DAYS: &[(&[&str], &[&str], Question)] = &[
            (&["послезавтра"], &["day after tomorrow"], Question::In(2)),
            (&["завтра"], &["tomorrow"], Question::In(1)),
            (&["выходн*"], &["weekend", "weekends"], Question::Weekend),
            (&["понедельник*"], &["monday*"], Question::On(Weekday::Mon)),
            (&["вторник*"], &["tuesday*"], Question::On(Weekday::Tue)),
            (&["сред*"], &["wednesday*"], Question::On(Weekday::Wed)),
            (&["четверг*"], &["thursday*"], Question::On(Weekday::Thu)),
            (&["пятниц*"], &["friday*"], Question::On(Weekday::Fri)),
            (&["суббот*"], &["saturday*"], Question::On(Weekday::Sat)),
            (&["воскресень*"], &["sunday*"], Question::On(Weekday::Sun)),
            (&["сегодня"], &["today", "tonight"], Question::In(0)),
        ];
        DAYS.iter().find(|(ru, en, _)| self.has(ru, en)).map(|(_, _, question)| *question)
    }

    /// How many words say something: neither politeness nor pronouns nor sounds, nor what only opens a message, nor
    /// numbers, nor the caller's `name`.
    pub fn weight(&self, name: Option<&str>) -> usize {
        let name = words::plain(name.unwrap_or_default());
        let says_something = |w: &&Word| {
            let known = words::is_listed(&w.plain, EMPTY) || name.split(' ').any(|n| n == w.plain);
            !known && !numbers::is_number_word(w, self.language)
        };
        self.words.iter().filter(says_something).count()
    }
}

const EMPTY: &str = "\
    а э ээ эм м мм ну вот и да нет же бы ли я мы вы мне меня вас вам нам это то так у в на с к для пожалуйста \
    здравствуйте здравствуй добрый доброе день утро вечер алло але привет спасибо хочу хотел хотела хотелось можно \
    могу можете нужно надо скажите подскажите слушайте девушка лидия сообщение оставить передать передайте \
    записать запишите перезвоните перезвонить позвоните мной свяжитесь есть вопрос вопросик зовут имя мое мой \
    номер телефон беспокоит говорит до свидания всего доброго хорошего uh um er hm well so and yes no i i'd i'm we \
    you me my a an the to for of please hello hi hey good morning afternoon evening thanks thank want would like \
    could can may need just lydia lidia message leave take have got question name is number phone this call back \
    bye goodbye okay ok";

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    fn heard(text: &str) -> Heard {
        let language = if text.chars().any(|c| ('а'..='я').contains(&c)) { Ru } else { En };
        Heard::new(text, language)
    }

    #[test]
    fn yes_and_no_are_told_apart() {
        for (text, expected) in [
            ("Да, верно.", Some(true)),
            ("Угу", Some(true)),
            ("Всё правильно, нет ошибок", Some(true)),
            ("Нет.", Some(false)),
            ("Не верно", Some(false)),
            ("Нет, не так, 8 916", Some(false)),
            ("Да нет, спасибо", Some(false)),
            ("Анна Коваленко", None),
            ("Так, подождите минуту", None),
            ("Можно", Some(true)),
            ("Yes, that's right.", Some(true)),
            ("That's not right", Some(false)),
            ("Nope", Some(false)),
            ("John", None),
        ] {
            assert_eq!(heard(text).yes(), expected, "{text}");
        }
    }

    #[test]
    fn farewells_are_understood() {
        for text in [
            "Спасибо, до свидания!",
            "Нет, спасибо до сведения.",
            "Ну всё, всего доброго",
            "Пока",
            "Thanks, bye!",
            "That's all, thank you",
            "Goodbye.",
        ] {
            assert!(heard(text).is_farewell(), "{text}");
        }
        for text in [
            "Пока не знаю",
            "Спасибо",
            "Я бы хотел узнать цены",
            "Is the bypass open?",
            "Всё правильно",
            "Доведите это до сведения директора",
            "Прошу довести это до сведения.",
            "Довожу до сведения.",
            "Доношу это до сведения.",
        ] {
            assert!(!heard(text).is_farewell(), "{text}");
        }
    }

    #[test]
    fn hours_questions_name_their_day() {
        for (text, expected) in [
            ("Вы сегодня работаете?", Some(Question::In(0))),
            ("До скольки вы работаете послезавтра?", Some(Question::In(2))),
            ("А в субботу вы открыты?", Some(Question::On(Weekday::Sat))),
            ("Вы сейчас открыты?", Some(Question::Now)),
            ("Какой у вас график работы?", Some(Question::Always)),
            ("Работаете в выходные?", Some(Question::Weekend)),
            ("А в субботу?", Some(Question::On(Weekday::Sat))),
            ("Нужна доставка в субботу.", None),
            ("Сколько стоит доставка?", None),
            ("Are you open now?", Some(Question::Now)),
            ("What are your opening hours on Sunday?", Some(Question::On(Weekday::Sun))),
            ("When do you close tonight?", Some(Question::In(0))),
            ("I have a question about my order", None),
            ("I would like to open an account", None),
            ("У меня не работает интернет", None),
            ("Хочу открыть счёт", None),
        ] {
            assert_eq!(heard(text).asks_hours(), expected, "{text}");
        }
    }

    #[test]
    fn only_words_that_say_something_weigh() {
        for (text, expected) in [
            ("Здравствуйте, я хотела бы оставить сообщение.", 0),
            ("Мне нужны трубы для дачи", 3),
            ("Э-э, ну вот", 1),
            ("Hello, I'd like to leave a message please", 0),
            ("I need a new boiler", 2),
            ("Меня зовут, восемь девятьсот", 0),
        ] {
            assert_eq!(heard(text).weight(None), expected, "{text}");
        }
    }
}
