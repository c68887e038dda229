//! Conversations in which both speak: baresip calls the program and says what tests/data/speech/dialogues.json wants over her
//! voice or after it, and what was on the wire judges.

use std::ops::Range;
use std::time::Duration;

use secretary::rtp::codec::{Codec, g711};
use serde_json::Value;

use crate::support::baresip::Baresip;
use crate::support::netns::Netns;
use crate::support::process::wait_until;
use crate::support::recordings::manifest;
use crate::support::secretary::{CallFiles, Record, Secretary, Turn};
use crate::support::speech::by_telephone;
use crate::support::wav::{self, TELEPHONE_HZ};
use crate::support::wer::{wer_by_digits, words};
use crate::support::wire::{Call, Capture};

/// How long something may take that takes seconds.
const SOON: Duration = Duration::from_secs(60);
static SILENCE: [i16; 60 * TELEPHONE_HZ as usize] = [0; 60 * TELEPHONE_HZ as usize];
/// Enough to find a sound again, in samples.
const PIECE: usize = 800;
/// A trunk for each kind of caller. She speaks with espeak-ng alone: the callers' voices are those that she has else, and her own
/// voice would be an echo to her. No «Секунду…»: which of her words are the answer must be beyond doubt.
const CONFIG: &str = r#"
[turn]
filler_after_ms = 15000

[tts]
voices = []

[office]
greeting.ru = "Вас приветствует городская стоматологическая поликлиника на Садовой улице. Мы работаем с девяти утра до девяти вечера. Чем могу помочь?"
greeting.en = "You have reached the dental surgery at the corner of Garden Street and Station Road. We are open from nine to nine. How can I help you?"

[[account]]
name = "ru"
registrar = "127.0.0.1"
register = false
username = "ru"

[[account]]
name = "en"
registrar = "127.0.0.1"
register = false
username = "en"
languages = ["en"]

[[account]]
name = "tones"
registrar = "127.0.0.1"
register = false
username = "tones"
dtmf = "inband"
"#;

#[test]
fn she_stops_for_who_speaks_over_her() {
    let office = Office::open();
    for dialogue in dialogues("interrupt") {
        let mut talk = office.call(dialogue.language());
        for (at, name) in dialogue.events() {
            let prompt = talk.prompt();
            let (onset, end) = talk.say(prompt + at, name);
            let wire = talk.wait("he has finished", |call| call.now() >= end);
            let heard = wire.heard_in(onset..end);
            let (_, until) = heard.unwrap_or_else(|| panic!("{name}: it was not said over her"));
            let stopped_ms = (until - onset) * 1_000.0;
            println!("{}: silent {stopped_ms:.0} ms after the onset of {name}", dialogue.id());
            assert!(stopped_ms <= dialogue.max_stop_ms(), "{name}: {stopped_ms:.0} ms");
        }
        let clips = dialogue.events().len();
        let record = talk.end("all is answered", |record| record.answered_turns().len() >= clips);
        let turns = record.turns();
        for turn in &turns[..clips] {
            assert!(turn.secretary.starts_with(&turn.heard) && turn.heard != turn.secretary, "{turns:?}");
        }
        assert_eq!(turns.len(), 1 + clips, "{turns:?}");
    }
}

#[test]
fn she_goes_on_for_who_does_not() {
    let office = Office::open();
    let undisturbed = office.call("ru");
    undisturbed.prompt_end(|record| !record.turns().is_empty());
    let last_words = undisturbed.wire().last_words().to_vec();
    undisturbed.end("she has greeted", |record| !record.turns().is_empty());
    for dialogue in dialogues("no_interrupt") {
        assert_eq!(dialogue.language(), "ru", "{}: another greeting", dialogue.id());
        let mut talk = office.call("ru");
        let prompt = talk.prompt();
        for (at, name) in dialogue.events() {
            talk.say(prompt + at, name);
        }
        talk.prompt_end(|record| !record.turns().is_empty());
        assert!(talk.wire().has_answered(&last_words), "{}: another end", dialogue.id());
        let turns = talk.end("she has greeted", |record| !record.turns().is_empty()).turns();
        let [greeting] = &turns[..] else { panic!("{}: {turns:?}", dialogue.id()) };
        assert_eq!((&greeting.heard, greeting.caller.as_str()), (&greeting.secretary, ""), "{}", dialogue.id());
    }
}

