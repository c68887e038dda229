//! How long a caller waits for an answer, told by the wire: the program itself with the front desk, sipp and baresip as callers
//! who play recordings, and tcpdump between them. Prints the tables of docs/listening.md and asserts nothing.
//!
//! `cargo bench --bench answer`, as root; needs the models, sipp, baresip, festival with its Russian voice and tcpdump. With
//! words after `--` it makes these calls alone: `cargo bench --bench answer -- 1 4 baresip`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

#[allow(dead_code, reason = "other parts are for the tests")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use secretary::rtp::codec::{Codec, g711};
use support::baresip::Baresip;
use support::netns::Netns;
use support::process::require_program;
use support::secretary::{Secretary, Turn, Wait};
use support::sipp::Sipp;
use support::wire::{Call, Capture};
use support::{speech, wav};

/// Calls at once, and how often.
const BATCHES: [(usize, usize); 4] = [(1, 2), (2, 1), (4, 1), (8, 1)];
/// What a caller says, of voices and of a person, and where his speech begins and ends in it, in seconds.
const UTTERANCES: [(&str, f64, f64); 6] = [
    ("ru_syn_hours.wav", 0.33, 4.59),
    ("ru_syn_address.wav", 0.33, 3.98),
    ("ru_syn_price.wav", 0.33, 3.36),
    ("ru_real_0308.wav", 0.42, 3.75),
    ("ru_real_0274.wav", 0.41, 3.63),
    ("ru_real_0695.wav", 0.41, 4.0),
];
/// The greeting, and an answer with what follows it.
const GREETING_S: f64 = 7.0;
const ANSWER_S: f64 = 9.0;
/// Calls begin one after the other, as they do.
const APART_MS: &str = "1300";
/// A turn of the record is that of an utterance when it begins so near to it.
const NEAR_S: f64 = 1.5;

/// The wire and the record tell the same instant so nearly.
const SURE_MS: f64 = 300.0;

/// From within `[sip]` on.
const CONFIG: &str = r#"max_calls = 64

[turn]
silence_s = 60

[office]
name.ru = "стоматологию «Улыбка»"

[office.hours]
mon = "09:00-21:00"
tue = "09:00-21:00"
wed = "09:00-21:00"
thu = "09:00-21:00"
fri = "09:00-21:00"
sat = "09:00-21:00"
sun = "09:00-21:00"

[[faq]]
ask.ru = ["ваш адрес", "где вы находитесь"]
answer.ru = "Мы на улице Садовой, дом пять."

[[faq]]
ask.ru = ["сколько стоит консультация", "сколько стоит"]
answer.ru = "Консультация стоит тысячу рублей."
"#;

