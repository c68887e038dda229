//! A real telephone behind a network that loses packets.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::support::baresip::{self, Baresip};
use crate::support::netns::Netns;
use crate::support::pesq;
use crate::support::secretary::call_command;
use crate::support::wav;
use secretary::rtp::codec::resample::resample;

/// In pieces of 8 to 12 s, as PESQ wants it.
const SPEECH: [&[&str]; 5] = [
    &["en_message_1", "en_message_2"],
    &["en_real_cities_1", "en_real_austen_0880"],
    &["ru_message_1", "ru_message_3"],
    &["ru_message_2"],
    &["ru_real_0114", "ru_real_0308"],
];

/// What becomes of the telephone's packets, as statements of nftables, and the least PESQ-NB of what we hear of it.
/// Lost in a burst is what comes within 50 ms of one that was lost: three packets in a row.
const NETWORKS: [(&str, &[&str], f64); 4] = [
    ("no loss", &[], 4.0),
    ("1 % lost", &["numgen random mod 1000 < 10 drop"], 3.6),
    ("5 % lost", &["numgen random mod 1000 < 50 drop"], 3.0),
    (
        "5 % lost in bursts",
        &["udp sport @burst drop", "numgen random mod 1000 < 17 update @burst { udp sport timeout 50ms } drop"],
        2.8,
    ),
];

/// So often is all the speech said in the long call: three and a half minutes.
const ROUNDS: usize = 4;

/// One of the calls, in a network of its own.
struct Listening {
    netns: Netns,
    phone: Baresip,
    call: Child,
    heard: PathBuf,
}

#[test]
fn a_telephone_behind_a_network_that_loses_packets_is_heard_well_and_one_behind_a_good_one_for_minutes() {
    let first = Netns::new();
    let pieces: Vec<(PathBuf, Vec<i16>)> = (0..).zip(SPEECH).map(|(n, names)| piece(first.dir(), n, names)).collect();
    let files: Vec<PathBuf> = pieces.iter().map(|(file, _)| file.clone()).collect();
    let pause = vec![0; wav::TELEPHONE_HZ as usize];
    let round: Vec<i16> = pieces.iter().flat_map(|(_, pcm)| pause.iter().chain(pcm)).copied().collect();
    let one = first.dir().join("one_round.wav");
    wav::write(&one, &[&round, &*pause.repeat(30)].concat(), wav::TELEPHONE_HZ);
    let listening = NETWORKS.map(|(_, statements, _)| Listening::start(first.beside(), statements, &one, None));
    // Both talk at the same time: we begin when the telephone has been silent for 5 s.
    let (theirs, ours) = (first.dir().join("rounds.wav"), first.dir().join("our_rounds.wav"));
    let rounds = round.repeat(ROUNDS);
    wav::write(&ours, &rounds, wav::TELEPHONE_HZ);
    wav::write(&theirs, &[&*pause.repeat(7), &rounds, &*pause.repeat(60)].concat(), wav::TELEPHONE_HZ);
    let mut long = Listening::start(first.beside(), &[], &theirs, Some(&ours));
    for ((network, _, least), mut call) in NETWORKS.into_iter().zip(listening) {
        let lost = call.end();
        let scores = judge(&files, &call.heard);
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        println!("{network}: PESQ-NB {mean:.2} {scores:.2?} ({lost})");
        assert!(mean >= least, "{network}: PESQ-NB {mean:.2}, and it should be {least}");
    }
    long.end();
    for (who, heard) in [("we", long.heard.clone()), ("they", long.phone.recording())] {
        let (pcm, rate_hz) = wav::read(&heard);
        assert_eq!(rate_hz, wav::TELEPHONE_HZ);
        let begin = pcm.iter().position(|sample| sample.unsigned_abs() > 500).expect("some sound") - rate_hz as usize;
        for (n, round) in pcm[begin..].chunks(round.len()).take(ROUNDS).enumerate() {
            let file = heard.with_extension(format!("{n}.wav"));
            wav::write(&file, round, rate_hz);
            let scores = judge(&files, &file);
            println!("round {n} as {who} heard it: PESQ-NB {scores:.2?}");
            assert!(scores.iter().all(|score| *score >= 3.8), "round {n} as {who} heard it: {scores:.2?}");
        }
    }
}

impl Listening {
    /// `secretary call` calls a telephone that speaks; it plays `ours`, if anything.
    fn start(netns: Netns, statements: &[&str], microphone: &Path, ours: Option<&Path>) -> Self {
        lose(&netns, statements);
        let phone = Baresip::answering(&netns, microphone);
        let heard = netns.dir().join("heard.wav");
        let mut command = call_command(&netns, Baresip::URI);
        command.args(ours.into_iter().flat_map(|ours| ["--play".as_ref(), ours.as_os_str()]));
        let call = command.arg("--record").arg(&heard).stderr(Stdio::null()).spawn().expect("the program");
        Self { netns, phone, call, heard }
    }

    /// Waits until the telephone has been silent for a while, and tells what was lost of its sound.
    fn end(&mut self) -> String {
        assert!(self.call.wait().expect("the program").success());
        self.phone.wait_bye();
        dropped(&self.netns)
    }
}

/// How good each of the pieces is in what was heard.
fn judge(pieces: &[PathBuf], heard: &Path) -> Vec<f64> {
    pesq::judge(&pieces.iter().map(|piece| (piece.clone(), heard.to_owned())).collect::<Vec<_>>())
}

/// Speech of some files one after the other, as a file and as samples.
fn piece(dir: &Path, n: usize, names: &[&str]) -> (PathBuf, Vec<i16>) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech");
    let speech = |name: &&str| {
        let (pcm, rate_hz) = wav::read(&data.join(name).with_extension("wav"));
        resample(&pcm, rate_hz, wav::TELEPHONE_HZ).expect("an ordinary rate")
    };
    let pcm: Vec<i16> = names.iter().flat_map(speech).collect();
    let file = dir.join(format!("piece_{n}.wav"));
    wav::write(&file, &pcm, wav::TELEPHONE_HZ);
    (file, pcm)
}

/// Has the network do that with the telephone's sound on its way in.
fn lose(netns: &Netns, statements: &[&str]) {
    let (first, last) = baresip::RTP_PORTS;
    let sound = format!("udp sport {first}-{last}");
    let rules: String = statements.iter().map(|statement| format!("{sound} {statement}\n")).collect();
    let table = format!(
        "table inet network {{\nset burst {{ type inet_service; flags dynamic,timeout; size 64; }}\ncounter came {{ }}\n\
         counter left {{ }}\nchain in {{ type filter hook input priority 0;\n{sound} counter name came\n{rules}\
         {sound} counter name left\n}}\n}}\n"
    );
    let file = netns.dir().join("network.nft");
    std::fs::write(&file, table).expect("rules");
    let output = netns.command("nft").arg("-f").arg(&file).output().expect("the nft program (package nftables)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// How many packets the network has lost.
fn dropped(netns: &Netns) -> String {
    let output = netns.command("nft").args(["-j", "list", "counters"]).output().expect("the nft program");
    let counters: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON from nft");
    let packets = |name: &str| {
        let all = counters["nftables"].as_array().into_iter().flatten();
        let counter = all.map(|entry| &entry["counter"]).find(|counter| counter["name"] == name);
        counter.and_then(|counter| counter["packets"].as_u64()).expect("a counter of the network")
    };
    let (came, left) = (packets("came"), packets("left"));
    format!("{} of {came} packets lost", came - left)
}
