//! Odd peers: scenarios with sipp for what ordinary telephones do only in bad weather. The other side is a small user agent on
//! the secretary's own SIP (support/agent.rs) and, at the end, the whole program.

use std::time::Duration;

use secretary::net::sip::Events;
use secretary::rtp::codec::{Codec, g711};
use secretary::sip::{CallKey, CallOut, Command, EndCause, EndpointConfig, SessionEvent, TransferProgress};
use tokio::runtime::Runtime;

use crate::support::agent::{self, Agent, config};
use crate::support::netns::Netns;
use crate::support::recordings::manifest;
use crate::support::secretary::{Secretary, call_command};
use crate::support::sipp::Sipp;
use crate::support::speech::by_telephone;
use crate::support::wer::wer;
use crate::support::wire::Capture;

/// How long something may take that takes a moment.
const SOON: Duration = Duration::from_secs(20);

/// An agent on the machine's own network, in a runtime of its own.
struct Served {
    runtime: Runtime,
    agent: Agent,
    netns: Netns,
}

impl Served {
    fn new(config: EndpointConfig) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let agent = runtime.block_on(Agent::start(config));
        Self { runtime, agent, netns: Netns::shared() }
    }

    fn address(&self) -> String {
        self.agent.address().to_string()
    }

    /// A caller of the agent, to the end.
    fn is_called(&self, scenario: &str, more: &[&str]) {
        Sipp::caller(&self.netns, scenario, &self.address(), more).succeed();
    }

    fn callee(&self, scenario: &str, more: &[&str]) -> Sipp {
        Sipp::callee(&self.netns, scenario, more)
    }

    /// The agent calls `user` at `sipp`.
    fn calls(&self, sipp: &Sipp) -> Call<'_> {
        let target = format!("sip:somebody@{}", sipp.address());
        let (key, events) = self.runtime.block_on(self.agent.call(&target));
        Call { served: self, key, events }
    }
}

/// A call of the agent's own.
struct Call<'s> {
    served: &'s Served,
    key: CallKey,
    events: Events,
}

impl Call<'_> {
    /// Goes through what happens until `wanted` says that it was that.
    fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&SessionEvent) -> Option<T>) -> T {
        let Served { runtime, agent, .. } = self.served;
        let mut seen = Vec::new();
        let found = runtime.block_on(async {
            let search = async {
                while let Some((key, event)) = self.events.recv().await {
                    agent::answer(&agent.sip, key, &event).await;
                    if let Some(found) = wanted(&event) {
                        return Some(found);
                    }
                    seen.push(event);
                }
                None
            };
            tokio::time::timeout(SOON, search).await.ok().flatten()
        });
        found.unwrap_or_else(|| panic!("{what}: instead came {seen:?}"))
    }

    fn wait_answered(&mut self) {
        self.wait("answered", |event| matches!(event, SessionEvent::Answered { .. }).then_some(()));
    }

    fn wait_ended(&mut self) -> EndCause {
        self.wait("ended", |event| match event {
            SessionEvent::Ended { cause } => Some(cause.clone()),
            _ => None,
        })
    }

    fn wait_transfer(&mut self, wanted: &TransferProgress) {
        let is = |event: &SessionEvent| matches!(event, SessionEvent::Transfer(progress) if progress == wanted);
        self.wait(&format!("{wanted:?}"), |event| is(event).then_some(()));
    }

    fn command(&self, command: Command) {
        self.served.runtime.block_on(self.served.agent.sip.command(command));
    }

    fn hang_up(mut self) {
        self.command(Command::Hangup { call: self.key });
        self.wait_ended();
    }
}

// ---- we are called ---------------------------------------------------------------------------------------------------

#[test]
fn a_200_comes_again_until_it_is_acknowledged() {
    Served::new(config(4)).is_called("lost_ack", &["-nr"]);
}

#[test]
fn a_repeated_invite_is_the_same_call() {
    Served::new(config(1)).is_called("lost_200", &["-nr"]);
}

#[test]
fn cancel_before_the_answer_ends_the_call_and_after_it_does_not() {
    let served = Served::new(config(1));
    served.is_called("cancel", &["-s", "ring"]);
    served.is_called("late_cancel", &[]);
}

#[test]
fn a_caller_holds_and_comes_back_in_three_ways() {
    Served::new(config(1)).is_called("hold", &[]);
}

