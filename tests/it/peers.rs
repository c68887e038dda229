//! Real peers beyond a call to the secretary: registrations over each transport, calls to telephones, and transfers between them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::asterisk::{self, Asterisk};
use crate::support::baresip::Baresip;
use crate::support::linphone::Linphone;
use crate::support::netns::Netns;
use crate::support::process::wait_until;
use crate::support::secretary::{Account, CallFiles, Secretary, call_command, configuration, transcribe};
use crate::support::wav;
use crate::support::wer::wer;

/// Beside the PBX on the same address, and where she is called directly.
const BESIDE_PBX: u16 = 5070;
const DIRECT: u16 = 5060;
const SOON: Duration = Duration::from_secs(30);
const MAX_WORD_ERROR_RATE: f64 = 0.35;
/// What the telephone that is called says, and what we say to it.
const THEIRS: (&str, &str) = ("en_real_cities_1.wav", "It was the best of times, it was the worst of times.");
const OURS: (&str, &str) = ("en_real_cities_3.wav", "It was the epoch of belief, it was the epoch of incredulity.");

#[test]
fn registers_and_is_called_over_udp_tcp_and_tls() {
    let pjsip = "[201](extension)\nauth=201\naors=201\n[201](password)\nusername=201\npassword=over-tcp\n\
                 [201](registration)\n\
                 [202](extension)\nauth=202\naors=202\n[202](password)\nusername=202\npassword=over-tls\n\
                 [202](registration)\n";
    let netns = Netns::new();
    let asterisk = Asterisk::start_with(&netns, pjsip, "[office](+)\nexten => _20[12],1,Dial(PJSIP/${EXTEN},15)\n");
    let account = |(username, password), registrar, transport| Account { registrar, username, password, transport };
    let over = |transport: &str| match transport {
        "udp" => account(asterisk::SECRETARY, asterisk::ADDRESS, "udp"),
        "tcp" => account(("201", "over-tcp"), asterisk::ADDRESS, "tcp"),
        _ => account(("202", "over-tls"), asterisk::TLS_ADDRESS, "tls"),
    };
    {
        // a certificate that nobody vouches for is not accepted, and the log says so
        let secretary = Secretary::start(&netns, BESIDE_PBX, &[over("tls")]);
        wait_until("the certificate is complained of", SOON, || {
            secretary.output().to_lowercase().contains("certificate").then_some(())
        });
        assert!(!asterisk.is_registered("202"));
    }
    let trust = format!("[sip.tls]\nca = {:?}\n", asterisk.certificate());
    let accounts = ["udp", "tcp", "tls"].map(over);
    let secretary = Secretary::start_with(&netns, BESIDE_PBX, &accounts, &trust, &[]);
    for (calls, (extension, transport)) in (1..).zip([("200", "UDP"), ("201", "TCP"), ("202", "TLS")]) {
        asterisk.wait_registered(extension, SOON);
        let before = asterisk.log().len();
        let mut caller =
            Baresip::call_extension(&netns, asterisk::ADDRESS, asterisk::PHONE, extension, &silence(&netns));
        caller.wait_established();
        let call = secretary.wait_calls(calls, SOON);
        wait_recorded(&call, 1.0);
        caller.hang_up();
        call.wait_record("the call is completed", SOON, |record| record.status() == "completed");
        let log = asterisk.log().split_off(before);
        let is_invite = |message: &&str| message.lines().nth(1).is_some_and(|line| line.starts_with("INVITE "));
        let invite = log.split("<--- Transmitting SIP request").find(is_invite);
        let way = invite.expect("an INVITE of Asterisk's").lines().next().unwrap_or_default();
        assert!(way.contains(&format!("to {transport}:")), "{extension}: {way}");
    }
}

#[test]
fn calls_baresip() {
    let netns = Netns::new();
    let mut phone = Baresip::answering(&netns, &microphone(&netns));
    let heard_by_us = speak_with(&netns, Baresip::URI);
    phone.wait_bye();
    assert_understood(&heard_by_us, THEIRS.1);
    assert_understood(&phone.recording(), OURS.1);
}