#[test]
fn a_number_with_pauses_is_one_turn() {
    let office = Office::open();
    for dialogue in dialogues("one_turn") {
        let mut talk = office.call(dialogue.language());
        let greeted = talk.prompt_end(|record| !record.turns().is_empty());
        let (request, question) = match dialogue.language() {
            "ru" => ("ru_message_1.wav", "По какому номеру"),
            _ => ("en_message_1.wav", "What number"),
        };
        talk.say(greeted + 0.6, request);
        let is_asked = |turn: &Turn| turn.heard.contains(question);
        let asked = talk.prompt_end(|record| record.turns().iter().any(is_asked));
        for (at, name) in dialogue.events() {
            talk.say(asked + at, name);
        }
        let turns = talk.end("the number is answered", |record| record.answered_turns().len() >= 2).turns();
        let [_, _, dictated] = &turns[..] else { panic!("{turns:?}") };
        let digits: String = words(&dictated.caller).concat().chars().filter(char::is_ascii_digit).collect();
        // «Девятьсот шестнадцать» of the Russian voice is 966 to Whisper base, and of five fives in a row it may write four: one
        // digit of the eleven may be wrong.
        let wrong = wer_by_digits(dialogue.text("digits"), &digits);
        assert!(wrong <= 1.0 / 11.0, "{}: {digits} of {turns:?}", dialogue.id());
    }
}

#[test]
fn who_says_hello_late_is_answered() {
    let office = Office::open();
    for dialogue in dialogues("answer") {
        let mut talk = office.call(dialogue.language());
        let greeted = talk.prompt_end(|record| !record.turns().is_empty());
        for (at, name) in dialogue.events() {
            talk.say(greeted + at, name);
        }
        let turns = talk.end("he is answered", |record| !record.answered_turns().is_empty()).turns();
        let [greeting, answer] = &turns[..] else { panic!("{turns:?}") };
        assert_eq!((&greeting.heard, &answer.heard), (&greeting.secretary, &answer.secretary));
    }
}

#[test]
fn keys_over_her_are_in_the_record() {
    let office = Office::open();
    for dialogue in dialogues("dtmf") {
        let mut talk = office.call("tones");
        let prompt = talk.prompt();
        for (at, name) in dialogue.events() {
            let (_, end) = talk.say(prompt + at, name);
            talk.wait("all keys are pressed", |call| call.now() >= end);
        }
        let turns = talk.end("she has greeted", |record| !record.turns().is_empty()).turns();
        let keys: String = turns.iter().map(|turn| turn.keys.as_str()).collect();
        assert_eq!(keys, "1234567890*#", "{turns:?}");
    }
}

/// The program at work, and what goes over the wire.
struct Office {
    secretary: Secretary,
    capture: Capture,
    netns: Netns,
}

impl Office {
    fn open() -> Self {
        let netns = Netns::new();
        let capture = Capture::start(&netns);
        Self { secretary: Secretary::start_with(&netns, 5060, &[], CONFIG, &[]), capture, netns }
    }

    /// A caller of that trunk, who is silent.
    fn call(&self, trunk: &str) -> Talk<'_> {
        let silence = self.netns.dir().join("silence.wav");
        wav::write(&silence, &SILENCE, TELEPHONE_HZ);
        let calls = self.capture.calls().len() + 1;
        let mut caller = Baresip::call(&self.netns, &format!("sip:{trunk}@127.0.0.1:5060"), &silence);
        caller.wait_established();
        Talk { office: self, caller, files: self.secretary.wait_calls(calls, SOON), calls, said_until: 0.0 }
    }
}

struct Talk<'o> {
    office: &'o Office,
    caller: Baresip,
    files: CallFiles,
    /// So many calls were there with this one.
    calls: usize,
    /// When the caller's last words end, in seconds.
    said_until: f64,
}