fn main() {
    for program in ["sipp", "baresip", "festival", "tcpdump"] {
        require_program(program);
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let script = Script::new();
    println!("| calls | answers | p50 | p95 | worst | «Секунду…» | not counted |");
    println!("|---|---|---|---|---|---|---|");
    let mut parts = Vec::new();
    let mut each = Vec::new();
    for (calls, rounds) in BATCHES.into_iter().filter(|(calls, _)| is_wanted(&calls.to_string())) {
        let measured: Vec<_> = (0..rounds).map(|_| measure(&script, &Caller::Sipp(calls))).collect();
        parts.extend(report(&calls.to_string(), &measured));
        each.extend(list(&calls.to_string(), &measured));
    }
    if is_wanted("baresip") {
        let measured = [measure(&script, &Caller::Baresip)];
        parts.extend(report("1 (baresip)", &measured));
        each.extend(list("1 (baresip)", &measured));
    }
    println!("\nMeans in ms; they add up to the last column. What the record does not see is in \"wire\".\n");
    println!("| calls | decide | transcribe | think | speak | play | wire | all |");
    println!("|---|---|---|---|---|---|---|---|");
    parts.iter().for_each(|line| println!("{line}"));
    println!("\nEach answer: ms, and what ended the caller's turn.\n");
    println!("| calls | utterance | answers |");
    println!("|---|---|---|");
    each.iter().for_each(|line| println!("{line}"));
}

/// What was waited for after each of the utterances.
fn list(calls: &str, rounds: &[Round]) -> Vec<String> {
    let line = |(n, (name, ..)): (usize, &(&str, f64, f64))| {
        let answers = rounds.iter().flat_map(|round| &round.answers).filter(|answer| answer.utterance == n);
        let answers: Vec<String> = answers.map(|answer| format!("{:.0} {}", answer.wire, answer.end)).collect();
        format!("| {calls} | {name} | {} |", answers.join(", "))
    };
    UTTERANCES.iter().enumerate().map(line).collect()
}

/// What every caller plays.
struct Script {
    alaw: Vec<u8>,
    /// Where each utterance begins and ends, in seconds.
    spoken: Vec<(f64, f64)>,
}

impl Script {
    fn new() -> Self {
        let silence = |seconds: f64| vec![0_i16; (seconds * 8_000.0) as usize];
        let mut pcm = silence(GREETING_S);
        let mut spoken = Vec::new();
        for (name, from_s, to_s) in UTTERANCES {
            let at_s = pcm.len() as f64 / 8_000.0;
            spoken.push((at_s + from_s, at_s + to_s));
            pcm.extend(speech::by_telephone(name));
            pcm.extend(silence(ANSWER_S));
        }
        Self { alaw: g711::encode(Codec::Pcma, &pcm), spoken }
    }

    fn length(&self) -> Duration {
        Duration::from_millis(self.alaw.len() as u64 / 8)
    }

    fn write_wav(&self, path: &Path) {
        wav::write(path, &g711::decode(Codec::Pcma, &self.alaw), 8_000);
    }
}

enum Caller {
    Sipp(usize),
    Baresip,
}

/// An answer, in ms.
struct Answer {
    /// Which of the utterances it is to.
    utterance: usize,
    /// What ended the turn.
    end: String,
    /// From the caller's last sample on the wire to the first audible packet of the answer.
    wire: f64,
    /// To that of the filler before it.
    filler: Option<f64>,
    /// What the record says of the same turn.
    parts: Option<Wait>,
}

/// What one round gave: the answers, and the utterances that cannot be counted.
#[derive(Default)]
struct Round {
    answers: Vec<Answer>,
    /// She still spoke at their end, did not answer before the next one, or took them for no turn.
    not_counted: usize,
}

fn measure(script: &Script, caller: &Caller) -> Round {
    // Fresh: nothing that was said before is kept.
    let netns = Netns::new();
    fs::write(netns.dir().join("speech.alaw"), &script.alaw).expect("the sound of the callers");
    let mut secretary = Secretary::start_with(&netns, 5060, &[], CONFIG, &[]);
    let capture = Capture::start(&netns);
    match caller {
        Caller::Sipp(calls) => {
            let (calls, length) = (calls.to_string(), script.length().as_millis().to_string());
            let arguments = ["-m", &calls, "-l", &calls, "-r", "1", "-rp", APART_MS, "-d", &length];
            Sipp::caller(&netns, "speaks", "127.0.0.1:5060", &arguments).succeed();
        }
        Caller::Baresip => {
            let wav = netns.dir().join("speech.wav");
            script.write_wav(&wav);
            let mut baresip = Baresip::call(&netns, "sip:secretary@127.0.0.1:5060", &wav);
            baresip.wait_established();
            std::thread::sleep(script.length());
            baresip.hang_up();
        }
    }
    secretary.interrupt();
    let calls = capture.calls();
    let records = secretary.calls();
    let mut round = Round::default();
    for (call, files) in calls.iter().zip(&records) {
        let turns = files.record().answered_turns();
        for (n, &(from_s, to_s)) in script.spoken.iter().enumerate() {
            let next_s = script.spoken.get(n + 1).map(|(from_s, _)| *from_s);
            // One utterance may be taken for two turns: the answer is to the last.
            let is_it = |turn: &&Turn| turn.started_s > from_s - NEAR_S && turn.started_s < to_s;
            let turn = turns.iter().rfind(is_it);
            match turn.and_then(|turn| answer(call, n, to_s, next_s, turn)) {
                Some(answer) => round.answers.push(answer),
                None => round.not_counted += 1,
            }
        }
    }
    round
}

fn answer(call: &Call, utterance: usize, ended_s: f64, next_s: Option<f64>, turn: &Turn) -> Option<Answer> {
    let at = call.sent_at(ended_s)?;
    let until = next_s.and_then(|next| call.sent_at(next)).unwrap_or(f64::MAX);
    let bursts: Vec<f64> = call.answers_after(at)?.into_iter().filter(|&burst| burst < until).collect();
    let ms = |burst: &f64| (burst - at) * 1_000.0;
    // A filler may have pauses in it: which burst is the answer is the only thing that the record is asked for here.
    let earliest = match turn.to_filler_ms {
        Some(_) => turn.to_first_audio_ms? - SURE_MS,
        None => 0.0,
    };
    let wire = bursts.iter().map(ms).find(|&ms| ms > earliest)?;
    let filler = turn.to_filler_ms.and(bursts.first().map(ms));
    Some(Answer { utterance, end: turn.end.clone(), wire, filler, parts: turn.waited_for })
}

/// Prints the line of these calls; returns that of their parts.
fn report(calls: &str, rounds: &[Round]) -> Option<String> {
    let answers: Vec<&Answer> = rounds.iter().flat_map(|round| &round.answers).collect();
    let not_counted: usize = rounds.iter().map(|round| round.not_counted).sum();
    let mut wire: Vec<f64> = answers.iter().map(|answer| answer.wire).collect();
    wire.sort_by(f64::total_cmp);
    let rank = |part: f64| wire.get(((wire.len() as f64 * part).ceil() as usize).saturating_sub(1)).copied();
    let show = |ms: Option<f64>| ms.map_or("–".to_owned(), |ms| format!("{ms:.0} ms"));
    let fillers: Vec<f64> = answers.iter().filter_map(|answer| answer.filler).collect();
    let fillers = match fillers.len() {
        0 => "none".to_owned(),
        count => format!("{count}, after {:.0} ms", fillers.iter().sum::<f64>() / count as f64),
    };
    println!(
        "| {calls} | {} | {} | {} | {} | {fillers} | {not_counted} |",
        wire.len(),
        show(rank(0.5)),
        show(rank(0.95)),
        show(wire.last().copied())
    );
    let told: Vec<(f64, Wait)> = answers.iter().filter_map(|answer| Some((answer.wire, answer.parts?))).collect();
    let mean = |part: fn(&(f64, Wait)) -> f64| told.iter().map(part).sum::<f64>() / told.len() as f64;
    (!told.is_empty()).then(|| {
        format!(
            "| {calls} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            mean(|(_, parts)| parts.decide),
            mean(|(_, parts)| parts.transcribe),
            mean(|(_, parts)| parts.think),
            mean(|(_, parts)| parts.speak),
            mean(|(_, parts)| parts.play),
            mean(|(wire, parts)| wire - parts.decide - parts.transcribe - parts.think - parts.speak - parts.play),
            mean(|(wire, _)| *wire)
        )
    })
}