#[test]
fn calls_linphone_over_tcp() {
    let netns = Netns::new();
    let mut phone = Linphone::answering(&netns, &microphone(&netns));
    let heard_by_us = speak_with(&netns, &format!("{};transport=tcp", Linphone::URI));
    phone.wait_ended();
    assert_understood(&heard_by_us, THEIRS.1);
    assert_understood(&phone.recording(), OURS.1);
}

#[test]
fn a_direct_caller_proves_who_he_is() {
    let netns = Netns::new();
    let more = "direct_calls = \"challenge\"\n[[sip.user]]\nname = \"caller\"\npassword_env = \"CALLER\"\n";
    let secretary = Secretary::start_with(&netns, DIRECT, &[], more, &[("CALLER", "secret")]);
    let (uri, silence) = (format!("sip:secretary@127.0.0.1:{DIRECT}"), silence(&netns));
    // baresip 1.0 knows MD5 only, and does not look at what stands below SHA-256
    let mut stranger = Baresip::call(&netns, &uri, &silence);
    stranger.wait_refused();
    stranger.hang_up();
    let mut caller = Linphone::call_with_password(&netns, "secret", &uri, &silence);
    caller.wait_established();
    caller.hang_up();
    secretary.wait_completed(1, SOON);
}

/// Linphone calls the secretary, then baresip, and connects the two: Asterisk is sent REFER with Replaces.
#[test]
fn a_caller_connects_the_secretary_with_another_telephone() {
    let netns = Netns::new();
    let asterisk = Asterisk::start(&netns);
    let secretary = Secretary::start(&netns, BESIDE_PBX, &[office_account()]);
    asterisk.wait_registered("200", SOON);
    let (pbx, silence) = (asterisk::ADDRESS, silence(&netns));
    let mut second = Baresip::answering_extension(&netns, pbx, asterisk::PHONE_2, &silence);
    asterisk.wait_registered("102", SOON);
    let mut first = Linphone::call_extension(&netns, pbx, asterisk::PHONE, "200", &silence);
    first.wait_established();
    let call = secretary.wait_call(SOON);
    first.connect_with(&format!("sip:102@{pbx}"));
    second.wait_established();
    first.wait_ended();
    // she asks the new one whether he is there, and he hears it
    let before = wav::seconds(&call.output());
    wait_recorded(&call, before + 12.0);
    assert_eq!(call.record().status(), "in_progress", "the call goes on without the one who made it");
    second.hang_up();
    let record = call.wait_record("the call is completed", SOON, |record| record.status() == "completed");
    assert_eq!(record.ended_by(), "caller");
    let heard = transcribe(&second.recording(), "ru");
    println!("the second telephone heard: {heard}");
    assert!(!heard.trim().is_empty(), "the secretary spoke with the second telephone");
}

/// Linphone calls baresip, then the secretary, and connects the two.
#[test]
fn a_telephone_is_connected_with_the_secretary() {
    let netns = Netns::new();
    let asterisk = Asterisk::start(&netns);
    let secretary = Secretary::start(&netns, BESIDE_PBX, &[office_account()]);
    asterisk.wait_registered("200", SOON);
    let (pbx, silence) = (asterisk::ADDRESS, silence(&netns));
    let mut second = Baresip::answering_extension(&netns, pbx, asterisk::PHONE_2, &silence);
    asterisk.wait_registered("102", SOON);
    let mut first = Linphone::call_extension(&netns, pbx, asterisk::PHONE, "102", &silence);
    first.wait_established();
    second.wait_established();
    first.connect_with(&format!("sip:200@{pbx}"));
    let call = secretary.wait_call(SOON);
    first.wait_ended();
    wait_recorded(&call, wav::seconds(&call.output()) + 3.0);
    second.hang_up();
    let record = call.wait_record("the call is completed", SOON, |record| record.status() == "completed");
    assert_eq!(record.ended_by(), "caller");
    let heard = transcribe(&second.recording(), "ru");
    println!("the second telephone heard: {heard}");
    assert!(!heard.trim().is_empty(), "the secretary spoke with the second telephone");
}

