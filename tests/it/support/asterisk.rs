//! Asterisk 22 with the very files of `asterisk/`, in a test's own network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::netns::Netns;
use super::process::{Process, wait_until};

/// Where Asterisk listens, and the office's telephones and passwords in `asterisk/pjsip.conf`.
pub const ADDRESS: &str = "127.0.0.1:5060";
pub const TLS_ADDRESS: &str = "127.0.0.1:5061";
pub const PHONE: (&str, &str) = ("101", "change-me-101");
pub const PHONE_2: (&str, &str) = ("102", "change-me-102");
pub const SECRETARY: (&str, &str) = ("200", "change-me-200");

const SHIPPED: [(&str, &str); 2] = [
    ("pjsip.conf", include_str!("../../../asterisk/pjsip.conf")),
    ("extensions.conf", include_str!("../../../asterisk/extensions.conf")),
];

/// What belongs to the machine and not to the office; all modules are loaded, as after an ordinary installation.
const AROUND: [(&str, &str); 4] = [
    ("modules.conf", "[modules]\nautoload=yes\n"),
    ("logger.conf", "[general]\ndateformat=%F %T.%3q\n[logfiles]\nmessages.log => notice,warning,error,verbose(3)\n"),
    ("rtp.conf", "[general]\nrtpstart=30000\nrtpend=30100\n"),
    ("cli.conf", "[startup_commands]\npjsip set logger on = yes\n"),
];

/// TLS, beside the transports of pjsip.conf, with a certificate that is made for the test.
const TLS: &str = "[tls]\ntype=transport\nprotocol=tls\nbind=0.0.0.0:5061\nmethod=tlsv1_2\n\
                   cert_file=/mnt/cert.pem\npriv_key_file=/mnt/key.pem\n";

pub struct Asterisk<'n> {
    netns: &'n Netns,
    root: PathBuf,
    dir: PathBuf,
    process: Process,
}

impl<'n> Asterisk<'n> {
    pub fn start(netns: &'n Netns) -> Self {
        Self::start_with(netns, "", "")
    }

    /// With lines of the test's own after those of pjsip.conf and extensions.conf.
    pub fn start_with(netns: &'n Netns, pjsip: &str, extensions: &str) -> Self {
        let root = root();
        let dir = netns.dir().join("asterisk");
        for folder in ["", "run", "log", "db", "spool"] {
            fs::create_dir(dir.join(folder)).expect("a folder for Asterisk");
        }
        for ((name, text), more) in SHIPPED.iter().zip([&format!("{TLS}{pjsip}"), extensions]) {
            fs::write(dir.join(name), format!("{text}\n{more}")).expect("a file of asterisk/");
        }
        for (name, text) in AROUND {
            fs::write(dir.join(name), text).expect("a configuration file");
        }
        fs::write(dir.join("asterisk.conf"), asterisk_conf(&root)).expect("asterisk.conf");
        make_certificate(&dir);
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        fs::write(dir.join("hosts"), format!("127.0.0.1 localhost {host}\n")).expect("a hosts file");
        let process = run(netns, &root, &dir);
        let mut asterisk = Self { netns, root, dir, process };
        asterisk.wait_booted();
        asterisk
    }

    /// Stops it as a power cut would, forgets who was registered, and starts it again.
    pub fn restart(&mut self) {
        self.process.signal("KILL");
        self.process.wait_exit(Duration::from_secs(10));
        for folder in ["run", "db"] {
            fs::remove_dir_all(self.dir.join(folder)).expect("a folder of Asterisk");
            fs::create_dir(self.dir.join(folder)).expect("a folder for Asterisk");
        }
        self.process = run(self.netns, &self.root, &self.dir);
        self.wait_booted();
    }

    /// Its certificate, which nobody has signed.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("cert.pem")
    }

    /// What a command of its console prints.
    pub fn cli(&self, command: &str) -> String {
        let mut shell = in_chroot(self.netns, &self.root, &self.dir, &["-rx", command]);
        let output = shell.output().expect("the console of Asterisk");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn is_registered(&self, extension: &str) -> bool {
        self.cli("pjsip show contacts").contains(&format!("{extension}/sip:"))
    }

    pub fn wait_registered(&self, extension: &str, within: Duration) {
        wait_until(&format!("{extension} is registered"), within, || self.is_registered(extension).then_some(()));
    }

    /// Its log since the start, with every SIP message.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("log/messages.log")).unwrap_or_default()).into_owned()
    }

    fn wait_booted(&mut self) {
        wait_until("Asterisk is up", Duration::from_secs(60), || {
            self.process.assert_running();
            self.cli("core waitfullybooted").contains("fully booted").then_some(())
        });
    }
}

fn make_certificate(dir: &Path) {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=office", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.arg("-keyout").arg(dir.join("key.pem")).arg("-out").arg(dir.join("cert.pem"));
    let output = command.output().expect("openssl: run ./test.sh, which sets up what the tests need");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn root() -> PathBuf {
    let root = std::env::var_os("SECRETARY_ASTERISK_ROOT").map(PathBuf::from).unwrap_or_default();
    assert!(
        root.join("usr/sbin/asterisk").is_file(),
        "no Asterisk in SECRETARY_ASTERISK_ROOT={:?}: run ./test.sh, which sets up what the tests need",
        root
    );
    root
}

fn run(netns: &Netns, root: &Path, dir: &Path) -> Process {
    Process::spawn("asterisk", &mut in_chroot(netns, root, dir, &["-f", "-n"]), netns.dir())
}

/// Asterisk in its chroot, which it sees with the test's folder as /mnt. `ip netns exec` gives it a mount namespace of its
/// own, so that nothing stays mounted and two tests do not meet.
fn in_chroot(netns: &Netns, root: &Path, dir: &Path, arguments: &[&str]) -> Command {
    let script = "mount -t proc proc \"$1/proc\" && mount --bind \"$2\" \"$1/mnt\" && \
                  mount --bind \"$2/hosts\" \"$1/etc/hosts\" && root=$1 && shift 2 && \
                  exec chroot \"$root\" /usr/sbin/asterisk -C /mnt/asterisk.conf \"$@\"";
    let mut command = netns.command("sh");
    command.args(["-c", script, "sh"]).args([root, dir]).args(arguments);
    command
}

fn asterisk_conf(root: &Path) -> String {
    let modules = fs::read_dir(root.join("usr/lib"))
        .expect("the chroot's libraries")
        .flatten()
        .map(|entry| entry.path().join("asterisk/modules"))
        .find(|path| path.is_dir())
        .expect("the modules of Asterisk in the chroot");
    let modules = modules.strip_prefix(root).expect("a path inside the chroot");
    format!(
        "[directories]\nastetcdir => /mnt\nastmoddir => /{}\nastvarlibdir => /var/lib/asterisk\nastdbdir => /mnt/db\n\
         astkeydir => /mnt\nastdatadir => /usr/share/asterisk\nastspooldir => /mnt/spool\nastrundir => /mnt/run\n\
         astlogdir => /mnt/log\n[options]\nverbose = 3\nentityid = 02:00:00:00:00:01\n",
        modules.display()
    )
}
