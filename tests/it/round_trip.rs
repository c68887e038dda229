//! What the installed voices say, as the telephone carries it, is understood again: sentences by word error rate, telephone
//! numbers and times exactly.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

use Language::{En, Ru};
use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::tts::{
    CommandConfig, SpeakJob, SpeechChunk, Tts, TtsConfig, VitsConfig, VoiceConfig, VoiceOrder,
};
use secretary::engine::worker::Priority;
use secretary::engine::{Cancel, Language};

use crate::recognition::transcribe;
use crate::support::speech::{models, through_telephone};
use crate::support::wer::{wer, words};

/// Bounds on the words that are wrong, and on the numbers that are right.
const MAX_WORD_ERROR_RATE: f64 = 0.15;
const MIN_EXACT: f64 = 0.9;
/// Festival's voice says a hundred and what follows it as one, and the recogniser writes 310, 20 for «триста, десять, двадцать»: of
/// its telephone numbers no more than this is proved.
const MIN_EXACT_RUSSIAN_TELEPHONES: f64 = 0.4;

/// Joe never says a sentence twice the same way: nine times of ten are right in the mean of several runs, and two more may be wrong in
/// one.
const MIN_EXACT_ENGLISH_TIMES: f64 = 0.8;

const RUSSIAN: [&str; 20] = [
    "Здравствуйте! Стоматология на Садовой, меня зовут Лидия, чем могу помочь?",
    "Мы работаем с 9 утра до 6 вечера, в субботу до 2.",
    "Запишите, пожалуйста, номер заказа.",
    "Первичная консультация стоит 3000 рублей.",
    "Мы находимся на улице Ленина, вход со двора.",
    "Как вас зовут и по какому вопросу вы звоните?",
    "Я передам ваше сообщение, вам перезвонят сегодня.",
    "Секунду, пожалуйста, я посмотрю расписание.",
    "К сожалению, сегодня свободного времени уже нет.",
    "Вы можете прийти завтра в первой половине дня.",
    "Спасибо за звонок, всего доброго, до свидания.",
    "Оплатить можно картой или наличными.",
    "Повторите, пожалуйста, я вас не расслышала.",
    "Документы будут готовы в пятницу после обеда.",
    "Директор сейчас на совещании и не может подойти к телефону.",
    "Доставка по городу бесплатная.",
    "Соединяю вас с бухгалтерией, не кладите трубку.",
    "Мы отправим договор на вашу электронную почту.",
    "Возьмите с собой паспорт и полис.",
    "Вам удобнее утром или вечером?",
];

const ENGLISH: [&str; 20] = [
    "Hello! You have reached Smile Dental, this is Lidia, how can I help you?",
    "We are open from 9 in the morning until 6 in the evening.",
    "Could you tell me your name, please?",
    "The first consultation costs $30.",
    "We are on Garden Street, the entrance is in the yard.",
    "What is your call about?",
    "I will pass on your message, and somebody will call you back today.",
    "One moment, please, let me look at the schedule.",
    "I am sorry, there is no time left today.",
    "You can come tomorrow morning.",
    "Thank you for calling, have a nice day, goodbye.",
    "You can pay by card or in cash.",
    "Could you repeat that, please? I did not hear you.",
    "The documents will be ready on Friday after lunch.",
    "The director is in a meeting and cannot come to the telephone.",
    "Delivery within the city is free.",
    "I am connecting you with the accounting department, please hold the line.",
    "We will send the contract to your email address.",
    "Please bring your passport and your insurance card.",
    "Would you prefer the morning or the evening?",
];

const RUSSIAN_TELEPHONES: [&str; 10] = [
    "8 916 123-45-67",
    "8 903 555-12-34",
    "+7 495 767-18-90",
    "8 812 340-26-15",
    "8 921 604-77-32",
    "8 926 300-10-20",
    "8 800 250-44-55",
    "+7 985 417-63-09",
    "8 909 871-32-46",
    "8 499 238-56-71",
];

const ENGLISH_TELEPHONES: [&str; 10] = [
    "415-555-0172",
    "212-555-0148",
    "617-555-0139",
    "303-555-0164",
    "206-555-0187",
    "512-555-0126",
    "404-555-0193",
    "702-555-0115",
    "313-555-0158",
    "503-555-0131",
];

const RUSSIAN_TIMES: [&str; 10] =
    ["9:00", "18:30", "10:15", "14:45", "12:00", "17:20", "11:05", "8:40", "15:30", "19:00"];

const ENGLISH_TIMES: [&str; 10] =
    ["9:00 am", "6:30 pm", "10:15 am", "2:45 pm", "12:30 pm", "5:20 pm", "11:05 am", "8:40 am", "3:30 pm", "7:00 pm"];

