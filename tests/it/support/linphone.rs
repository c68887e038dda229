//! linphonec, calling or called, driven at its prompt as a person would: what a user with Linphone has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::netns::Netns;
use super::process::{Process, require_program, wait_until};

const SIP_PORT: u16 = 5064;
const RTP_PORT: u16 = 7078;

/// What it speaks, and what of it is on unless told; a codec that its settings do not name is on as well.
const ALL_CODECS: [(&str, u32); 9] = [
    ("opus", 48_000),
    ("speex", 16_000),
    ("speex", 8_000),
    ("speex", 32_000),
    ("PCMU", 8_000),
    ("PCMA", 8_000),
    ("GSM", 8_000),
    ("G722", 8_000),
    ("BV16", 8_000),
];
const CODECS: [(&str, u32); 2] = [("PCMU", 8_000), ("PCMA", 8_000)];

pub struct Linphone {
    process: Process,
    recording: PathBuf,
}

impl Linphone {
    /// Where it is reached without a PBX.
    pub const URI: &str = "sip:caller@127.0.0.1:5064";

    /// Calls `uri` without any account.
    pub fn call(netns: &Netns, uri: &str, microphone: &Path) -> Self {
        let mut linphone = Self::start(netns, "", &[]);
        linphone.dial(uri, microphone);
        linphone
    }

    /// The same with encrypted sound or none: `srtp` or `dtls`.
    pub fn call_encrypted(netns: &Netns, encryption: &str, uri: &str, microphone: &Path) -> Self {
        let encryption = format!("{encryption}\nmedia_encryption_mandatory=1");
        let mut linphone = Self::start_with(netns, &encryption, "", &[]);
        linphone.dial(uri, microphone);
        linphone
    }

    /// The same with a password, in case it is asked for the one of `caller`.
    pub fn call_with_password(netns: &Netns, password: &str, uri: &str, microphone: &Path) -> Self {
        let mut linphone = Self::start(netns, &format!("[auth_info_0]\nusername=caller\npasswd={password}\n"), &[]);
        linphone.dial(uri, microphone);
        linphone
    }

    /// Answers whoever calls [`Self::URI`].
    pub fn answering(netns: &Netns, microphone: &Path) -> Self {
        let mut linphone = Self::start(netns, "", &["-a"]);
        linphone.use_files(microphone);
        linphone
    }

    /// Registers as an extension of the PBX at `registrar` and calls another one.
    pub fn call_extension(
        netns: &Netns,
        registrar: &str,
        (user, password): (&str, &str),
        extension: &str,
        microphone: &Path,
    ) -> Self {
        let mut linphone = Self::start(netns, &account(registrar, user, password), &[]);
        linphone.wait_registered();
        linphone.dial(&format!("sip:{extension}@{registrar}"), microphone);
        linphone
    }

    /// Registers as an extension of the PBX at `registrar` and answers who calls it.
    pub fn answering_extension(
        netns: &Netns,
        registrar: &str,
        (user, password): (&str, &str),
        microphone: &Path,
    ) -> Self {
        let mut linphone = Self::start(netns, &account(registrar, user, password), &["-a"]);
        linphone.wait_registered();
        linphone.use_files(microphone);
        linphone
    }

    /// The same with this codec alone: its name and rate in Hz.
    pub fn answering_in(netns: &Netns, codec: (&str, u32), microphone: &Path) -> Self {
        let mut linphone = Self::start_as(netns, "none", &[codec], "", &["-a"]);
        linphone.use_files(microphone);
        linphone
    }

    fn start(netns: &Netns, account: &str, more: &[&str]) -> Self {
        Self::start_with(netns, "none", account, more)
    }

    fn start_with(netns: &Netns, encryption: &str, account: &str, more: &[&str]) -> Self {
        Self::start_as(netns, encryption, &CODECS, account, more)
    }

