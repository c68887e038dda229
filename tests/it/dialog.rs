//! The dialog with a Gemini that works, and with one that fails in every way: the caller always gets a spoken answer.

use secrecy::SecretString;
use secretary::engine::Language::{self, En, Ru};
use secretary::engine::dialog::{
    Conversation, Dialog, DialogConfig, DialogEvent, FrontDeskConfig, GeminiConfig, Message, Who,
};
use tokio::sync::mpsc;

use crate::support::gemini::{GeminiStandIn, Mode};

const KEY: &str = "key-0123456789";

fn office() -> FrontDeskConfig {
    let office = toml::from_str("name.ru = 'ООО «Ромашка»'\nname.en = 'Romashka'\nhours.mon = '09:00-18:00'").unwrap();
    let faq = toml::from_str("ask.ru = ['адрес']\nanswer.ru = 'Мы на Садовой, дом пять.'").unwrap();
    FrontDeskConfig { office, faq: vec![faq] }
}

fn dialog(base_url: String) -> Dialog {
    // Short, because some stand-ins never answer; long enough for loopback on a busy machine.
    let gemini =
        GeminiConfig { base_url, first_token_timeout_ms: 1_500, stall_timeout_ms: 500, ..GeminiConfig::default() };
    let config = DialogConfig { gemini, ..DialogConfig::default() };
    Dialog::new(config, office(), Some(SecretString::from(KEY))).unwrap()
}

fn front_desk_alone() -> Dialog {
    Dialog::new(DialogConfig::default(), office(), None).unwrap()
}

/// One turn: the conversation after it, what was said, and whether the call is over.
async fn turn(
    dialog: &Dialog,
    conversation: Conversation,
    text: &str,
    language: Language,
) -> (Conversation, Vec<String>, bool) {
    let (events, mut heard) = mpsc::channel(1);
    let listen = async {
        let mut said = Vec::new();
        let mut over = false;
        while let Some(event) = heard.recv().await {
            assert!(!over, "nothing follows the end");
            match event {
                DialogEvent::Sentence(sentence) => said.push(sentence),
                DialogEvent::HangUp => over = true,
            }
        }
        (said, over)
    };
    let (conversation, (said, over)) =
        tokio::join!(dialog.reply(conversation, text.to_owned(), language, events), listen);
    println!("caller: {text}\n Lidia: {said:?}{}", if over { " and hangs up" } else { "" });
    assert!(!said.is_empty(), "no answer to {text:?}");
    let last = conversation.history().last().unwrap();
    assert_eq!((last.who, last.text.as_str()), (Who::Secretary, said.join(" ").as_str()));
    (conversation, said, over)
}

#[tokio::test]
async fn a_streamed_answer_is_spoken_sentence_by_sentence() {
    for mode in [Mode::Answer as fn(_) -> _, Mode::Bytewise] {
        let gemini =
            GeminiStandIn::start(mode(vec!["**Коне", "чно.** Мы ", "открыты до шести 😊. Прие", "зжайте!"])).await;
        let (_, said, over) =
            turn(&dialog(gemini.base_url()), Conversation::new(Ru, None), "Можно приехать посмотреть?", Ru).await;
        assert_eq!(said, ["Конечно.", "Мы открыты до шести.", "Приезжайте!"]);
        assert!(!over);
    }
}

