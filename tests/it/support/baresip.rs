//! baresip, calling or called: plays a WAV as its microphone and records what it hears.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::netns::Netns;
use super::process::{Process, require_program};

const SIP_PORT: u16 = 5062;
/// Where it sends its sound from: no ports that anybody else takes.
pub const RTP_PORTS: (u16, u16) = (30_000, 30_100);
/// What it speaks unless told.
const CODECS: &str = "PCMA/8000/1,PCMU/8000/1";
/// A telephone without a PBX.
const DIRECT: &str = "<sip:caller@127.0.0.1>;regint=0";

pub struct Baresip {
    process: Process,
    recordings: PathBuf,
}

impl Baresip {
    /// Where it is reached without a PBX.
    pub const URI: &str = "sip:caller@127.0.0.1:5062";

    /// Calls `uri` from a telephone without a PBX.
    pub fn call(netns: &Netns, uri: &str, microphone: &std::path::Path) -> Self {
        Self::start(netns, DIRECT, Some(uri), microphone)
    }

    /// The same with encrypted sound or none: `srtp-mand` or `dtls_srtp`.
    pub fn call_encrypted(netns: &Netns, encryption: &str, uri: &str, microphone: &std::path::Path) -> Self {
        Self::start(netns, &format!("{DIRECT};mediaenc={encryption}"), Some(uri), microphone)
    }

    /// Answers whoever calls [`Self::URI`].
    pub fn answering(netns: &Netns, microphone: &std::path::Path) -> Self {
        let mut baresip = Self::start(netns, &format!("{DIRECT};answermode=auto"), None, microphone);
        baresip.process.wait_for("baresip is ready", Duration::from_secs(10));
        baresip
    }

    /// The same with these codecs alone, as its `audio_codecs` names them.
    pub fn answering_in(netns: &Netns, codecs: &str, microphone: &std::path::Path) -> Self {
        let mut baresip = Self::start_with(netns, codecs, &format!("{DIRECT};answermode=auto"), None, microphone);
        baresip.process.wait_for("baresip is ready", Duration::from_secs(10));
        baresip
    }

    /// Calls `extension` from an extension of the PBX at `registrar`.
    pub fn call_extension(
        netns: &Netns,
        registrar: &str,
        (user, password): (&str, &str),
        extension: &str,
        microphone: &std::path::Path,
    ) -> Self {
        let account = extension_account(registrar, user, password);
        Self::start(netns, &account, Some(&format!("sip:{extension}@{registrar}")), microphone)
    }

    /// Answers who calls its extension of the PBX at `registrar`.
    pub fn answering_extension(
        netns: &Netns,
        registrar: &str,
        (user, password): (&str, &str),
        microphone: &std::path::Path,
    ) -> Self {
        let account = format!("{};answermode=auto", extension_account(registrar, user, password));
        Self::start(netns, &account, None, microphone)
    }

    fn start(netns: &Netns, account: &str, dial: Option<&str>, microphone: &std::path::Path) -> Self {
        Self::start_with(netns, CODECS, account, dial, microphone)
    }

    fn start_with(
        netns: &Netns,
        codecs: &str,
        account: &str,
        dial: Option<&str>,
        microphone: &std::path::Path,
    ) -> Self {
        require_program("baresip");
        let profile = netns.dir().join("baresip");
        let recordings = profile.join("recordings");
        fs::create_dir_all(&recordings).expect("a folder for baresip");
        fs::write(profile.join("accounts"), format!("{account};audio_codecs={codecs}\n")).expect("accounts");
        fs::write(profile.join("contacts"), "").expect("contacts");
        // the address, not the interface's name, or the SDP may carry another one; the sound file has the codec's rate; no
        // jitter buffer, for its own drops a whole stream whose numbers begin below those of the stream before
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:{SIP_PORT}\ncall_local_timeout 120\naudio_player aubridge,nil\n\
             audio_source aufile,{}\naudio_alert aubridge,nil\nausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\n\
             auplay_channels 1\naudio_buffer 20-160\nnet_interface 127.0.0.1\nrtp_ports {}-{}\nrtcp_mux no\n\
             jitter_buffer_delay 0-0\nmodule_path /usr/lib/baresip/modules\nmodule stdio.so\nmodule g711.so\nmodule g722.so\nmodule opus.so\nmodule aufile.so\n\
             module aubridge.so\nmodule sndfile.so\nmodule srtp.so\nmodule dtls_srtp.so\nmodule_tmp uuid.so\nmodule_tmp account.so\nmodule_app contact.so\n\
             module_app menu.so\nsnd_path {}\n",
            microphone.display(),
            RTP_PORTS.0,
            RTP_PORTS.1,
            recordings.display()
        );
        fs::write(profile.join("config"), config).expect("config");
        let mut command = netns.command("baresip");
        command.arg("-s").arg("-f").arg(&profile);
        if let Some(uri) = dial {
            command.args(["-e", &format!("/dial {uri}")]);
        }
        command.env("HOME", netns.dir());
        Self { process: Process::spawn("baresip", &mut command, netns.dir()), recordings }
    }

    pub fn wait_established(&mut self) {
        self.process.wait_for("Call established", Duration::from_secs(30));
    }

    /// Plays another WAV as its microphone from now on.
    pub fn play(&mut self, microphone: &std::path::Path) {
        self.process.type_line(&format!("/ausrc aufile,{}", microphone.display()));
    }

    /// Presses keys, which it tells in RTP. Its `*` is something else.
    pub fn press(&mut self, keys: &str) {
        self.process.type_keys(keys);
    }

    /// Puts the other side on hold, as its offer shows, and takes it off it.
    pub fn hold(&mut self) {
        self.process.type_keys("x");
        self.process.wait_for("a=sendonly", Duration::from_secs(10));
    }

    pub fn resume(&mut self) {
        self.process.type_keys("X");
    }

    /// The keys that it was told in RTP.
    pub fn keys(&self) -> String {
        let output = self.process.output();
        let events = output
            .split("received event: '")
            .skip(1)
            .filter(|rest| rest.get(1..).is_some_and(|r| r.starts_with("' (end=0)")));
        events.filter_map(|rest| rest.chars().next()).collect()
    }

    /// Waits until its call is refused.
    pub fn wait_refused(&mut self) {
        self.process.wait_for("session closed", Duration::from_secs(10));
        assert!(!self.process.output().contains("Call established"));
    }

    /// Waits until the other side hangs up.
    pub fn wait_bye(&mut self) {
        self.process.wait_for("BYE sip:", Duration::from_secs(5));
    }

    /// Hangs up and ends.
    pub fn hang_up(&mut self) {
        self.process.signal("INT");
        self.process.wait_exit(Duration::from_secs(10));
    }

    /// What it heard, 8 kHz mono.
    pub fn recording(&self) -> PathBuf {
        let files = fs::read_dir(&self.recordings).expect("the recordings of baresip");
        files
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .expect("a recording of what baresip heard")
    }
}

fn extension_account(registrar: &str, user: &str, password: &str) -> String {
    format!("<sip:{user}@{registrar}>;auth_user={user};auth_pass={password};regint=60")
}