    /// With these of its codecs alone.
    fn start_as(netns: &Netns, encryption: &str, codecs: &[(&str, u32)], account: &str, more: &[&str]) -> Self {
        require_program("linphonec");
        // it does not start without this folder
        fs::create_dir_all(netns.dir().join(".local/share/linphone")).expect("a folder for linphonec");
        let config = netns.dir().join("linphonerc");
        // the network state monitor would find no network on a machine that has only a loopback interface
        let settings = format!(
            "[sip]\nsip_port={SIP_PORT}\nsip_tcp_port={SIP_PORT}\nsip_tls_port=-1\nguess_hostname=0\n\
             contact=\"caller\" <sip:caller@127.0.0.1:{SIP_PORT}>\nuse_ipv6=0\nauto_net_state_mon=0\n\
             bind_address=127.0.0.1\nregister_only_when_network_is_up=0\nmedia_encryption={encryption}\ndefault_proxy=0\n\
             [rtp]\naudio_rtp_port={RTP_PORT}\n[net]\nfirewall_policy=0\n\
             [sound]\nplayback_dev_id=\ncapture_dev_id=\nringer_dev_id=\nechocancellation=0\nuse_files=1\n\
             [video]\ndisplay=0\ncapture=0\n{}{account}",
            codec_list(codecs)
        );
        fs::write(&config, settings).expect("linphonerc");
        // it fills a buffer before it prints, unless told to print line by line
        let mut command = netns.command("stdbuf");
        command.args(["-oL", "linphonec", "-c"]).arg(&config).args(more).env("HOME", netns.dir());
        let mut process = Process::spawn("linphonec", &mut command, netns.dir());
        process.wait_for("linphonec>", Duration::from_secs(20));
        Self { process, recording: netns.dir().join("linphone-heard.wav") }
    }

    /// It does not say by itself when it is registered: it is asked.
    fn wait_registered(&mut self) {
        let process = &mut self.process;
        wait_until("linphonec is registered", Duration::from_secs(20), || {
            process.type_line("status register");
            process.output().contains("registered, identity").then_some(())
        });
    }

    fn dial(&mut self, uri: &str, microphone: &Path) {
        self.use_files(microphone);
        self.process.type_line(&format!("call {uri}"));
    }

    /// Puts its call on hold, makes a second one, and when that is answered connects the two others (attended transfer).
    pub fn connect_with(&mut self, uri: &str) {
        self.process.type_line("pause");
        self.process.wait_for("paused", Duration::from_secs(10));
        self.process.type_line(&format!("call {uri}"));
        self.process.wait_output("the second call", Duration::from_secs(20), |output| {
            output.matches("connected.").count() >= 2
        });
        self.process.type_line("transfer 1 --to-call 2");
    }

    /// Sends the other side to `uri` (blind transfer).
    pub fn send_to(&mut self, uri: &str) {
        self.process.type_line(&format!("transfer {uri}"));
    }

    fn use_files(&mut self, microphone: &Path) {
        self.process.type_line("soundcard use files");
        self.process.type_line(&format!("play {}", microphone.display()));
        self.process.type_line(&format!("record {}", self.recording.display()));
    }

    pub fn wait_established(&mut self) {
        self.process.wait_for("connected", Duration::from_secs(30));
    }

    /// Waits until its call is over; with [`Self::connect_with`] and [`Self::send_to`] that is when the others have met.
    pub fn wait_ended(&mut self) {
        self.process.wait_for("ended", Duration::from_secs(40));
    }

    /// Hangs up and ends.
    pub fn hang_up(&mut self) {
        self.process.type_line("terminate");
        self.process.wait_for("ended", Duration::from_secs(20));
        self.process.type_line("quit");
        self.process.wait_exit(Duration::from_secs(20));
    }

    /// What it heard.
    pub fn recording(&self) -> PathBuf {
        self.recording.clone()
    }
}

fn account(registrar: &str, user: &str, password: &str) -> String {
    format!(
        "[auth_info_0]\nusername={user}\nuserid={user}\npasswd={password}\nrealm=asterisk\n\
         [proxy_0]\nreg_proxy=<sip:{registrar}>\nreg_route=<sip:{registrar};lr>\nreg_identity=<sip:{user}@{registrar}>\n\
         reg_expires=120\nreg_sendregister=1\npublish=0\n"
    )
}

/// The codecs of its settings: these on, the others off.
fn codec_list(on: &[(&str, u32)]) -> String {
    let off = ALL_CODECS.into_iter().filter(|codec| !on.contains(codec));
    let all = on.iter().map(|codec| (*codec, 1)).chain(off.map(|codec| (codec, 0)));
    let list = (0..).zip(all).map(|(n, ((name, rate_hz), enabled))| {
        let channels = if name == "opus" { 2 } else { 1 };
        format!("[audio_codec_{n}]\nmime={name}\nrate={rate_hz}\nchannels={channels}\nenabled={enabled}\n")
    });
    list.collect()
}
