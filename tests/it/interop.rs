//! Calls from telephones that others wrote, directly and through Asterisk 22, with recorded human speech and the real models.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::asterisk::{self, Asterisk};
use crate::support::baresip::Baresip;
use crate::support::linphone::Linphone;
use crate::support::netns::Netns;
use crate::support::process::{Deadline, wait_until};
use crate::support::secretary::{Account, CallFiles, Record, Secretary, Turn, transcribe};
use crate::support::wav;
use crate::support::wer::{wer, words};

/// Ports of the secretary: the standard one where it is called directly, another beside a PBX on the same address.
const DIRECT: u16 = 5060;
const BESIDE_PBX: u16 = 5070;
/// The caller listens to the greeting first, and to the answer afterwards, for so long at least: if the sentence was answered
/// before its end, the rest of it was answered then as well.
const LEAD_S: u32 = 7;
const ANSWER_S: f32 = 5.0;
const TAIL_S: u32 = 45;
/// Bound on the word error rate of the caller's sentence.
const MAX_WORD_ERROR_RATE: f64 = 0.35;
/// Part of the answer's longer words that must be recognisable on the far side: a synthetic voice on a telephone line, read
/// by the base model.
const MIN_WORDS_HEARD: f32 = 0.5;

/// A recorded sentence of tests/data/speech and what is said in it.
struct Clip {
    /// Its language comes first in its name.
    file: &'static str,
    text: &'static str,
}

const RUSSIAN: Clip = Clip {
    file: "ru_real_0308.wav", text: "Это странно, но я уж, как-то привыкла к вам."
};
const RUSSIAN_2: Clip = Clip {
    file: "ru_real_0722.wav",
    text: "Эпизод борьбы английских колоний в Северной, Америке, за независимость.",
};
const RUSSIAN_3: Clip = Clip {
    file: "ru_real_0552.wav",
    text: "В церковь, ходили одни старухи, не считая меня, и Марии.",
};
const ENGLISH: Clip =
    Clip { file: "en_real_cities_1.wav", text: "It was the best of times, it was the worst of times." };
const ENGLISH_2: Clip =
    Clip { file: "en_real_cities_3.wav", text: "It was the epoch of belief, it was the epoch of incredulity." };

#[test]
fn baresip_speaks_russian() {
    speech_call(&RUSSIAN, Telephone::Baresip, Way::Direct);
}

#[test]
fn baresip_speaks_english() {
    speech_call(&ENGLISH, Telephone::Baresip, Way::Direct);
}

#[test]
fn baresip_speaks_russian_through_asterisk() {
    speech_call(&RUSSIAN_2, Telephone::Baresip, Way::Asterisk);
}

#[test]
fn baresip_speaks_english_through_asterisk() {
    speech_call(&ENGLISH_2, Telephone::Baresip, Way::Asterisk);
}

#[test]
fn linphone_speaks_russian() {
    speech_call(&RUSSIAN_3, Telephone::Linphone, Way::Direct);
}

#[test]
fn linphone_speaks_english_through_asterisk() {
    speech_call(&ENGLISH, Telephone::Linphone, Way::Asterisk);
}

#[test]
fn linphone_speaks_russian_through_asterisk() {
    speech_call(&RUSSIAN, Telephone::Linphone, Way::Asterisk);
}

#[test]
fn linphone_speaks_english() {
    speech_call(&ENGLISH_2, Telephone::Linphone, Way::Direct);
}

#[test]
fn baresip_speaks_encrypted_with_keys_in_sdp() {
    speech_call(&RUSSIAN, Telephone::Baresip, Way::Encrypted(Keys::Sdes));
}

#[test]
fn baresip_speaks_encrypted_with_keys_of_a_handshake() {
    speech_call(&ENGLISH, Telephone::Baresip, Way::Encrypted(Keys::Dtls));
}

#[test]
fn linphone_speaks_encrypted_with_keys_in_sdp() {
    speech_call(&ENGLISH, Telephone::Linphone, Way::Encrypted(Keys::Sdes));
}

#[test]
fn linphone_speaks_encrypted_with_keys_of_a_handshake() {
    speech_call(&ENGLISH_2, Telephone::Linphone, Way::Encrypted(Keys::Dtls));
}

#[test]
fn asterisk_calls_encrypted_with_keys_in_sdp() {
    speech_call(&ENGLISH_2, Telephone::Baresip, Way::AsteriskEncrypted(Keys::Sdes, "udp"));
}