/// A call of hers through her account, to a telephone that she sends to another one: Asterisk is sent REFER.
#[test]
fn the_secretary_connects_two_telephones() {
    let netns = Netns::new();
    let asterisk = Asterisk::start(&netns);
    let (pbx, microphone) = (asterisk::ADDRESS, microphone(&netns));
    let mut first = Linphone::answering_extension(&netns, pbx, asterisk::PHONE, &microphone);
    let mut second = Baresip::answering_extension(&netns, pbx, asterisk::PHONE_2, &silence(&netns));
    asterisk.wait_registered("102", SOON);
    let mut call = call_command(&netns, "101");
    call.args(["--account", "200", "--transfer", "102", "--config"]).arg(configuration(
        &netns,
        BESIDE_PBX,
        &[office_account()],
        "",
    ));
    let output = call.env("SIP_PASSWORD_200", asterisk::SECRETARY.1).output().expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // she is gone, and the two are connected
    first.wait_established();
    second.wait_established();
    second.hang_up();
    first.wait_ended();
}

/// Linphone calls the secretary without a PBX and sends her to baresip: she calls it and goes on there.
#[test]
fn the_secretary_is_sent_to_another_telephone() {
    let netns = Netns::new();
    let allowed = "call_out = [\"*@127.0.0.1\"]\n";
    let secretary = Secretary::start_with(&netns, DIRECT, &[], allowed, &[]);
    let silence = silence(&netns);
    let mut second = Baresip::answering(&netns, &silence);
    let mut first = Linphone::call(&netns, &format!("sip:secretary@127.0.0.1:{DIRECT}"), &silence);
    first.wait_established();
    let call = secretary.wait_call(SOON);
    first.send_to(Baresip::URI);
    second.wait_established();
    first.wait_ended();
    second.hang_up();
    call.wait_record("the call is completed", SOON, |record| record.status() == "completed");
}

/// `secretary call` that says [`OURS`]; what it heard.
fn speak_with(netns: &Netns, uri: &str) -> PathBuf {
    let heard = netns.dir().join("heard-by-us.wav");
    let output = call_command(netns, uri).arg("--play").arg(clip(OURS.0)).arg("--record").arg(&heard).output();
    let output = output.expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    heard
}

fn assert_understood(recording: &Path, said: &str) {
    let speech = recording.with_extension("speech.wav");
    wav::loud_part(recording, &speech);
    let heard = transcribe(&speech, if said.is_ascii() { "en" } else { "ru" });
    let rate = wer(said, &heard);
    println!("{}: word error rate {rate:.2}: {heard}", recording.display());
    assert!(rate <= MAX_WORD_ERROR_RATE, "{heard:?} instead of {said:?}");
}

/// Says [`THEIRS`] soon after the answer, and then listens.
fn microphone(netns: &Netns) -> PathBuf {
    let file = netns.dir().join("microphone.wav");
    wav::microphone(&clip(THEIRS.0), 1, 30, &file);
    file
}

/// A telephone that says nothing.
fn silence(netns: &Netns) -> PathBuf {
    let file = netns.dir().join("silence.wav");
    wav::write(&file, &[0; 60 * wav::TELEPHONE_HZ as usize], wav::TELEPHONE_HZ);
    file
}

fn clip(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech").join(name)
}

fn office_account() -> Account<'static> {
    let (username, password) = asterisk::SECRETARY;
    Account { registrar: asterisk::ADDRESS, username, password, transport: "udp" }
}

/// Until so much of the call is recorded.
fn wait_recorded(call: &CallFiles, seconds: f32) {
    wait_until("the call is recorded", Duration::from_secs(60), || {
        (wav::seconds(&call.input()) >= seconds).then_some(())
    });
}
