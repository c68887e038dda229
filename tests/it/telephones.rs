//! Each codec with real telephones: what both sides hear of each other.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use crate::support::baresip::Baresip;
use crate::support::linphone::Linphone;
use crate::support::netns::Netns;
use crate::support::pesq;
use crate::support::process::wait_until;
use crate::support::secretary::call_command;
use crate::support::wav;
use secretary::rtp::codec::resample::resample;

/// The codecs as each telephone names them.
const BARESIP: [&str; 4] = ["PCMU/8000/1", "PCMA/8000/1", "G722/16000/1", "opus/48000/2"];
const LINPHONE: [(&str, u32); 4] = [("PCMU", 8_000), ("PCMA", 8_000), ("G722", 8_000), ("opus", 48_000)];
/// What the telephone says, and what we say to it, both for longer than 8 s as PESQ wants it.
const THEIRS: [&str; 2] = ["en_message_1", "en_message_2"];
const OURS: [&str; 2] = ["ru_message_1", "ru_message_3"];
/// Of the worst codec and telephone here.
const LEAST: f64 = 3.5;

enum Telephone {
    Baresip(Baresip),
    Linphone(Linphone),
}

/// A call of `secretary call`, in a network of its own.
struct Talk {
    codec: String,
    telephone: Telephone,
    call: Child,
    heard: PathBuf,
    netns: Netns,
}

#[test]
fn each_codec_of_baresip_is_heard_both_ways() {
    each_codec(&BARESIP, |netns, codec, microphone| {
        Telephone::Baresip(Baresip::answering_in(netns, codec, microphone))
    });
}

#[test]
fn each_codec_of_linphone_is_heard_both_ways() {
    each_codec(&LINPHONE, |netns, codec, microphone| {
        Telephone::Linphone(Linphone::answering_in(netns, *codec, microphone))
    });
}

/// All at once: they do not measure each other, for nothing of theirs is work.
fn each_codec<C: std::fmt::Debug>(codecs: &[C], answering: impl Fn(&Netns, &C, &Path) -> Telephone) {
    let first = Netns::new();
    let (theirs, ours) = (speech(first.dir(), "theirs", &THEIRS), speech(first.dir(), "ours", &OURS));
    // We begin when the telephone has been silent for 5 s, and both talk at the same time for a while.
    let microphone = first.dir().join("microphone.wav");
    let silence = |seconds: usize| vec![0; seconds * wav::TELEPHONE_HZ as usize];
    let (pcm, _) = wav::read(&theirs);
    wav::write(&microphone, &[silence(7), pcm, silence(40)].concat(), wav::TELEPHONE_HZ);
    let talks: Vec<Talk> = codecs
        .iter()
        .map(|codec| {
            let netns = first.beside();
            let telephone = answering(&netns, codec, &microphone);
            let uri = match telephone {
                Telephone::Baresip(_) => Baresip::URI,
                Telephone::Linphone(_) => Linphone::URI,
            };
            let heard = netns.dir().join("heard.wav");
            let mut command = call_command(&netns, uri);
            command.arg("--play").arg(&ours).arg("--record").arg(&heard);
            let call = command.spawn().expect("the program");
            Talk { codec: format!("{codec:?}"), telephone, call, heard, netns }
        })
        .collect();
    for mut talk in talks {
        let ended = || talk.call.try_wait().expect("the program");
        assert!(wait_until("the call is over", Duration::from_secs(120), ended).success(), "{}", talk.codec);
        let heard_by_them = match &mut talk.telephone {
            Telephone::Baresip(telephone) => {
                telephone.wait_bye();
                telephone.recording()
            }
            Telephone::Linphone(telephone) => {
                telephone.wait_ended();
                telephone.recording()
            }
        };
        let at_8_khz = |file: &Path, name: &str| {
            let whole = talk.netns.dir().join("whole.wav");
            wav::cut(file, 0.0, &whole);
            let (pcm, rate_hz) = wav::read(&whole);
            let narrow = talk.netns.dir().join(name);
            wav::write(
                &narrow,
                &resample(&pcm, rate_hz, wav::TELEPHONE_HZ).expect("an ordinary rate"),
                wav::TELEPHONE_HZ,
            );
            narrow
        };
        let by_us = (theirs.clone(), at_8_khz(&talk.heard, "by_us.wav"));
        let by_them = (ours.clone(), at_8_khz(&heard_by_them, "by_them.wav"));
        let scores = pesq::judge(&[by_us, by_them]);
        println!("{}: PESQ-NB {:.2} as we heard it, {:.2} as they did", talk.codec, scores[0], scores[1]);
        assert!(scores.iter().all(|score| *score >= LEAST), "{}: {scores:.2?}", talk.codec);
    }
}

/// Some recordings one after the other, at the telephone's rate.
fn speech(dir: &Path, name: &str, files: &[&str]) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech");
    let read = |file: &&str| {
        let (pcm, rate_hz) = wav::read(&data.join(file).with_extension("wav"));
        resample(&pcm, rate_hz, wav::TELEPHONE_HZ).expect("an ordinary rate")
    };
    let file = dir.join(format!("{name}.wav"));
    wav::write(&file, &files.iter().flat_map(read).collect::<Vec<_>>(), wav::TELEPHONE_HZ);
    file
}
