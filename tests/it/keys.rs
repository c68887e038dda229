//! Keys in RTP (RFC 4733) between the program, baresip and Asterisk, both ways.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::asterisk::{self, Asterisk};
use crate::support::baresip::Baresip;
use crate::support::netns::Netns;
use crate::support::process::wait_until;
use crate::support::secretary::{Account, Secretary, call_command, configuration};
use crate::support::wav;

const DIRECT: u16 = 5060;
const BESIDE_PBX: u16 = 5070;
const SOON: Duration = Duration::from_secs(30);
const NUMBER: &str = "88005553535";
/// What INFO would have: it must not be what told the keys.
const INFO: &str = "application/dtmf";

#[test]
fn a_number_is_dictated_by_the_keys_of_baresip() {
    let netns = Netns::new();
    let secretary = Secretary::start(&netns, DIRECT, &[]);
    let caller = Baresip::call(&netns, &format!("sip:secretary@127.0.0.1:{DIRECT}"), &microphone(&netns));
    dictate(&secretary, caller);
}

#[test]
fn a_number_is_dictated_by_keys_through_asterisk() {
    dictate_through_asterisk("alaw");
}

/// The keys of Opus have a clock of 48 kHz (RFC 7587 §4.1), those of baresip's A-law one of 8 kHz.
#[test]
fn a_number_is_dictated_by_keys_through_asterisk_in_opus() {
    dictate_through_asterisk("opus");
}

/// Asterisk speaks `codec` with her.
fn dictate_through_asterisk(codec: &str) {
    let netns = Netns::new();
    let asterisk = Asterisk::start_with(&netns, &speaks(codec), "");
    let secretary = Secretary::start(&netns, BESIDE_PBX, &[office_account()]);
    asterisk.wait_registered("200", SOON);
    let caller = Baresip::call_extension(&netns, asterisk::ADDRESS, asterisk::PHONE, "200", &microphone(&netns));
    dictate(&secretary, caller);
    assert!(!asterisk.log().contains(INFO));
}

/// The caller says whom to tell what, is asked for his number, and presses it.
fn dictate(secretary: &Secretary, mut caller: Baresip) {
    caller.wait_established();
    let call = secretary.wait_call(SOON);
    call.wait_record("she asks for his number", Duration::from_secs(60), |record| {
        record.turns().iter().any(|turn| turn.heard.contains("По какому номеру"))
    });
    caller.press(&format!("{NUMBER}#"));
    let record = call.wait_record("the number is in the record", SOON, |record| record.message()[1] == NUMBER);
    caller.hang_up();
    assert_eq!(record.message()[0], "Анна Коваленко");
    let record = call.wait_record("the call is completed", SOON, |record| record.status() == "completed");
    let keys: Vec<String> = record.turns().into_iter().map(|turn| turn.keys).filter(|keys| !keys.is_empty()).collect();
    assert_eq!(keys, [format!("{NUMBER}#")], "each press is in the record once");
}

#[test]
fn baresip_is_told_our_keys() {
    let netns = Netns::new();
    let phone = Baresip::answering(&netns, &silence(&netns));
    let output = call_command(&netns, Baresip::URI).args(["--digits", "1*2#3344"]).output().expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(phone.keys(), "1*2#3344");
}

#[test]
fn asterisk_is_told_our_keys() {
    tell_asterisk("alaw");
}

#[test]
fn asterisk_is_told_our_keys_in_opus() {
    tell_asterisk("opus");
}

fn tell_asterisk(codec: &str) {
    let read = "[office](+)\nexten => 300,1,Answer()\n same => n,Read(keys,,8,,1,20)\n \
                same => n,NoOp(it was told ${keys})\n same => n,Hangup()\n";
    let netns = Netns::new();
    let asterisk = Asterisk::start_with(&netns, &speaks(codec), read);
    let config = configuration(&netns, BESIDE_PBX, &[office_account()], "");
    let mut command = call_command(&netns, "300");
    command.args(["--account", "200", "--digits", "12*0A334", "--config"]).arg(config);
    let output = command.env("SIP_PASSWORD_200", asterisk::SECRETARY.1).output().expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("Asterisk has read them", SOON, || asterisk.log().contains("it was told 12*0A334").then_some(()));
    assert!(!asterisk.log().contains(INFO));
}

/// The codec of Asterisk with her extension.
fn speaks(codec: &str) -> String {
    format!("[200](+)\nallow=!all,{codec}\n")
}

/// Says who he is and what is to be passed on, and then is silent.
fn microphone(netns: &Netns) -> PathBuf {
    let file = netns.dir().join("microphone.wav");
    let told = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/ru_message_1.wav");
    wav::microphone(&told, 7, 90, &file);
    file
}

fn silence(netns: &Netns) -> PathBuf {
    let file = netns.dir().join("silence.wav");
    wav::write(&file, &[0; 60 * wav::TELEPHONE_HZ as usize], wav::TELEPHONE_HZ);
    file
}

fn office_account() -> Account<'static> {
    let (username, password) = asterisk::SECRETARY;
    Account { registrar: asterisk::ADDRESS, username, password, transport: "udp" }
}
