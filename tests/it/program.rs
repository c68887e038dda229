//! The whole program on the telephone with itself: `secretary call` speaks to `secretary serve`.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::gemini::{GeminiStandIn, Mode};
use crate::support::netns::Netns;
use crate::support::process::wait_until;
use crate::support::secretary::{Record, Secretary, call};
use crate::support::speech::by_telephone;
use crate::support::wav;
use crate::support::wer::wer;

/// A port of the machine's own network that no telephone uses.
const PORT: u16 = 15_060;
const URI: &str = "sip:office@127.0.0.1:15060";
/// A greeting that is over soon.
const BRIEF: &str = "\n[office]\ngreeting.ru = \"Алло.\"\n";

fn clip(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech").join(name)
}

/// One call that plays these recordings, and its record.
fn one_call(netns: &Netns, secretary: &Secretary, recordings: &[PathBuf]) -> Record {
    let output = call(netns, URI, recordings);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = secretary.wait_call(Duration::from_secs(1));
    let record =
        files.wait_record("the call is completed", Duration::from_secs(30), |record| record.status() == "completed");
    println!("{}", files.transcript());
    for turn in record.turns() {
        if let Some(latency) = turn.to_first_audio_ms {
            println!("{latency:.0} ms from the end of {:?} to the first audio of the answer", turn.caller);
        }
    }
    record
}

#[test]
fn a_message_in_russian_has_the_right_name_number_and_matter() {
    let netns = Netns::host();
    let secretary = Secretary::start(&netns, PORT, &[]);
    let clips = ["ru_message_1.wav", "ru_message_2.wav", "ru_message_3.wav", "ru_message_4.wav"];
    let record = one_call(&netns, &secretary, &clips.map(clip));
    let [name, number, matter] = record.message();
    assert_eq!((name, number), ("Анна Коваленко", "89161234567"));
    let said = "Здравствуйте, меня зовут Анна Коваленко. Передайте, что я заболела.";
    assert!(wer(said, matter) <= 0.35, "{matter:?} instead of {said:?}");
    assert_eq!(record.ended_by(), "secretary", "after the farewell she hangs up");
}

#[test]
fn a_message_in_english_has_the_right_name_number_and_matter() {
    let netns = Netns::host();
    let secretary = Secretary::start(&netns, PORT, &[]);
    let record = one_call(&netns, &secretary, &["en_message_1.wav", "en_message_2.wav", "en_message_3.wav"].map(clip));
    let [name, number, matter] = record.message();
    assert_eq!((name, number), ("John Smith", "4155550172"));
    let said = "Hello, my name is John Smith. Please tell the doctor that I will be late tomorrow.";
    assert!(wer(said, matter) <= 0.35, "{matter:?} instead of {said:?}");
}