#[test]
fn asterisk_calls_encrypted_with_keys_in_sdp_over_tls() {
    speech_call(&ENGLISH, Telephone::Baresip, Way::AsteriskEncrypted(Keys::Sdes, "tls"));
}

#[test]
fn asterisk_calls_encrypted_with_keys_of_a_handshake() {
    speech_call(&RUSSIAN, Telephone::Baresip, Way::AsteriskEncrypted(Keys::Dtls, "udp"));
}

#[test]
fn asterisk_translates_to_g722() {
    speech_call(&ENGLISH_2, Telephone::Baresip, Way::AsteriskIn("G722"));
}

#[test]
fn asterisk_translates_to_opus() {
    speech_call(&RUSSIAN_2, Telephone::Linphone, Way::AsteriskIn("opus"));
}

/// A caller who puts her on hold during the greeting and comes back is heard as before, with and without a PBX.
#[test]
fn one_who_comes_back_from_hold_is_heard() {
    for way in [Way::Direct, Way::Asterisk] {
        let netns = Netns::new();
        let microphone = netns.dir().join("microphone.wav");
        wav::microphone(&ENGLISH.path(), 20, TAIL_S, &microphone);
        let (_asterisk, secretary) = match way {
            Way::Asterisk => {
                let asterisk = Asterisk::start(&netns);
                let secretary = Secretary::start(&netns, BESIDE_PBX, &[office_account()]);
                asterisk.wait_registered("200", Duration::from_secs(30));
                (Some(asterisk), secretary)
            }
            _ => (None, Secretary::start(&netns, DIRECT, &[])),
        };
        let mut caller = match Caller::call(&netns, Telephone::Baresip, way, "200", &microphone) {
            Caller::Baresip(caller) => caller,
            Caller::Linphone(_) => unreachable!("it is baresip that calls"),
        };
        caller.wait_established();
        let call = secretary.wait_call(Duration::from_secs(10));
        let recorded = |seconds: f32| {
            wait_until("the call goes on", Duration::from_secs(60), || {
                (wav::seconds(&call.input()) >= seconds).then_some(())
            });
        };
        recorded(2.0);
        caller.hold();
        recorded(8.0);
        caller.resume();
        wait_for_answer(&call);
        caller.hang_up();
        let turns = completed(&call).answered_turns();
        let understood: Vec<&str> = turns.iter().map(|turn| turn.caller.as_str()).collect();
        let understood = understood.join(" ");
        println!("{way:?}: {understood}");
        assert!(wer(ENGLISH.text, &understood) <= MAX_WORD_ERROR_RATE, "{way:?}: {understood:?}");
    }
}

#[test]
fn secretary_stands_in_for_a_person_who_is_not_there() {
    let netns = Netns::new();
    let asterisk = Asterisk::start(&netns);
    let secretary = Secretary::start(&netns, BESIDE_PBX, &[office_account()]);
    asterisk.wait_registered("200", Duration::from_secs(30));
    let mut caller = Caller::call(&netns, Telephone::Baresip, Way::Asterisk, "102", &silence(&netns));
    caller.wait_established();
    let call = secretary.wait_call(Duration::from_secs(10));
    assert!(call.record().caller().contains("101"), "the secretary knows who calls: {:?}", call.record());
    caller.hang_up();
}

#[test]
fn registers_again_after_the_pbx_restarted() {
    let netns = Netns::new();
    let mut asterisk = Asterisk::start(&netns);
    let secretary = Secretary::start(&netns, BESIDE_PBX, &[office_account()]);
    asterisk.wait_registered("200", Duration::from_secs(30));
    asterisk.restart();
    let within = Duration::from_secs(30);
    let deadline = Deadline::after(within);
    asterisk.wait_registered("200", within);
    println!("registered again {:.1} s after the PBX was up", (within - deadline.left()).as_secs_f32());
    let mut caller = Caller::call(&netns, Telephone::Baresip, Way::Asterisk, "200", &silence(&netns));
    caller.wait_established();
    let call = secretary.wait_call(Duration::from_secs(10));
    caller.hang_up();
    completed(&call);
}