#[test]
fn a_session_on_hold_outlives_its_timer_and_a_dead_one_does_not() {
    let served = Served::new(config(3));
    let scenarios = ["held_and_refreshed_by_caller", "held_and_refreshed_by_us", "never_refreshed"];
    let calls =
        scenarios.map(|name| Sipp::caller(&served.netns, name, &served.address(), &["-recv_timeout", "100000"]));
    for call in calls {
        call.succeed();
    }
}

#[test]
fn ringing_is_reliable_for_a_caller_who_requires_it() {
    Served::new(config(1)).is_called("prack", &["-nr", "-s", "slow"]);
}

#[test]
fn an_interval_below_the_minimum_is_refused_with_422() {
    Served::new(config(1)).is_called("interval_too_small", &[]);
}

#[test]
fn a_bye_with_wrong_tags_does_not_end_the_call() {
    Served::new(config(1)).is_called("spoofed_bye", &[]);
}

#[test]
fn options_and_unknown_methods_are_answered() {
    let served = Served::new(config(1));
    served.is_called("questions", &[]);
    served.is_called("questions", &["-t", "t1"]);
}

#[test]
fn calls_follow_each_other_on_one_port() {
    let served = Served::new(config(1));
    // one at a time: the next begins when the last one's BYE is answered
    served.is_called("call", &["-m", "100", "-r", "1000", "-l", "1"]);
    served.is_called("call", &["-m", "100", "-r", "1000", "-l", "1", "-t", "t1"]);
}

#[test]
fn a_thousand_calls_at_a_hundred_a_second_are_all_completed() {
    let served = Served::new(config(1_000));
    let args = ["-m", "1000", "-r", "100", "-d", "500", "-l", "1000"];
    let statistics = Sipp::caller(&served.netns, "call", &served.address(), &args).succeed();
    assert_eq!((statistics.successful, statistics.failed), (1_000, 0));
    println!("1,000 calls at 100 calls/s: {} messages were repeated", statistics.retransmissions);
}

/// Five times as many as there is room for: who is taken is served to the end, and the others are told when to come again.
#[test]
fn what_there_is_no_room_for_is_told_and_what_was_taken_is_served_to_the_end() {
    let served = Served::new(config(10));
    for transport in ["u1", "t1"] {
        let args = ["-m", "200", "-r", "100", "-d", "500", "-l", "200", "-t", transport];
        let statistics = Sipp::caller(&served.netns, "call_or_full", &served.address(), &args).succeed();
        assert_eq!((statistics.successful, statistics.failed), (200, 0), "{transport}");
        let completed = statistics.completed;
        assert!((10..200).contains(&completed), "{transport}: {completed} calls for 10 lines");
        println!("{transport}: 10 lines for 200 calls at 100 calls/s: {completed} were taken");
    }
}

#[test]
fn the_same_over_tcp() {
    let served = Served::new(config(200));
    for scenario in ["hold", "spoofed_bye", "late_cancel"] {
        served.is_called(scenario, &["-t", "t1"]);
    }
    served.is_called("cancel", &["-t", "t1", "-s", "ring"]);
    served.is_called("call", &["-t", "t1", "-m", "200", "-r", "100", "-d", "500"]);
}

// ---- transfers that a caller asks for --------------------------------------------------------------------------------

#[test]
fn a_transfer_asked_for_is_followed_and_its_end_told() {
    let served = Served::new(config(4));
    let target = served.callee("answers_and_hangs_up", &[]);
    served.is_called("asks_for_transfer", &["-key", "target", &target.address()]);
    target.succeed();
}

#[test]
fn a_transfer_to_somebody_who_is_busy_fails_and_the_call_goes_on() {
    let served = Served::new(config(4));
    let target = served.callee("busy", &[]);
    served.is_called("asks_for_transfer_to_nobody", &["-key", "target", &target.address()]);
    target.succeed();
}

#[test]
fn a_transfer_to_where_nobody_may_call_is_refused() {
    let call_out = CallOut::Matching(vec!["*@127.0.0.1".to_owned()]);
    Served::new(EndpointConfig { call_out, ..config(1) }).is_called("asks_for_forbidden_transfer", &[]);
}

#[test]
fn a_call_takes_the_place_of_another() {
    Served::new(config(2)).is_called("takes_the_place", &[]);
}

// ---- we call ---------------------------------------------------------------------------------------------------------

#[test]
fn early_media_sent_reliably_is_acknowledged() {
    let served = Served::new(config(1));
    let sipp = served.callee("reliable_183", &[]);
    let mut call = served.calls(&sipp);
    call.wait("early media", |event| matches!(event, SessionEvent::EarlyMedia { .. }).then_some(()));
    call.wait_answered();
    call.hang_up();
    sipp.succeed();
}