#[tokio::test]
async fn the_request_carries_key_prompt_and_history() {
    let gemini = GeminiStandIn::start(Mode::Answer(vec!["Слушаю вас."])).await;
    let dialog = dialog(gemini.base_url());
    let mut conversation = Conversation::new(Ru, None);
    conversation.say(&dialog.greet(Ru));
    let (conversation, ..) = turn(&dialog, conversation, "Расскажите о скидках", Ru).await;
    turn(&dialog, conversation, "А для пенсионеров?", En).await;

    let requests = gemini.requests();
    let [first, second] = requests.as_slice() else { panic!("two requests: {requests:?}") };
    assert_eq!(first.line, "POST /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(first.header("x-goog-api-key"), Some(KEY));
    for request in &requests {
        let elsewhere =
            request.headers.iter().filter(|(name, _)| name != "x-goog-api-key").any(|(_, v)| v.contains(KEY));
        assert!(!elsewhere && !request.line.contains(KEY) && !request.body.to_string().contains(KEY));
    }
    let system = |at: usize| requests[at].body["systemInstruction"]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert!(system(0).starts_with("Ты — профессиональный виртуальный секретарь по имени Лидия"));
    assert!(system(0).contains("ООО «Ромашка»") && system(0).contains("Мы на Садовой, дом пять."));
    assert!(system(1).starts_with("You are a professional virtual secretary named Lidia"));

    let turns = second.contents();
    let turns: Vec<(&str, &str)> = turns.iter().skip(1).map(|(role, text)| (role.as_str(), text.as_str())).collect();
    assert_eq!(
        turns,
        [
            ("model", dialog.greet(Ru).as_str()),
            ("user", "Расскажите о скидках"),
            ("model", "Слушаю вас."),
            ("user", "А для пенсионеров?")
        ]
    );
    assert!(second.body["generationConfig"]["maxOutputTokens"].is_u64());
}

#[tokio::test]
async fn whatever_fails_before_the_first_sentence_the_front_desk_answers() {
    for mode in [
        Mode::Status(429, "quota"),
        Mode::Status(500, "internal"),
        Mode::Status(400, "User location is not supported for the API use."),
        Mode::HangBeforeHeaders,
        Mode::HangAfterHeaders,
        Mode::HangAfter(vec!["Секунду, я"]),
        Mode::CutAfter(vec![]),
        Mode::CutAfter(vec!["Мы откры"]),
        Mode::Empty,
        Mode::Answer(vec![" \n", "😊"]),
        Mode::NoEvents,
        Mode::GarbageJson,
        Mode::Flood,
        Mode::BlockedPrompt,
        Mode::BlockedAfter(vec![]),
        Mode::ErrorAfter(vec![]),
        Mode::Redirect("http://127.0.0.1:9/"),
    ] {
        println!("{mode:?}");
        let gemini = GeminiStandIn::start(mode).await;
        let dialog = dialog(gemini.base_url());
        let (_, said, over) = turn(&dialog, Conversation::new(Ru, None), "Какой у вас адрес?", Ru).await;
        assert_eq!(said, ["Мы на Садовой, дом пять.", "Чем ещё могу помочь?"]);
        assert!(!over);
        assert_eq!(gemini.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_gemini_that_cannot_be_reached_is_replaced_too() {
    let gone = GeminiStandIn::start(Mode::Empty).await;
    let dialog = dialog(gone.base_url());
    drop(gone);
    let (_, said, _) = turn(&dialog, Conversation::new(Ru, None), "Подскажите адрес", Ru).await;
    assert_eq!(said[0], "Мы на Садовой, дом пять.");
}

#[tokio::test]
async fn what_was_said_before_a_break_stands() {
    for mode in [
        Mode::CutAfter(vec!["Скидки есть. ", "Для пенсион"]),
        Mode::HangAfter(vec!["Скидки есть. ", "Для пенсион"]),
        Mode::BlockedAfter(vec!["Скидки есть. ", "Для пенсион"]),
        Mode::ErrorAfter(vec!["Скидки есть. ", "Для пенсион"]),
    ] {
        println!("{mode:?}");
        let gemini = GeminiStandIn::start(mode).await;
        let (_, said, over) = turn(&dialog(gemini.base_url()), Conversation::new(Ru, None), "Есть скидки?", Ru).await;
        assert_eq!(said, ["Скидки есть.", "Простите, я сбилась.", "Чем ещё могу помочь?"]);
        assert!(!over);
    }
}

#[tokio::test]
async fn a_broken_gemini_is_left_alone_for_a_while_but_a_filter_is_no_break() {
    let gemini = GeminiStandIn::start(Mode::Status(503, "overloaded")).await;
    let dialog = dialog(gemini.base_url());
    let (conversation, ..) = turn(&dialog, Conversation::new(Ru, None), "Какой адрес?", Ru).await;
    gemini.set_mode(Mode::Answer(vec!["Да."]));
    turn(&dialog, conversation, "Какой адрес?", Ru).await;
    assert_eq!(gemini.requests().len(), 1);

    let gemini = GeminiStandIn::start(Mode::BlockedPrompt).await;
    let dialog = self::dialog(gemini.base_url());
    let (conversation, ..) = turn(&dialog, Conversation::new(Ru, None), "Какой адрес?", Ru).await;
    gemini.set_mode(Mode::Answer(vec!["Да."]));
    let (_, said, _) = turn(&dialog, conversation, "Есть скидки?", Ru).await;
    assert_eq!(said, ["Да."]);
}

#[tokio::test]
async fn messages_and_farewells_stay_with_the_front_desk() {
    let gemini = GeminiStandIn::start(Mode::Answer(vec!["Этого я не знаю. Записать для вас сообщение?"])).await;
    let dialog = dialog(gemini.base_url());
    let mut conversation = Conversation::new(Ru, None);
    let mut over = false;
    for (text, expected) in [
        ("Здравствуйте, это Анна Коваленко. Есть скидки?", "Записать для вас сообщение?"),
        // The name has been told to Gemini already.
        ("Да, пожалуйста.", "По какому номеру вам перезвонить?"),
        ("восемь девятьсот шестнадцать сто двадцать три сорок пять шестьдесят семь", "Верно?"),
        ("Да", "Что передать?"),
        ("Пришлите прайс-лист", "Чем ещё могу помочь?"),
        ("До свидания", "Всего доброго, до свидания!"),
    ] {
        let said;
        (conversation, said, over) = turn(&dialog, conversation, text, Ru).await;
        assert_eq!(said.last().map(String::as_str), Some(expected));
    }
    assert!(over);
    assert_eq!(gemini.requests().len(), 1);
    let expected = Message {
        name: Some("Анна Коваленко".into()),
        number: Some("89161234567".into()),
        matter: Some("Пришлите прайс-лист".into()),
    };
    assert_eq!(conversation.message(), Some(&expected));
}

#[tokio::test]
async fn an_answer_thrown_away_leaves_the_conversation_as_it_was() {
    let gemini = GeminiStandIn::start(Mode::HangAfter(vec!["Скидки есть. Для"])).await;
    let dialog = dialog(gemini.base_url());
    let mut conversation = Conversation::new(Ru, None);
    conversation.say("Здравствуйте!");
    let (events, mut heard) = mpsc::channel(4);
    tokio::select! {
        _ = dialog.reply(conversation.clone(), "Есть скидки".into(), Ru, events) => panic!("the answer never ends"),
        event = heard.recv() => assert_eq!(event, Some(DialogEvent::Sentence("Скидки есть.".into()))),
    }
    assert_eq!(conversation.history().len(), 1);
    // A dropped answer is no failure of Gemini: it is asked again.
    gemini.set_mode(Mode::Answer(vec!["Для всех."]));
    let (conversation, said, _) = turn(&dialog, conversation, "Есть скидки для пенсионеров?", Ru).await;
    assert_eq!(said, ["Для всех."]);
    assert_eq!(conversation.history().len(), 3);
}

#[tokio::test]
async fn nobody_listening_is_no_error() {
    for dialog in [front_desk_alone(), dialog(GeminiStandIn::start(Mode::Answer(vec!["Да. Нет."])).await.base_url())]
    {
        let (events, heard) = mpsc::channel(1);
        drop(heard);
        let after = dialog.reply(Conversation::new(Ru, None), "Есть скидки?".into(), Ru, events).await;
        assert_eq!(after.history()[0].who, Who::Caller);
    }
}

#[tokio::test]
async fn without_a_key_the_front_desk_takes_a_message() {
    let dialog = front_desk_alone();
    assert!(dialog.greet(Ru).starts_with("Здравствуйте! Вы позвонили в ООО «Ромашка». Меня зовут Лидия"));
    assert_eq!(dialog.fixed_phrases()[0], (Ru, dialog.greet(Ru)));
    let mut conversation = Conversation::new(En, None);
    for text in
        ["I need a new boiler, please call me back.", "My name is John Smith, my number is 212 555 0178.", "Yes, bye!"]
    {
        (conversation, ..) = turn(&dialog, conversation, text, En).await;
    }
    let message = conversation.message().unwrap();
    assert_eq!(message.name.as_deref(), Some("John Smith"));
    assert_eq!(message.number.as_deref(), Some("2125550178"));
    assert_eq!(message.matter.as_deref(), Some("I need a new boiler, please call me back."));
    assert_eq!(serde_json::to_value(message).unwrap()["number"], "2125550178");
}