#[test]
fn registers_with_md5_and_with_sha_256() {
    let more = "[201](extension)\nauth=201\naors=201\n[201](password)\nusername=201\npassword=md5-only\n\
                supported_algorithms_uas=MD5\n[201](registration)\n\
                [202](extension)\nauth=202\naors=202\n[202](password)\nusername=202\npassword=sha-only\n\
                supported_algorithms_uas=SHA-256\n[202](registration)\n";
    let netns = Netns::new();
    let asterisk = Asterisk::start_with(&netns, more, "");
    let account = |username, password| Account { registrar: asterisk::ADDRESS, username, password, transport: "udp" };
    let accounts = [office_account(), account("201", "md5-only"), account("202", "sha-only")];
    let _secretary = Secretary::start(&netns, BESIDE_PBX, &accounts);
    for extension in ["200", "201", "202"] {
        asterisk.wait_registered(extension, Duration::from_secs(30));
    }
    let algorithms = |user: &str| -> Vec<String> {
        let log = asterisk.log();
        let authorizations = log.lines().filter(|line| line.to_ascii_lowercase().starts_with("authorization:"));
        let ours = authorizations.filter(|line| line.contains(&format!("username=\"{user}\"")));
        ours.map(|line| if line.contains("SHA-256") { "SHA-256" } else { "MD5" }.to_owned()).collect()
    };
    assert_eq!(algorithms("201"), ["MD5"]);
    assert_eq!(algorithms("202"), ["SHA-256"]);
    assert_eq!(algorithms("200"), ["SHA-256"], "of two offers the stronger one is taken");
}

#[test]
fn asterisk_and_she_understand_each_others_reports() {
    let muxed = "[203](extension)\nauth=203\naors=203\nrtcp_mux=yes\n[203](password)\nusername=203\npassword=muxed\n\
                 [203](registration)\n";
    let netns = Netns::new();
    let asterisk = Asterisk::start_with(&netns, muxed, "[office](+)\nexten => 203,1,Dial(PJSIP/203,15)\n");
    let other = Account { registrar: asterisk::ADDRESS, username: "203", password: "muxed", transport: "udp" };
    let secretary = Secretary::start(&netns, BESIDE_PBX, &[office_account(), other]);
    for extension in ["200", "203"] {
        asterisk.wait_registered(extension, Duration::from_secs(30));
    }
    asterisk.cli("rtcp set debug on");
    // Reports on a port of their own, as Asterisk has it by default, and on that of the sound.
    for (n, extension) in ["200", "203"].into_iter().enumerate() {
        let read = asterisk.log().len();
        let mut caller = Caller::call(&netns, Telephone::Baresip, Way::Asterisk, extension, &silence(&netns));
        caller.wait_established();
        let call = secretary.wait_calls(n + 1, Duration::from_secs(10));
        wait_recorded(&call, 16.0);
        caller.hang_up();
        let record = completed(&call);
        println!("{extension}: {record:?}");
        for (way, field) in [("", "mos"), ("", "round_trip_ms"), ("sent", "mos"), ("sent", "packets")] {
            assert!(record.quality(way, field).is_some(), "{way} {field}: {record:?}");
        }
        let log = asterisk.log();
        let ours = reports_to_asterisk(&log[read..]);
        println!("{extension}: {ours:?}");
        assert!(ours.iter().all(|(port, _)| usize::from(port % 2 == 0) == n), "{ours:?}");
        assert!(ours.iter().any(|(_, rtt_s)| *rtt_s > 0.0 && *rtt_s < 1.0), "no round trip in its log: {ours:?}");
    }
}

/// From which ports of ours Asterisk had sender reports, by its log, and what round trip it read from them, in s.
fn reports_to_asterisk(log: &str) -> Vec<(u16, f64)> {
    let mut from = None;
    let mut reports = Vec::new();
    for line in log.lines() {
        if let Some((_, address)) = line.split_once("RTCP from 127.0.0.1:") {
            from = address.parse::<u16>().ok().filter(|port| (10_000..=10_100).contains(port));
        } else if let (Some(port), Some((_, rtt))) = (from, line.split_once("  RTT: ")) {
            reports.extend(rtt.trim_end_matches("(sec)").parse().ok().map(|rtt: f64| (port, rtt)));
        }
    }
    reports
}

#[test]
fn caller_hangs_up_and_the_files_are_closed() {
    let netns = Netns::new();
    let secretary = Secretary::start(&netns, DIRECT, &[]);
    let mut caller = Caller::call(&netns, Telephone::Baresip, Way::Direct, "secretary", &silence(&netns));
    caller.wait_established();
    let call = secretary.wait_call(Duration::from_secs(10));
    caller.hang_up();
    let record = completed(&call);
    assert_eq!(record.ended_by(), "caller");
}

