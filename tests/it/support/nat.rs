//! A network behind a NAT that changes addresses and ports, as a router or the network of a container does, and a STUN server
//! on its other side.

use std::fmt::Write as _;
use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::ice::mapped;
use super::netns::{Netns, ip};

/// Where we are, what others see of us, and where they are.
pub const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 2);
pub const PUBLIC: &str = "198.51.100.1";
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
pub const STUN: &str = "198.51.100.10:3478";
/// By so much the ports of sound are higher outside; they are those of the tests' configuration.
pub const SHIFT: u16 = 40_000;
const RTP_PORTS: std::ops::RangeInclusive<u16> = 10_000..=10_100;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Both sides. Nothing comes in that did not go out before.
pub struct Nat {
    pub outside: Netns,
    _router: Netns,
    pub inside: Netns,
}

impl Nat {
    pub fn new() -> Self {
        let mut inside = Netns::new();
        let (router, outside) = (inside.beside(), inside.beside());
        inside.address = PRIVATE;
        link((&inside, "10.55.0.2/24"), (&router, "in", "10.55.0.1/24"));
        link((&outside, "198.51.100.10/24"), (&router, "out", "198.51.100.1/24"));
        ip(&["-n", inside.name(), "route", "add", "default", "via", "10.55.0.1"]);
        router.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], "");
        let mut ports = String::new();
        for port in RTP_PORTS {
            write!(ports, "{port} : {PUBLIC} . {}, ", port + SHIFT).expect("a String takes it");
        }
        let rules = format!(
            "table ip nat {{\n chain post {{ type nat hook postrouting priority 100;\n\
               oifname out ip protocol udp snat ip to udp sport map {{ {ports} }}\n oifname out masquerade\n }}\n\
             chain in {{ type filter hook input priority 0; iifname out drop; }}\n\
             chain through {{ type filter hook forward priority 0; iifname out ct state new drop; }}\n}}\n"
        );
        router.run("nft", &["-f", "-"], &rules);
        Self { outside, _router: router, inside }
    }
}

/// A cable from a namespace to the router.
fn link((netns, address): (&Netns, &str), (router, interface, gateway): (&Netns, &str, &str)) {
    // Names of interfaces are short, and for a moment both ends are in the machine's own network.
    let n = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let (ours, theirs) = (format!("a{n}"), format!("b{n}"));
    ip(&["link", "add", &ours, "netns", netns.name(), "type", "veth", "peer", "name", &theirs, "netns", router.name()]);
    for (place, old, new, address) in [(netns, &ours, "eth0", address), (router, &theirs, interface, gateway)] {
        ip(&["-n", place.name(), "link", "set", old, "name", new]);
        ip(&["-n", place.name(), "addr", "add", address, "dev", new]);
        ip(&["-n", place.name(), "link", "set", new, "up"]);
    }
}

/// A STUN server at [`STUN`]; counts the questions.
pub struct StunServer {
    pub asked: Arc<AtomicU32>,
    _thread: JoinHandle<()>,
}

impl StunServer {
    pub fn start(outside: &Netns) -> Self {
        let path = format!("/run/netns/{}", outside.name());
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let (ready, is_ready) = mpsc::sync_channel(1);
        // The thread is in the other network, and so is the socket that it makes. It ends with the tests.
        let thread = std::thread::spawn(move || {
            let namespace = File::open(path).expect("the namespace");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may go there");
            let socket = UdpSocket::bind(STUN).expect("the port of STUN");
            ready.send(()).expect("the test waits");
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = mapped(&buffer[..length], from) {
                    count.fetch_add(1, Ordering::Relaxed);
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        is_ready.recv().expect("the STUN server serves");
        Self { asked, _thread: thread }
    }
}
