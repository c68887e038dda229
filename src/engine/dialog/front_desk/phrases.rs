//! What Lidia says, word for word. Every phrase that does not change is in [`Phrase`], so that a voice can prepare it.

use crate::engine::Language;

use super::numbers;

macro_rules! phrases {
    ($($name:ident: $ru:literal, $en:literal;)*) => {
        /// A phrase that is always said the same.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Phrase { $($name),* }

        impl Phrase {
            pub const ALL: &[Phrase] = &[$(Phrase::$name),*];

            pub const fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Phrase::$name, Language::Ru) => $ru, (Phrase::$name, Language::En) => $en,)*
                }
            }
        }
    };
}

phrases! {
    FillerMoment: "Секунду…", "One moment…";
    FillerLook: "Так, сейчас посмотрю…", "Let me see…";
    FillerMinute: "Минутку, пожалуйста…", "Just a moment, please…";
    AreYouThere: "Алло, вы меня слышите?", "Hello, are you still there?";
    StillListening: "Я вас слушаю.", "I am listening.";
    NotHeard: "Простите, я вас не расслышала. Повторите, пожалуйста.", "Sorry, I didn't catch that. Could you say it again, please?";
    NotUnderstood: "Простите, я вас не поняла. Скажите, пожалуйста, по-другому.", "Sorry, I didn't understand. Could you put it another way, please?";
    GiveUp: "К сожалению, я вас плохо слышу. Перезвоните, пожалуйста, ещё раз.", "I'm afraid I can't hear you well. Please call again.";
    Goodbye: "Всего доброго, до свидания!", "Thank you for calling. Goodbye!";
    GoodbyeSilence: "Вас не слышно. Перезвоните, пожалуйста. До свидания!", "I can't hear you. Please call again. Goodbye!";
    Hello: "Здравствуйте! Чем могу помочь?", "Hello! How can I help you?";
    YesListening: "Да, слушаю вас.", "Yes, go ahead.";
    Welcome: "Пожалуйста!", "You're welcome!";
    AnythingElse: "Чем ещё могу помочь?", "Is there anything else I can do for you?";
    Interrupted: "Простите, я сбилась.", "Sorry, I lost my thread.";
    Robot: "Я виртуальный секретарь, то есть программа, а не человек. Могу ответить на вопросы или записать сообщение.", "I am a virtual secretary: a program, not a person. I can answer questions or take a message.";
    NoTransfer: "К сожалению, соединить вас я не могу, но запишу сообщение и передам.", "I'm afraid I can't put you through, but I will take a message and pass it on.";
    WillPassOn: "Я запишу это и передам.", "I will write that down and pass it on.";
    TakeMessage: "Хорошо, я запишу сообщение.", "Of course, I will take a message.";
    AskName: "Как вас зовут?", "May I have your name, please?";
    AskNumber: "По какому номеру вам перезвонить?", "What number can we call you back on?";
    AskMatter: "Что передать?", "What is your message?";
    GoOn: "Так, слушаю дальше.", "Go on, please.";
    AskNumberAgain: "Продиктуйте, пожалуйста, номер ещё раз, по одной цифре.", "Please say the number again, one digit at a time.";
    NumberUnknown: "К сожалению, ваш номер не определился. Продиктуйте его, пожалуйста.", "I'm afraid your number did not show. Please tell me the number.";
    NumberLeft: "Хорошо, оставлю номер так, как записала.", "All right, I will leave the number as I have it.";
    NoNumber: "Хорошо, обойдёмся без номера.", "All right, we can do without a number.";
    NoName: "Хорошо, запишу без имени.", "All right, I will leave the name out.";
    IsItRight: "Верно?", "Is that right?";
    Fine: "Хорошо.", "All right.";
    Noted: "Спасибо, я всё записала и передам.", "Thank you, I have written it all down and will pass it on.";
    NothingNoted: "Хорошо, тогда передавать нечего.", "All right, then there is nothing to pass on.";
    NotedShort: "Я передам то, что записала.", "I will pass on what I have written down.";
    LeaveMessage: "Здравствуйте! Сейчас звонит сразу много людей, и ответить вам я не успею. Скажите, пожалуйста, как вас зовут, ваш номер и что передать: я всё запишу.", "Hello! A great many people are calling at the moment, and I cannot answer you. Please tell me your name, your number and your message: I will write it all down.";
    MessageLeft: "Спасибо, передам. До свидания!", "Thank you, I will pass it on. Goodbye!";
    Cancelled: "Хорошо, не записываю.", "All right, I won't take a message.";
}

/// The fillers, in the order in which they are used.
pub const FILLERS: &[Phrase] = &[Phrase::FillerMoment, Phrase::FillerLook, Phrase::FillerMinute];

pub fn number_is(number: &str, language: Language) -> String {
    let number = numbers::read_back(number, language);
    match language {
        Language::Ru => format!("Записала номер: {number}."),
        Language::En => format!("I have {number}."),
    }
}

pub fn pleased(name: &str, language: Language) -> String {
    match language {
        Language::Ru => format!("Очень приятно, {name}."),
        Language::En => format!("Thank you, {name}."),
    }
}

/// The greeting when secretary.toml has none; `{office}` is filled in.
pub const fn greeting(language: Language) -> &'static str {
    match language {
        Language::Ru => {
            "Здравствуйте! Вы позвонили в {office}. Меня зовут Лидия, я виртуальный секретарь. Чем могу помочь?"
        }
        Language::En => {
            "Hello! You have reached {office}. My name is Lidia, I am a virtual secretary. How can I help you?"
        }
    }
}

/// The office when secretary.toml does not name it.
pub const fn office(language: Language) -> &'static str {
    match language {
        Language::Ru => "наш офис",
        Language::En => "our office",
    }
}
