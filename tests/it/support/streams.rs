//! Two streams that are joined by a line without faults, in virtual time: ours, and that of a peer who receives as we do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use secretary::rtp::codec::{Codec, OpusTerms};
use secretary::rtp::dtmf::{EventSet, Events};
use secretary::rtp::packet::{Packet, RtpTimestamp, Seq, Ssrc};
use secretary::rtp::rtcp::{NtpTime, RtcpPath, RtcpStart};
use secretary::rtp::{FRAME_DURATION, Output, Stream, StreamConfig};

/// Where they are.
const OURS: &str = "192.0.2.5:10000";
const PEER: &str = "192.0.2.1:4000";
/// How long a packet is on its way.
const WAY: Duration = Duration::from_millis(5);

/// The payload types.
pub const VOICE: u8 = 98;
pub const EVENTS: u8 = 97;

/// A packet of ours, and the number of the tick in which it was sent.
pub struct Sent {
    pub tick: u32,
    pub payload_type: u8,
    pub marker: bool,
    pub seq: Seq,
    pub timestamp: RtpTimestamp,
    pub payload: Vec<u8>,
}

pub struct Streams {
    pub ours: Stream,
    pub theirs: Stream,
    /// Ticks so far.
    pub ticks: u32,
    pub now: Instant,
    pub sent: Vec<Sent>,
    /// What the peer heard and what we said, a frame for each tick.
    pub heard: Vec<i16>,
    pub said: Vec<i16>,
    /// What the peer was told.
    pub keys: String,
}

impl Streams {
    pub fn new(codec: Codec) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
        let now = Instant::now();
        let ours = stream(now, codec, PEER, 1);
        let theirs = stream(now, codec, OURS, 2);
        let (sent, heard, said, keys) = (Vec::new(), Vec::new(), Vec::new(), String::new());
        Self { ours, theirs, ticks: 0, now, sent, heard, said, keys }
    }

    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms / FRAME_DURATION.as_millis() as u64 {
            let (ours, theirs) = (self.drain_ours(), self.drain_theirs());
            self.now += WAY;
            for datagram in ours {
                self.theirs.handle_input(self.now, address(OURS), &datagram);
            }
            for datagram in theirs {
                self.ours.handle_input(self.now, address(PEER), &datagram);
            }
            self.now += FRAME_DURATION - WAY;
            self.ticks += 1;
        }
    }

    fn drain_ours(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        self.ours.handle_timeout(self.now);
        while let Some(output) = self.ours.poll_output() {
            match output {
                Output::Transmit { to, datagram } => {
                    assert_eq!(to, address(PEER));
                    if let Ok(packet) = Packet::parse(&datagram) {
                        let Packet { payload_type, marker, seq, timestamp, payload, .. } = packet;
                        let (tick, payload) = (self.ticks, payload.to_vec());
                        self.sent.push(Sent { tick, payload_type, marker, seq, timestamp, payload });
                    }
                    datagrams.push(datagram);
                }
                Output::Tick { sent, .. } => self.said.extend_from_slice(&sent),
                Output::TransmitRtcp { .. } | Output::Skipped { .. } | Output::Key { .. } | Output::NoKeys(_) => {
                    unreachable!("{output:?}")
                }
            }
        }
        datagrams
    }

    fn drain_theirs(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        self.theirs.handle_timeout(self.now);
        while let Some(output) = self.theirs.poll_output() {
            match output {
                Output::Transmit { to, datagram } => {
                    assert_eq!(to, address(OURS), "nobody else has become the one at the other end");
                    datagrams.push(datagram);
                }
                Output::Tick { received, .. } => self.heard.extend_from_slice(&received),
                Output::Key { key } => self.keys.push(key),
                Output::TransmitRtcp { .. } | Output::Skipped { .. } | Output::NoKeys(_) => unreachable!("{output:?}"),
            }
        }
        datagrams
    }

    /// What we said reaches the peer whole and in time, by his counts and by what he reports of them.
    pub fn assert_nothing_missed(&self, what: &str) {
        let stats = self.theirs.stats();
        let missed = [stats.lost, stats.late, stats.duplicate, stats.reordered, stats.dropped, stats.resets];
        assert_eq!(missed, [0; 6], "{what}: {stats:?}");
        assert_eq!((stats.unexpected_payload, stats.concealed_ms, stats.latch_changes), (0, 0, 0), "{what}: {stats:?}");
        assert_eq!(stats.received, self.sent.len() as u64, "{what}: each packet once");
        let quality = self.ours.quality();
        let reported = quality.sent.expect("he reports");
        println!("{what}: he reports {reported:?}");
        assert_eq!(reported.lost, 0, "{what}");
        let numbers: Vec<u16> = self.sent.iter().map(|packet| packet.seq.0).collect();
        assert!(numbers.windows(2).all(|two| two[1] == two[0].wrapping_add(1)), "{what}: {numbers:?}");
    }
}

fn stream(now: Instant, codec: Codec, remote: &str, ssrc: u32) -> Stream {
    let events = Events { receive: EVENTS, send: EVENTS, wanted: EventSet::KEYS, clock_hz: codec.clock_rate_hz() };
    let mut stream = Stream::new(
        now,
        StreamConfig {
            rate: codec.rate(),
            remote: address(remote),
            codec,
            payload_type: VOICE,
            opus: OpusTerms::default(),
            accepted: vec![(VOICE, codec)],
            events: Some(events),
            ssrc: Ssrc(ssrc),
            first_seq: Seq(65_500),
            first_timestamp: RtpTimestamp(u32::MAX - 1_000),
            rtcp: RtcpStart { ntp: NtpTime::from_unix(1_700_000_000, 0), seed: ssrc.into() },
        },
    );
    stream.set_rtcp(Some(RtcpPath::Muxed));
    stream
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