#[test]
fn an_interval_that_is_too_small_for_the_other_side_is_made_longer() {
    let served = Served::new(config(1));
    let sipp = served.callee("demands_longer_interval", &[]);
    let mut call = served.calls(&sipp);
    call.wait_answered();
    call.hang_up();
    sipp.succeed();
}

#[test]
fn who_has_moved_is_called_where_he_is() {
    let served = Served::new(config(1));
    let there = served.callee("answers", &[]);
    let here = served.callee("moved", &["-key", "target", &there.address()]);
    let mut call = served.calls(&here);
    call.wait_answered();
    call.hang_up();
    here.succeed();
    there.succeed();
}

#[test]
fn somebody_who_is_busy_is_reported_as_busy() {
    let served = Served::new(config(1));
    let sipp = served.callee("busy", &[]);
    let cause = served.calls(&sipp).wait_ended();
    assert!(matches!(cause, EndCause::Rejected { status: 486, .. }), "{cause:?}");
    sipp.succeed();
}

#[test]
fn a_callee_holds_and_comes_back() {
    let served = Served::new(config(1));
    for transport in ["udp", "tcp"] {
        let more: &[&str] = if transport == "tcp" { &["-t", "t1"] } else { &[] };
        let sipp = served.callee("holds_who_called", more);
        let target = format!("sip:somebody@{};transport={transport}", sipp.address());
        let (key, events) = served.runtime.block_on(served.agent.call(&target));
        let mut call = Call { served: &served, key, events };
        call.wait_answered();
        for change in ["hold", "resume"] {
            call.wait(change, |event| matches!(event, SessionEvent::Offer { .. }).then_some(()));
        }
        assert!(matches!(call.wait_ended(), EndCause::RemoteBye(_)));
        sipp.succeed();
    }
}

#[test]
fn a_callee_is_transferred() {
    let served = Served::new(config(1));
    let sipp = served.callee("is_transferred", &[]);
    let mut call = served.calls(&sipp);
    call.wait_answered();
    let target = "sip:target@127.0.0.1:5999".to_owned();
    call.command(Command::Transfer { call: call.key, target });
    for progress in [TransferProgress::Accepted, TransferProgress::Trying(180), TransferProgress::Succeeded] {
        call.wait_transfer(&progress);
    }
    call.hang_up();
    sipp.succeed();
}

#[test]
fn a_transfer_that_fails_leaves_the_call() {
    let served = Served::new(config(1));
    for (scenario, status) in [("target_is_busy", 486), ("refuses_transfer", 603)] {
        let sipp = served.callee(scenario, &[]);
        let mut call = served.calls(&sipp);
        call.wait_answered();
        let target = "sip:target@127.0.0.1:5999".to_owned();
        call.command(Command::Transfer { call: call.key, target });
        call.wait_transfer(&TransferProgress::Failed(status));
        call.hang_up();
        sipp.succeed();
    }
}

#[test]
fn two_callees_are_connected() {
    let served = Served::new(config(2));
    let (first, second) = (served.callee("is_transferred_to_a_call", &[]), served.callee("answers", &[]));
    let (mut one, mut other) = (served.calls(&first), served.calls(&second));
    one.wait_answered();
    other.wait_answered();
    one.command(Command::TransferTo { call: one.key, other: other.key });
    one.wait_transfer(&TransferProgress::Succeeded);
    one.hang_up();
    other.hang_up();
    first.succeed();
    second.succeed();
}

// ---- the whole program ------------------------------------------------------------------------------------------------

const PORT: u16 = 5060;
const ADDRESS: &str = "127.0.0.1:5060";
/// sipp is everybody's telephone.
const LIMITS: &str = "[sip.limits]\ncalls_per_second = 1000\nrequests_per_second = 1000\n";