fn start(voice: VoiceConfig) -> Tts {
    let onnx = OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap();
    let tts = Tts::start(&TtsConfig { workers: 1, voices: vec![voice], ..TtsConfig::default() }, &onnx).unwrap();
    assert_eq!(tts.voices()[0].problem, None);
    tts
}

fn joe() -> Tts {
    start(VoiceConfig::Vits(VitsConfig::new(En, models().join("en_US-joe-medium.onnx"))))
}

fn festival() -> Tts {
    start(VoiceConfig::Command(CommandConfig::festival_ru()))
}

/// What is understood of a text that a voice says.
fn heard(tts: &Tts, text: &str, language: Language) -> String {
    let (send, chunks) = sync_channel(64);
    let (voices, cancel, priority) = (VoiceOrder::default(), Cancel::default(), Priority::Final);
    let job = SpeakJob { text: text.to_owned(), language, rate_hz: 8_000, voices, cancel, priority };
    tts.speak(job, move |chunk| {
        drop(send.send(chunk));
        ControlFlow::Continue(())
    })
    .unwrap();
    let mut said = Vec::new();
    for chunk in chunks {
        match chunk {
            SpeechChunk::Pcm(pcm) => said.extend(pcm),
            SpeechChunk::Done => return transcribe(through_telephone(&said, 8_000), &[language]).text,
            SpeechChunk::Failed(error) => panic!("{error}"),
        }
    }
    panic!("it neither ended nor failed")
}

fn assert_understood(tts: &Tts, sentences: &[&str], language: Language) {
    let (mut wrong, mut all) = (0.0, 0.0);
    for said in sentences {
        let heard = heard(tts, said, language);
        let (rate, count) = (wer(said, &heard), words(said).len() as f64);
        println!("{rate:.2} {said} | {heard}");
        (wrong, all) = (wrong + rate * count, all + count);
    }
    println!("{:.3} of {all} words wrong", wrong / all);
    assert!(wrong / all <= MAX_WORD_ERROR_RATE);
}

/// Tens may be written as words.
const TENS: [(&str, &str); 4] = [("двадцать", "20"), ("тридцать", "30"), ("сорок", "40"), ("пятьдесят", "50")];

fn digits(text: &str) -> String {
    let text = TENS.iter().fold(text.to_lowercase(), |text, (word, digits)| text.replace(word, digits));
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Whether the digits that were understood are those that were said, no more and no less.
fn assert_exact(
    tts: &Tts,
    (frames, numbers): ([&str; 2], &[&str]),
    language: Language,
    said: impl Fn(&str) -> Vec<String>,
    bound: f64,
) {
    let mut exact = 0;
    for frame in frames {
        for number in numbers {
            let heard = heard(tts, &frame.replace("{}", number), language);
            let is_exact = said(number).contains(&digits(&heard));
            println!("{} {number} | {heard}", if is_exact { "exact" } else { "WRONG" });
            exact += usize::from(is_exact);
        }
    }
    let share = exact as f64 / (2 * numbers.len()) as f64;
    println!("{share:.2} of them exact");
    assert!(share >= bound);
}

/// «9:00» may be written 9:00 and 9 o'clock.
fn time(text: &str) -> Vec<String> {
    let whole = digits(text);
    let hour = whole.strip_suffix("00").map(str::to_owned);
    [Some(whole), hour].into_iter().flatten().collect()
}

fn telephone(text: &str) -> Vec<String> {
    vec![digits(text)]
}

#[test]
fn festival_is_understood_in_russian() {
    assert_understood(&festival(), &RUSSIAN, Ru);
}

#[test]
fn joe_is_understood_in_english() {
    assert_understood(&joe(), &ENGLISH, En);
}

#[test]
fn times_are_exact_in_russian() {
    let frames = ["Приём в {}.", "Мы ждём вас завтра в {}."];
    assert_exact(&festival(), (frames, &RUSSIAN_TIMES), Ru, time, MIN_EXACT);
}

#[test]
fn times_are_exact_in_english() {
    let frames = ["We close at {}.", "Your appointment is tomorrow at {}."];
    assert_exact(&joe(), (frames, &ENGLISH_TIMES), En, time, MIN_EXACT_ENGLISH_TIMES);
}

#[test]
fn telephone_numbers_are_exact_in_english() {
    let frames = ["My number is {}.", "Please call back at {}."];
    assert_exact(&joe(), (frames, &ENGLISH_TELEPHONES), En, telephone, MIN_EXACT);
}

#[test]
fn telephone_numbers_in_russian_as_far_as_festival_says_them() {
    let frames = ["Мой номер {}.", "Перезвоните, пожалуйста, по номеру {}."];
    assert_exact(&festival(), (frames, &RUSSIAN_TELEPHONES), Ru, telephone, MIN_EXACT_RUSSIAN_TELEPHONES);
}