#[test]
fn interrupt_in_a_call_says_bye_and_closes_the_files() {
    let netns = Netns::new();
    let mut secretary = Secretary::start(&netns, DIRECT, &[]);
    let microphone = netns.dir().join("microphone.wav");
    wav::microphone(&RUSSIAN.path(), LEAD_S, TAIL_S, &microphone);
    let mut caller = Baresip::call(&netns, &direct_uri("secretary"), &microphone);
    caller.wait_established();
    let call = secretary.wait_call(Duration::from_secs(10));
    wait_recorded(&call, LEAD_S as f32 + 2.5);
    let status = secretary.interrupt();
    assert!(status.success(), "{status}");
    caller.wait_bye();
    let record = completed(&call);
    assert_eq!(record.ended_by(), "shutdown");
}

#[test]
fn who_tells_his_matter_and_hangs_up_has_left_a_message() {
    let netns = Netns::new();
    let secretary = Secretary::start(&netns, DIRECT, &[]);
    let told = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/ru_message_1.wav");
    let microphone = netns.dir().join("microphone.wav");
    wav::microphone(&told, LEAD_S, TAIL_S, &microphone);
    let mut caller = Baresip::call(&netns, &direct_uri("secretary"), &microphone);
    caller.wait_established();
    let call = secretary.wait_call(Duration::from_secs(10));
    wait_recorded(&call, LEAD_S as f32 + wav::seconds(&told) - 0.3);
    caller.hang_up();
    let record = call.wait_record("the last words are in the record", Duration::from_secs(30), |record| {
        record.status() == "completed"
    });
    assert_playable(&call);
    let [name, _, matter] = record.message();
    assert_eq!(name, "Анна Коваленко", "{record:?}");
    assert!(matter.contains("заболела"), "{record:?}");
}

#[test]
fn killed_in_a_call_leaves_a_recording_and_a_transcript() {
    let netns = Netns::new();
    let mut secretary = Secretary::start(&netns, DIRECT, &[]);
    let microphone = netns.dir().join("microphone.wav");
    wav::microphone(&RUSSIAN.path(), LEAD_S, TAIL_S, &microphone);
    let mut caller = Baresip::call(&netns, &direct_uri("secretary"), &microphone);
    caller.wait_established();
    let call = secretary.wait_call(Duration::from_secs(10));
    let before = wait_for_answer(&call);
    secretary.kill();

    let _restarted = Secretary::start(&netns, DIRECT, &[]);
    let record = call.wait_record("the call is known as interrupted", Duration::from_secs(10), |record| {
        record.status() == "interrupted"
    });
    assert_playable(&call);
    let recorded = wav::seconds(&call.input());
    assert!(recorded > LEAD_S as f32, "only {recorded:.1} s of the call were kept");
    let transcript = call.transcript();
    for turn in before.answered_turns() {
        assert!(transcript.contains(&turn.caller), "{:?} is in the transcript:\n{transcript}", turn.caller);
        assert!(transcript.contains(&turn.heard), "{:?} is in the transcript:\n{transcript}", turn.heard);
    }
    assert!(record.answered_turns().len() >= before.answered_turns().len());
}