/// The whole program, called once with each scenario; then every call is complete in the call log.
#[test]
fn the_program_takes_odd_callers() {
    let netns = Netns::new();
    let more = format!("call_out = [\"*@127.0.0.1\"]\n{LIMITS}");
    let secretary = Secretary::start_with(&netns, PORT, &[], &more, &[]);
    let target = Sipp::callee(&netns, "answers_and_hangs_up", &[]);
    let address = target.address();
    let calls: [(&str, usize, &[&str]); 10] = [
        ("lost_ack", 1, &["-nr"]),
        ("lost_200", 1, &["-nr"]),
        ("late_cancel", 1, &[]),
        ("hold", 1, &[]),
        ("hold", 1, &["-t", "t1"]),
        ("spoofed_bye", 1, &[]),
        ("questions", 0, &[]),
        ("asks_for_forbidden_transfer", 1, &[]),
        ("asks_for_transfer", 1, &["-key", "target", &address]),
        ("call", 20, &["-m", "20", "-r", "1000", "-l", "1"]),
    ];
    for (scenario, _, more) in calls {
        Sipp::caller(&netns, scenario, ADDRESS, more).succeed();
    }
    target.succeed();
    let count = calls.iter().map(|(_, calls, _)| calls).sum();
    secretary.wait_completed(count, SOON);
}

/// People who speak Russian and English: what they say is understood, and answered when they have finished, as the wire shows.
#[test]
fn the_program_hears_people_to_their_end_and_answers() {
    // Her greeting, and what she needs for an answer on a busy machine.
    const BEFORE_S: usize = 4;
    const AFTER_S: usize = 8;
    let netns = Netns::new();
    let more = "[turn]\nfiller_after_ms = 15000\n[office]\ngreeting.ru = \"Алло.\"\n";
    let secretary = Secretary::start_with(&netns, PORT, &[], more, &[]);
    let capture = Capture::start(&netns);
    for (n, file) in ["ru_real_0308.wav", "en_real_cities_1.wav"].into_iter().enumerate() {
        let recording = manifest().into_iter().find(|recording| recording.file == file).expect("a recording");
        let sound = [vec![0; BEFORE_S * 8_000], by_telephone(file), vec![0; AFTER_S * 8_000]].concat();
        std::fs::write(netns.dir().join("speech.alaw"), g711::encode(Codec::Pcma, &sound)).expect("his speech");
        let length_ms = (sound.len() / 8).to_string();
        Sipp::caller(&netns, "speaks", ADDRESS, &["-d", &length_ms]).succeed();
        secretary.wait_completed(n + 1, SOON);

        let call = capture.calls().into_iter().nth(n).expect("the call on the wire");
        let (from_s, to_s) = recording.speech_s.expect("known of it");
        let [from, to] =
            [from_s, to_s].map(|at_s| call.sent_at(BEFORE_S as f64 + f64::from(at_s)).expect("his speech"));
        assert!(call.heard_in(f64::MIN..from).is_some(), "{file}: she greets");
        assert_eq!(call.heard_in(from..to), None, "{file}: she speaks into what he says");
        let (answered, _) = call.heard_in(to..f64::MAX).unwrap_or_else(|| panic!("{file}: no answer"));
        println!("{file}: answered {:.0} ms after the end of the speech", (answered - to) * 1_000.0);

        let files = secretary.calls().pop().expect("its files");
        println!("{}", files.transcript());
        let turns = files.record().turns();
        let [_, turn] = &turns[..] else { panic!("{file}: {turns:?}") };
        assert!(wer(&recording.text, &turn.caller) <= 0.25, "{:?} instead of {:?}", turn.caller, recording.text);
        assert_ne!(turn.heard, "", "{file}");
    }
}

#[test]
fn the_program_calls_odd_telephones() {
    let netns = Netns::new();
    let exit_of = |sipp: &Sipp, more: &[&str]| {
        let output = call_command(&netns, &format!("sip:somebody@{}", sipp.address())).args(more).output();
        let output = output.expect("the program");
        println!("{}", String::from_utf8_lossy(&output.stderr));
        output.status.code()
    };
    let busy = Sipp::callee(&netns, "busy", &[]);
    assert_eq!(exit_of(&busy, &[]), Some(3), "the exit status says that he is busy");
    busy.succeed();
    let holds = Sipp::callee(&netns, "holds_who_called", &[]);
    assert_eq!(exit_of(&holds, &[]), Some(0));
    holds.succeed();
    let there = Sipp::callee(&netns, "answers_and_hangs_up", &[]);
    let here = Sipp::callee(&netns, "moved", &["-key", "target", &there.address()]);
    let home = tempfile::tempdir().expect("a folder");
    let rules = home.path().join("secretary.toml");
    std::fs::write(&rules, "[sip]\ncall_out = [\"*\"]\n").expect("a file");
    let allowed = ["--config", rules.to_str().expect("a path in UTF-8")];
    assert_eq!(exit_of(&here, &allowed), Some(0), "who has moved is called where he is");
    here.succeed();
    there.succeed();
}