#[test]
fn a_call_over_tcp_is_answered_and_ctrl_c_leaves_nothing_running() {
    let netns = Netns::new();
    let mut secretary = Secretary::start_with(&netns, PORT, &[], BRIEF, &[]);
    let output = call(&netns, &format!("{URI};transport=tcp"), &[clip("ru_message_4.wav")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = secretary.wait_call(Duration::from_secs(1));
    files.wait_record("she hangs up", Duration::from_secs(30), |record| record.ended_by() == "secretary");
    assert!(secretary.interrupt().success());
    wait_until("the voices' programs are gone too", Duration::from_secs(2), || {
        netns.processes().is_empty().then_some(())
    });
}

#[test]
fn one_caller_too_many_is_told_that_the_line_is_busy() {
    let netns = Netns::host();
    let more = format!("{BRIEF}\n[stt]\noverload = \"busy\"\nfinal_deadline_ms = 1\n");
    let secretary = Secretary::start_with(&netns, PORT, &[], &more, &[]);
    let long = netns.dir().join("long.wav");
    wav::microphone(&clip("ru_real_0308.wav"), 0, 20, &long);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| call(&netns, URI, &[long]));
        secretary.wait_calls(1, Duration::from_secs(20));
        let output = call(&netns, URI, &[clip("ru_message_1.wav")]);
        assert_eq!(output.status.code(), Some(3), "busy: {}", String::from_utf8_lossy(&output.stderr));
        let refusal = refusal();
        assert!(refusal.starts_with("SIP/2.0 486 ") && refusal.contains("\r\nRetry-After: 30\r\n"), "{refusal}");
        assert!(first.join().unwrap().status.success());
    });
    // The line is free again.
    let output = call(&netns, URI, &[clip("ru_message_4.wav")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What the program says to one who calls it and is not taken.
fn refusal() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.connect(("127.0.0.1", PORT)).unwrap();
    let us = socket.local_addr().unwrap();
    let invite = format!(
        "INVITE {URI} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKbusy\r\nMax-Forwards: 70\r\nFrom: <sip:a@{us}>;tag=1\r\n\
         To: <{URI}>\r\nCall-ID: busy@{us}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@{us}>\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send(invite.as_bytes()).unwrap();
    let mut datagram = [0; 2_048];
    loop {
        let length = socket.recv(&mut datagram).expect("an answer");
        let answer = String::from_utf8_lossy(&datagram[..length]);
        if !answer.starts_with("SIP/2.0 1") {
            return answer.into_owned();
        }
    }
}

#[test]
fn one_caller_too_many_leaves_a_message() {
    let netns = Netns::host();
    let more = format!("{BRIEF}\n[stt]\noverload = \"message\"\nfinal_deadline_ms = 1\n");
    let secretary = Secretary::start_with(&netns, PORT, &[], &more, &[]);
    let [long, message] = ["long.wav", "message.wav"].map(|name| netns.dir().join(name));
    wav::microphone(&clip("ru_real_0308.wav"), 0, 40, &long);
    wav::microphone(&clip("ru_message_1.wav"), 0, 15, &message);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| call(&netns, URI, &[long]));
        secretary.wait_calls(1, Duration::from_secs(20));
        let output = call(&netns, URI, &[message]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let files = secretary.wait_calls(2, Duration::from_secs(1));
        let record = files.wait_record("the message is transcribed", Duration::from_secs(60), |record| {
            record.status() == "completed"
        });
        println!("{}", files.transcript());
        let said = "Здравствуйте, меня зовут Анна Коваленко. Передайте, что я заболела.";
        let [_, _, matter] = record.message();
        assert!(wer(said, matter) <= 0.35, "{matter:?} instead of {said:?}");
        assert!(record.turns()[0].heard.contains("ответить вам я не успею"), "{:?}", record.turns()[0]);
        assert!(first.join().unwrap().status.success());
    });
}