#[derive(Debug, Clone, Copy)]
enum Telephone {
    Baresip,
    Linphone,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Direct,
    Asterisk,
    /// Directly, by a telephone that insists on encryption.
    Encrypted(Keys),
    /// Asterisk, which insists on it, over a transport.
    AsteriskEncrypted(Keys, &'static str),
    /// Asterisk, which speaks this codec with her and another one with the telephone.
    AsteriskIn(&'static str),
}

/// How the keys of encrypted sound are agreed on.
#[derive(Debug, Clone, Copy)]
enum Keys {
    Sdes,
    Dtls,
}

enum Caller {
    Baresip(Baresip),
    Linphone(Linphone),
}

impl Caller {
    fn call(netns: &Netns, telephone: Telephone, way: Way, callee: &str, microphone: &Path) -> Self {
        let (pbx, phone) = (asterisk::ADDRESS, asterisk::PHONE);
        match (telephone, way) {
            (Telephone::Baresip, Way::Direct) => Self::Baresip(Baresip::call(netns, &direct_uri(callee), microphone)),
            (Telephone::Baresip, Way::Encrypted(keys)) => {
                let encryption = if matches!(keys, Keys::Sdes) { "srtp-mand" } else { "dtls_srtp" };
                Self::Baresip(Baresip::call_encrypted(netns, encryption, &direct_uri(callee), microphone))
            }
            (Telephone::Linphone, Way::Encrypted(keys)) => {
                let encryption = if matches!(keys, Keys::Sdes) { "srtp" } else { "dtls" };
                Self::Linphone(Linphone::call_encrypted(netns, encryption, &direct_uri(callee), microphone))
            }
            (Telephone::Baresip, Way::Asterisk | Way::AsteriskEncrypted(..) | Way::AsteriskIn(_)) => {
                Self::Baresip(Baresip::call_extension(netns, pbx, phone, callee, microphone))
            }
            (Telephone::Linphone, Way::Direct) => {
                Self::Linphone(Linphone::call(netns, &direct_uri(callee), microphone))
            }
            (Telephone::Linphone, Way::Asterisk | Way::AsteriskEncrypted(..) | Way::AsteriskIn(_)) => {
                Self::Linphone(Linphone::call_extension(netns, pbx, phone, callee, microphone))
            }
        }
    }

    fn wait_established(&mut self) {
        match self {
            Self::Baresip(caller) => caller.wait_established(),
            Self::Linphone(caller) => caller.wait_established(),
        }
    }

    fn hang_up(&mut self) {
        match self {
            Self::Baresip(caller) => caller.hang_up(),
            Self::Linphone(caller) => caller.hang_up(),
        }
    }

    fn recording(&self) -> PathBuf {
        match self {
            Self::Baresip(caller) => caller.recording(),
            Self::Linphone(caller) => caller.recording(),
        }
    }
}

/// One sentence and its answer: understood here, and the answer understandable at the other end.
fn speech_call(clip: &Clip, telephone: Telephone, way: Way) {
    let netns = Netns::new();
    let microphone = netns.dir().join("microphone.wav");
    wav::microphone(&clip.path(), LEAD_S, TAIL_S, &microphone);
    let (_asterisk, secretary) = match way {
        Way::Direct | Way::Encrypted(_) => (None, Secretary::start(&netns, DIRECT, &[])),
        Way::AsteriskEncrypted(keys, transport) => {
            let encryption = match keys {
                Keys::Sdes => "media_encryption=sdes",
                Keys::Dtls => "media_encryption=dtls\ndtls_auto_generate_cert=yes\nrtcp_mux=yes",
            };
            let asterisk = Asterisk::start_with(&netns, &format!("[200](+)\n{encryption}\n"), "");
            let registrar = if transport == "tls" { asterisk::TLS_ADDRESS } else { asterisk::ADDRESS };
            let trust = format!("[sip.tls]\nca = {:?}\n", asterisk.certificate());
            let account = Account { registrar, transport, ..office_account() };
            let secretary = Secretary::start_with(&netns, BESIDE_PBX, &[account], &trust, &[]);
            asterisk.wait_registered("200", Duration::from_secs(30));
            (Some(asterisk), secretary)
        }
        Way::Asterisk | Way::AsteriskIn(_) => {
            let codec = if let Way::AsteriskIn(codec) = way { codec.to_lowercase() } else { "alaw,ulaw".to_owned() };
            let asterisk = Asterisk::start_with(&netns, &format!("[200](+)\nallow=!all,{codec}\n"), "");
            let secretary = Secretary::start(&netns, BESIDE_PBX, &[office_account()]);
            asterisk.wait_registered("200", Duration::from_secs(30));
            (Some(asterisk), secretary)
        }
    };
    let mut caller = Caller::call(&netns, telephone, way, "200", &microphone);
    caller.wait_established();
    let call = secretary.wait_call(Duration::from_secs(10));
    wait_for_answer(&call);
    wait_recorded(&call, LEAD_S as f32 + wav::seconds(&clip.path()) + ANSWER_S);
    caller.hang_up();
    let record = completed(&call);

    let title = format!("{telephone:?} {way:?} {}", clip.file);
    if let Way::Encrypted(_) | Way::AsteriskEncrypted(..) = way {
        let over = "the call is over in the log";
        let over = wait_until(over, Duration::from_secs(10), || {
            secretary.output().lines().find(|line| line.contains("\"call over\"")).map(str::to_owned)
        });
        let forged =
            over.split_once("\"srtp.forged\":").and_then(|(_, rest)| rest.split([',', '}']).next()?.parse().ok());
        // baresip's first packets and reports may come before the keys.
        assert!(over.contains("\"rtp.encrypted\":true") && forged.is_some_and(|forged: u32| forged <= 10), "{over}");
    }
    println!("{title}: {}", record.codec());
    // Linphone's profile here offers µ-law first, baresip's and Asterisk's configuration A-law.
    let codec = match (telephone, way) {
        (_, Way::AsteriskIn(codec)) => codec,
        (Telephone::Linphone, Way::Direct | Way::Encrypted(_)) => "PCMU",
        _ => "PCMA",
    };
    assert_eq!(record.codec(), codec);
    print_latencies(&title, &record.turns());
    let turns = record.answered_turns();
    let understood: Vec<&str> = turns.iter().map(|turn| turn.caller.as_str()).collect();
    let understood = understood.join(" ");
    let error_rate = wer(clip.text, &understood);
    println!("{title}: word error rate {error_rate:.2}: {understood}");
    assert!(error_rate <= MAX_WORD_ERROR_RATE, "{understood:?} instead of {:?}", clip.text);

    // what came before is the greeting, perhaps in another language
    let answer_file = netns.dir().join("answer.wav");
    wav::cut(&caller.recording(), LEAD_S as f32 + wav::seconds(&clip.path()), &answer_file);
    let heard = transcribe(&answer_file, &clip.file[..2]);
    let said: Vec<&str> = turns.iter().map(|turn| turn.secretary.as_str()).collect();
    let part = part_heard(&said.join(" "), &heard);
    println!("{title}: {:.0} % of the answer's words heard: {heard}", part * 100.0);
    assert!(part >= MIN_WORDS_HEARD, "the secretary said {said:?}, the caller heard {heard:?}");
}

/// Until the secretary has answered the caller's sentence.
fn wait_for_answer(call: &CallFiles) -> Record {
    call.wait_record("the secretary answers the caller", Duration::from_secs(60), |record| {
        !record.answered_turns().is_empty()
    })
}

/// Until so much of the call is recorded.
fn wait_recorded(call: &CallFiles, seconds: f32) {
    wait_until("the call is recorded", Duration::from_secs(60), || {
        (wav::seconds(&call.input()) >= seconds).then_some(())
    });
}

/// Until the call is over and its files are whole.
fn completed(call: &CallFiles) -> Record {
    let record =
        call.wait_record("the call is completed", Duration::from_secs(10), |record| record.status() == "completed");
    assert_playable(call);
    record
}

fn assert_playable(call: &CallFiles) {
    let (input, output) = (wav::length(&call.input()), wav::length(&call.output()));
    assert!(input > 0, "the recording is empty");
    assert_eq!(input, output, "sample n of both files is the same instant");
}

fn print_latencies(title: &str, turns: &[Turn]) {
    for (number, turn) in turns.iter().enumerate() {
        if let Some(latency) = turn.greeting_ms {
            println!("{title}: {latency:.0} ms from the answer to the first audio of the greeting");
        }
        if let Some(latency) = turn.to_first_audio_ms {
            println!("{title}: turn {number}: {latency:.0} ms from the end of speech to the first audio of the answer");
        }
    }
}

/// A caller who says nothing.
fn silence(netns: &Netns) -> PathBuf {
    let file = netns.dir().join("silence.wav");
    wav::write(&file, &[0; 60 * wav::TELEPHONE_HZ as usize], wav::TELEPHONE_HZ);
    file
}

fn direct_uri(callee: &str) -> String {
    format!("sip:{callee}@127.0.0.1:{DIRECT}")
}

fn office_account() -> Account<'static> {
    let (username, password) = asterisk::SECRETARY;
    Account { registrar: asterisk::ADDRESS, username, password, transport: "udp" }
}

impl Clip {
    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech").join(self.file)
    }
}

/// Which part of the words of at least four letters in `said` is among the words of `heard`.
fn part_heard(said: &str, heard: &str) -> f32 {
    let heard = words(heard);
    let said: Vec<String> = words(said).into_iter().filter(|word| word.chars().count() >= 4).collect();
    said.iter().filter(|word| heard.contains(word)).count() as f32 / said.len().max(1) as f32
}