impl Talk<'_> {
    fn wire(&self) -> Call {
        self.wait("the call is on the wire", |_| true)
    }

    /// Waits until the wire shows it.
    fn wait(&self, what: &str, is_there: impl Fn(&Call) -> bool) -> Call {
        wait_until(what, SOON, || self.office.capture.calls().into_iter().nth(self.calls - 1).filter(&is_there))
    }

    /// When she begins to speak after the caller's last words.
    fn prompt(&self) -> f64 {
        let heard = |call: &Call| call.heard_in(self.said_until..f64::MAX);
        heard(&self.wait("she speaks", |call| heard(call).is_some())).expect("her voice").0
    }

    /// When she has finished what the record then has.
    fn prompt_end(&self, is_recorded: impl Fn(&Record) -> bool) -> f64 {
        self.files.wait_record("she has finished", SOON, is_recorded);
        self.wire().heard_in(self.said_until..f64::MAX).expect("her voice").1
    }

    /// Plays a clip at this time; returns when its speech was on the wire, from when to when.
    fn say(&mut self, at: f64, name: &str) -> (f64, f64) {
        let (pcm, speech) = clip(name);
        let file = self.office.netns.dir().join(name);
        wav::write(&file, &[&pcm[..], &SILENCE].concat(), TELEPHONE_HZ);
        self.wait("it is time", |call| call.now() >= at);
        self.caller.play(&file);
        let sound = g711::encode(Codec::Pcma, &pcm[speech.start..][..PIECE]);
        let said_at = |call: &Call| call.said_at(&sound);
        let onset = said_at(&self.wait(name, |call| said_at(call).is_some())).expect("his voice");
        self.said_until = onset + speech.len() as f64 / f64::from(TELEPHONE_HZ);
        (onset, self.said_until)
    }

    /// Hangs up when the record has what is wanted.
    fn end(mut self, what: &str, is_recorded: impl Fn(&Record) -> bool) -> Record {
        self.files.wait_record(what, SOON, is_recorded);
        self.caller.hang_up();
        let record = self.files.wait_record("the call is completed", SOON, |record| record.status() == "completed");
        println!("{}", self.files.transcript());
        record
    }
}

/// A recording as the telephone carries it, and where in it somebody speaks, or makes a noise.
fn clip(name: &str) -> (Vec<i16>, Range<usize>) {
    let pcm = by_telephone(name);
    let known =
        manifest().into_iter().find(|recording| recording.file == name).and_then(|recording| recording.speech_s);
    let is_loud = |sample: &i16| sample.unsigned_abs() > 500;
    let speech = match known {
        Some((start_s, end_s)) => (start_s * TELEPHONE_HZ as f32) as usize..(end_s * TELEPHONE_HZ as f32) as usize,
        None => pcm.iter().position(is_loud).expect("a sound")..pcm.iter().rposition(is_loud).expect("a sound"),
    };
    (pcm, speech)
}

struct Dialogue(Value);

/// Those of which this is expected.
fn dialogues(expect: &str) -> Vec<Dialogue> {
    let all: Value = serde_json::from_str(include_str!("../data/speech/dialogues.json")).expect("JSON");
    let all = all["dialogues"].as_array().expect("dialogues").iter();
    let found: Vec<Dialogue> = all.filter(|dialogue| dialogue["expect"] == expect).cloned().map(Dialogue).collect();
    assert!(!found.is_empty(), "no dialogue expects {expect}");
    found
}

impl Dialogue {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().expect("a text")
    }

    fn id(&self) -> &str {
        self.text("id")
    }

    fn language(&self) -> &str {
        self.text("lang")
    }

    fn max_stop_ms(&self) -> f64 {
        self.0["max_stop_ms"].as_f64().expect("a time")
    }

    /// So long after the prompt began or ended, in seconds, this is played.
    fn events(&self) -> Vec<(f64, &str)> {
        let after_s = |at: &str| at.split_once('+').and_then(|(_, after)| after.parse().ok()).expect("a time");
        let events = self.0["events"].as_array().expect("events").iter();
        events.map(|event| (after_s(event["at"].as_str().unwrap()), event["play"].as_str().unwrap())).collect()
    }
}