#[test]
fn whatever_gemini_does_the_caller_hears_an_answer() {
    let answer = vec!["Да, доставка рабо", "тает. Чем ещё ", "могу помочь?"];
    let broken = vec!["Одну минуту, я посмотрю. ", "Завтра у нас"];
    let cases = [
        (Mode::Answer(answer), Some("Да, доставка работает.")),
        (Mode::Status(429, "RESOURCE_EXHAUSTED"), None),
        (Mode::Status(500, "INTERNAL"), None),
        (Mode::HangBeforeHeaders, None),
        (Mode::CutAfter(broken), Some("Одну минуту, я посмотрю.")),
        (Mode::Empty, None),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let gemini = runtime.block_on(GeminiStandIn::start(Mode::Empty));
    let netns = Netns::host();
    // He asks once and listens to the end, however late the answer comes.
    let question = netns.dir().join("question.wav");
    wav::microphone(&clip("ru_real_0308.wav"), 0, 10, &question);
    let more = format!("{BRIEF}\n[dialog.gemini]\nbase_url = \"{}\"\n", gemini.base_url());
    for (mode, expected) in cases {
        let case = format!("{mode:?}");
        gemini.set_mode(mode);
        let asked_before = gemini.requests().len();
        // A program of its own for each: a Gemini that failed is left alone for a while.
        let mut secretary = Secretary::start_with(&netns, PORT, &[], &more, &[("GEMINI_API_KEY", "a-key")]);
        let record = one_call(&netns, &secretary, std::slice::from_ref(&question));
        secretary.interrupt();
        // A stall in the middle of the question makes two of it.
        let asked = gemini.requests().len() - asked_before;
        assert!((1..=2).contains(&asked), "{case}: Gemini was asked {asked} times");
        let turns = record.answered_turns();
        let turn = turns.first().unwrap_or_else(|| panic!("{case}: no answer was heard"));
        assert_eq!(turn.heard, turn.secretary, "{case}: all of the answer was heard");
        if let Some(expected) = expected {
            assert!(turn.heard.starts_with(expected), "{case}: {:?}", turn.heard);
        }
        println!("{case}: {:?}", turn.heard);
    }
}

/// He interrupts while Gemini still answers, and when it has: the next question comes with what he heard, not with what was said.
#[test]
fn gemini_is_told_of_an_interrupted_answer_what_was_heard() {
    // Half a minute of speech.
    const ANSWER: [&str; 4] = [
        "Наша компания занимается ремонтом квартир и загородных домов уже больше двадцати лет. ",
        "За это время мы сделали несколько тысяч кухонь, ванных комнат, спален и детских. ",
        "Сначала к вам приезжает мастер, который всё измеряет и считает, сколько это будет стоить. ",
        "Потом мы подписываем договор, привозим материалы и начинаем работать в удобное для вас время. ",
    ];
    let (question, interruption) = ("ru_real_0308.wav", "ru_real_0537.wav");
    let said = "Его сына я знал не так уж хорошо, но всё же лучше чем отца.";
    let netns = Netns::host();
    let silence = |seconds: usize| vec![0; seconds * 8_000];
    let sound = [by_telephone(question), silence(9), by_telephone(interruption), silence(20)].concat();
    let caller = netns.dir().join("caller.wav");
    wav::write(&caller, &sound, wav::TELEPHONE_HZ);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for mode in [Mode::HangAfter as fn(_) -> _, Mode::Answer] {
        let gemini = runtime.block_on(GeminiStandIn::start(mode(ANSWER.to_vec())));
        // Her own voice is that of the recordings.
        let more = format!(
            "{BRIEF}\n[tts]\nvoices = []\n\n[dialog.gemini]\nbase_url = \"{}\"\nstall_timeout_ms = 60000\n",
            gemini.base_url()
        );
        let mut secretary = Secretary::start_with(&netns, PORT, &[], &more, &[("GEMINI_API_KEY", "a-key")]);
        let contents = std::thread::scope(|scope| {
            scope.spawn(|| call(&netns, URI, std::slice::from_ref(&caller)));
            let contents = wait_until("Gemini is asked what he said over the answer", Duration::from_secs(90), || {
                let contents = gemini.requests().last()?.contents();
                contents.last().is_some_and(|(_, text)| wer(said, text) <= 0.35).then_some(contents)
            });
            secretary.interrupt();
            contents
        });
        let turns = secretary.wait_call(Duration::from_secs(1)).record().turns();
        println!("{contents:#?}");
        let [_, _, (_, asked), (answers, heard), (asks, _)] = &contents[..] else { panic!("{contents:?}, {turns:?}") };
        assert_eq!((answers.as_str(), asks.as_str()), ("model", "user"));
        assert!(!heard.is_empty() && ANSWER.concat().starts_with(heard.as_str()), "{heard:?}");
        let turn = turns.iter().find(|turn| turn.caller == *asked).unwrap_or_else(|| panic!("{turns:?}"));
        assert_eq!(turn.heard, *heard);
        assert!(turn.secretary.starts_with(heard.as_str()) && turn.secretary != *heard, "{turn:?}");
    }
}
