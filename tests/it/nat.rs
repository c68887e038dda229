//! The program behind a NAT that changes addresses and ports, and Asterisk on its other side.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::asterisk::{self, Asterisk};
use crate::support::baresip::Baresip;
use crate::support::nat::{Nat, OUTSIDE, PRIVATE, PUBLIC, SHIFT, STUN, StunServer};
use crate::support::process::wait_until;
use crate::support::secretary::{CallFiles, Secretary};
use crate::support::wav;

const SOON: Duration = Duration::from_secs(30);
/// Milliseconds of loud sound that show that somebody was heard: the greeting and the sentence have more.
const HEARD_MS: usize = 800;

/// An extension of Asterisk that sends its sound where SDP says.
fn extension(name: &str, more: &str) -> String {
    format!(
        "[{name}](extension)\nauth={name}\naors={name}\n{more}[{name}](password)\nusername={name}\npassword=behind-nat\n\
         [{name}](registration)\n"
    )
}

fn account(name: &str, more: &str) -> String {
    format!(
        "[[account]]\nname = \"{name}\"\nregistrar = \"{OUTSIDE}\"\nusername = \"{name}\"\npassword_env = \"BEHIND_NAT\"\n\
         transport = \"udp\"\n{more}"
    )
}

#[test]
fn behind_nat_she_and_a_pbx_outside_hear_each_other() {
    let nat = Nat::new();
    let stun = StunServer::start(&nat.outside);
    let pjsip = extension("201", "rtp_symmetric=no\n")
        + &extension("202", "rtp_symmetric=no\nice_support=yes\n")
        + &extension("203", "");
    let asterisk =
        Asterisk::start_with(&nat.outside, &pjsip, "[office](+)\nexten => _20[123],1,Dial(PJSIP/${EXTEN},15)\n");
    let by_stun = format!("stun_server = \"{STUN}\"\n");
    let accounts = account("201", &by_stun) + &account("202", &by_stun) + &account("203", "");
    let more = format!("direct_calls = false\n{accounts}");
    let secretary = Secretary::start_with(&nat.inside, 5060, &[], &more, &[("BEHIND_NAT", "behind-nat")]);
    assert_eq!(
        stun.asked.load(Ordering::Relaxed),
        4,
        "each of the two accounts asks for both of its ports at the start"
    );
    let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/en_real_cities_1.wav");
    let microphone = nat.outside.dir().join("microphone.wav");
    wav::microphone(&speech, 6, 30, &microphone);
    // Who believes SDP, who checks first, and who sends to where packets come from whatever SDP says.
    for (n, extension) in (1..).zip(["201", "202", "203"]) {
        asterisk.wait_registered(extension, SOON);
        let (before, output) = (asterisk.log().len(), secretary.output().len());
        let _ = fs::remove_dir_all(nat.outside.dir().join("baresip"));
        let mut caller =
            Baresip::call_extension(&nat.outside, asterisk::ADDRESS, asterisk::PHONE, extension, &microphone);
        caller.wait_established();
        let call = secretary.wait_calls(n, SOON);
        wait_until("the caller has said his sentence", SOON, || {
            (fs::metadata(call.input()).is_ok_and(|file| file.len() > 16_000 * 12)).then_some(())
        });
        caller.hang_up();
        call.wait_record("the call is completed", SOON, |record| record.status() == "completed");
        let answer = our_answer(&asterisk.log()[before..]);
        println!("{extension}:\n{answer}");
        // Without STUN too: the registrar has told how it sees us, but it knows nothing of the ports of sound.
        assert!(answer.contains(&format!("c=IN IP4 {PUBLIC}")) && !answer.contains(&PRIVATE.to_string()));
        let port = answer.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert_eq!(port.parse::<u16>().unwrap() >= 10_000 + SHIFT, extension != "203", "{port}");
        assert_eq!(answer.contains("a=ice-lite"), extension == "202");
        assert_both_heard(&call, &caller);
        let output = secretary.output().split_off(output);
        let over = output.lines().find(|line| line.contains("call over")).expect("the end of the call in the log");
        let fields: serde_json::Value = serde_json::from_str(over).unwrap();
        println!("{extension}: {}", fields["fields"]);
        assert_eq!(fields["fields"]["ice.checks"].as_u64() > Some(0), extension == "202", "{over}");
    }
}

/// The description in our last 200 with one.
fn our_answer(log: &str) -> String {
    let messages = log.split("<--- Received SIP response").skip(1);
    let ours =
        messages.filter(|message| message.contains("User-Agent: secretary") || message.contains("Server: secretary"));
    let answer = ours.filter_map(|message| message.find("\nv=0").map(|at| &message[at + 1..])).last();
    let is_line = |line: &&str| line.as_bytes().get(1) == Some(&b'=');
    let lines = answer.expect("our answer in Asterisk's log").lines().take_while(is_line);
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn assert_both_heard(call: &CallFiles, caller: &Baresip) {
    for (who, file) in [("the caller is heard", call.input()), ("she is heard", caller.recording())] {
        let (samples, rate_hz) = wav::read(&file);
        let frame = rate_hz as usize / 50;
        let loud =
            samples.chunks(frame).filter(|frame| frame.iter().any(|sample| sample.unsigned_abs() > 1_000)).count();
        println!("{who}: {} ms", loud * 20);
        assert!(loud * 20 >= HEARD_MS, "{who} for {} ms", loud * 20);
    }
}
