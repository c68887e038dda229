//! RTCP (RFC 3550 §6): what both sides tell each other about what they receive, and how far apart they are.
//!
//! Reports of ours leave every five seconds or so, the first earlier; each is a compound packet of a sender's or receiver's
//! report and a CNAME that says nothing about anybody (RFC 7022). Of what comes, the reports about our stream and
//! the sender's clock are read; whatever cannot be read is counted by the [`Stream`](super::Stream) and changes nothing.
//!
//! Left out: the bandwidth rule of §6.2 and reconsideration (§6.3.3), since a telephone call has two members and its
//! interval is always the least one; feedback (RFC 4585), extended reports (RFC 3611), a change of our SSRC upon collision.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rtcp_types::prelude::*;
use rtcp_types::{Bye, CompoundBuilder, ReceiverReport, ReportBlock, Sdes, SdesChunk, SdesItem, SenderReport};

use super::ice::Nomination;
use super::packet::{RtpTimestamp, Ssrc};
use super::reception::Reception;

/// The least interval, before it is spread (§6.2); the first report comes after half of it.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// What makes up for the timer's leaning to short intervals (§6.3.1): e − 3/2.
const COMPENSATION: f64 = 1.218_28;
/// A round trip longer than this is a mistake of the peer's clock.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(10);
/// Packets of a compound packet that are read.
const MAX_PACKETS: usize = 16;
/// Seconds from 1900, where NTP begins, to 1970.
const NTP_UNIX_OFFSET_S: i64 = 2_208_988_800;

/// A time of day as NTP has it: seconds since 1900, 32 bits behind the point (RFC 3550 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From seconds since 1970 and nanoseconds behind them.
    pub fn from_unix(seconds: i64, nanos: u32) -> Self {
        let seconds = seconds.wrapping_add(NTP_UNIX_OFFSET_S).cast_unsigned();
        Self((seconds << 32) | ((u64::from(nanos) << 32) / 1_000_000_000))
    }

    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
        Self(self.0.wrapping_add(duration.as_secs() << 32).wrapping_add(fraction))
    }

    /// The middle 32 bits: units of 1/65,536 s, as reports name times.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// In units of 1/65,536 s, at most what 32 bits hold.
fn short(duration: Duration) -> u32 {
    u32::try_from((duration.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX)
}

/// What the reports of a stream begin with.
#[derive(Debug, Clone, Copy)]
pub struct RtcpStart {
    /// The time of day when the stream begins.
    pub ntp: NtpTime,
    /// For the CNAME and the spread of the intervals.
    pub seed: u64,
}

/// Where reports go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPath {
    /// Where the sound goes (rtcp-mux, RFC 5761).
    Muxed,
    /// To this address, from our next port. An unspecified address or port 0 is never sent to.
    At(SocketAddr),
}

/// What we have sent up to a report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub ssrc: Ssrc,
    /// What a packet sent at this very moment would bear.
    pub timestamp: RtpTimestamp,
    pub packets: u64,
    pub octets: u64,
}

/// A report for the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// `None`: where the sound goes.
    pub to: Option<SocketAddr>,
    pub datagram: Vec<u8>,
}

/// What the peer has told of our stream (RFC 3550 §6.4.1), by its last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FarReport {
    /// Packets of ours that did not come, or came twice, which counts negative.
    pub lost: i32,
    /// Units of our codec's clock.
    pub jitter: u32,
    /// How many we had sent him when the report came.
    pub sent: u64,
}

/// The reports of one stream, both ways.
#[derive(Debug)]
pub(super) struct Rtcp {
    began: Instant,
    ntp: NtpTime,
    rng: StdRng,
    cname: String,
    path: Option<RtcpPath>,
    /// Where reports came from that are not muxed.
    source: Option<SocketAddr>,
    /// Where ICE has reports go that are not muxed.
    nominated: Nomination,
    /// When ours is due; `None`: the first one.
    due: Option<Instant>,
    /// Packets that we had sent at our last report and at the one before.
    sent_before: [u64; 2],
    /// The peer's last sender report: of whom, its time, and when it came.
    last_sr: Option<(Ssrc, u32, Instant)>,
    far: Option<FarReport>,
    /// What we had sent before this peer was there.
    sent_to_others: u64,
    round_trip: Option<Duration>,
    /// Whether anything of ours has left, so that there is something to say goodbye to.
    is_known: bool,
}

impl Rtcp {
    pub fn new(now: Instant, start: RtcpStart) -> Self {
        let mut rng = StdRng::seed_from_u64(start.seed);
        let cname = format!("{:024x}", rng.random::<u128>() >> 32);
        Self {
            began: now,
            ntp: start.ntp,
            rng,
            cname,
            path: None,
            source: None,
            nominated: Nomination::default(),
            due: None,
            sent_before: [0; 2],
            last_sr: None,
            far: None,
            sent_to_others: 0,
            round_trip: None,
            is_known: false,
        }
    }

    /// Where reports go from now on; `None`: nowhere.
    pub fn set_path(&mut self, path: Option<RtcpPath>) {
        if path != self.path {
            self.source = None;
            self.path = path;
        }
    }

    /// What was told of our stream so far is not this peer's, to whom nothing of the `sent` packets went.
    pub fn forget_far(&mut self, sent: u64) {
        (self.far, self.round_trip, self.last_sr, self.sent_to_others) = (None, None, None, sent);
        self.sent_before = [sent; 2];
    }

    /// Where ICE has reports go that are not muxed.
    pub fn nomination(&mut self) -> &mut Nomination {
        &mut self.nominated
    }

    /// There is no ICE any more.
    pub fn forget_checks(&mut self) {
        if self.nominated.address().is_some() {
            (self.nominated, self.source) = (Nomination::default(), None);
        }
    }

    pub fn far(&self) -> Option<FarReport> {
        self.far
    }

    /// Of the last report that told it.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Takes a datagram of the peer's, with the source of one that did not come with the sound. Tells whether it was one of
    /// RTCP.
    pub fn handle_input(&mut self, now: Instant, from: Option<SocketAddr>, datagram: &[u8], sent: Sent) -> bool {
        let Some(received) = read(datagram, sent.ssrc) else { return false };
        self.source = from.or(self.source);
        if let Some((ssrc, ntp)) = received.sender {
            self.last_sr = Some((ssrc, ntp.middle(), now));
        }
        if let Some(block) = received.about_us {
            let sent = sent.packets.saturating_sub(self.sent_to_others);
            self.far = Some(FarReport { lost: block.lost, jitter: block.jitter, sent });
            if let Some(round_trip) = self.round_trip_of(now, &block) {
                self.round_trip = Some(round_trip);
            }
        }
        true
    }

    /// §6.4.1: now − LSR − DLSR. Clocks of two grains may make it a little less than nothing.
    fn round_trip_of(&self, now: Instant, block: &Block) -> Option<Duration> {
        if block.last_sr == 0 {
            return None;
        }
        let here = self.now(now).middle();
        let units = here.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr).cast_signed();
        if units < -i32::from(u16::MAX / 100) {
            return None;
        }
        let round_trip = Duration::from_secs_f64(f64::from(units.max(0)) / 65_536.0);
        (round_trip <= MAX_ROUND_TRIP).then_some(round_trip)
    }

    fn now(&self, now: Instant) -> NtpTime {
        self.ntp.after(now.saturating_duration_since(self.began))
    }

    /// The report that is due, if one is.
    pub fn handle_timeout(&mut self, now: Instant, sent: Sent, reception: &mut Reception) -> Option<Outgoing> {
        self.path?;
        match self.due {
            None => {
                self.due = Some(now + self.interval(MIN_INTERVAL / 2));
                return None;
            }
            Some(due) if now < due => return None,
            Some(_) => self.due = Some(now + self.interval(MIN_INTERVAL)),
        }
        self.report(now, sent, reception, false)
    }

    /// The last report: the stream is over (§6.6). A peer that never had one needs no goodbye.
    pub fn goodbye(&mut self, now: Instant, sent: Sent, reception: &mut Reception) -> Option<Outgoing> {
        let last = self.is_known.then(|| self.report(now, sent, reception, true)).flatten();
        self.path = None;
        last
    }

    /// §6.3.1, for two members.
    fn interval(&mut self, least: Duration) -> Duration {
        least.mul_f64((0.5 + self.rng.random::<f64>()) / COMPENSATION)
    }

    fn report(&mut self, now: Instant, sent: Sent, reception: &mut Reception, is_last: bool) -> Option<Outgoing> {
        let to = match self.path? {
            RtcpPath::Muxed => None,
            RtcpPath::At(promised) => {
                let to = self.nominated.address().or(self.source).unwrap_or(promised);
                if to.ip().is_unspecified() || to.port() == 0 {
                    return None;
                }
                Some(to)
            }
        };
        let block = reception.report().map(|report| {
            let sr = self.last_sr.filter(|(ssrc, ..)| *ssrc == report.ssrc);
            let (last_sr, delay) =
                sr.map_or((0, 0), |(_, middle, at)| (middle, short(now.saturating_duration_since(at))));
            ReportBlock::builder(report.ssrc.0)
                .fraction_lost(report.fraction_lost)
                .cumulative_lost(report.lost.cast_unsigned() & 0xff_ffff)
                .extended_sequence_number(report.highest_seq)
                .interarrival_jitter(report.jitter)
                .last_sender_report_timestamp(last_sr)
                .delay_since_last_sender_report_timestamp(delay)
        });
        // §6.4: who has sent since the report before the last is a sender.
        let [last, before] = self.sent_before;
        let is_sender = sent.packets > before;
        self.sent_before = [sent.packets, last];
        let mut compound = CompoundBuilder::default();
        compound = if is_sender {
            let report = SenderReport::builder(sent.ssrc.0)
                .ntp_timestamp(self.now(now).0)
                .rtp_timestamp(sent.timestamp.0)
                // They wrap, as all counters here do.
                .packet_count(sent.packets as u32)
                .octet_count(sent.octets as u32);
            compound.add_packet(block.into_iter().fold(report, |report, block| report.add_report_block(block)))
        } else {
            let report = ReceiverReport::builder(sent.ssrc.0);
            compound.add_packet(block.into_iter().fold(report, |report, block| report.add_report_block(block)))
        };
        let name = SdesItem::builder(SdesItem::CNAME, &self.cname);
        compound = compound.add_packet(Sdes::builder().add_chunk(SdesChunk::builder(sent.ssrc.0).add_item(name)));
        if is_last {
            compound = compound.add_packet(Bye::builder().add_source(sent.ssrc.0));
        }
        let mut datagram = vec![0; compound.calculate_size().ok()?];
        compound.write_into(&mut datagram).ok()?;
        self.is_known = true;
        Some(Outgoing { to, datagram })
    }
}

/// What is of use in a compound packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Received {
    /// The sender's clock.
    sender: Option<(Ssrc, NtpTime)>,
    about_us: Option<Block>,
}

/// A report block (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    lost: i32,
    jitter: u32,
    last_sr: u32,
    delay_since_last_sr: u32,
}

/// Reads what it can of a compound packet; `None` when it is none. A single packet without a report is taken as well
/// (RFC 5506), and what cannot be read behind one that can is passed over.
fn read(datagram: &[u8], ours: Ssrc) -> Option<Received> {
    let mut received = Received::default();
    let mut rest = datagram;
    for n in 0..MAX_PACKETS {
        let &[first, kind, high, low, ..] = rest else { return (n > 0).then_some(received) };
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        // RFC 5761 §4: the packet types that do not look like RTP.
        if first >> 6 != 2 || !(192..=223).contains(&kind) || length > rest.len() {
            return (n > 0).then_some(received);
        }
        let (packet, after) = rest.split_at(length);
        rest = after;
        match kind {
            SenderReport::PACKET_TYPE => {
                let Ok(report) = SenderReport::parse(packet) else { continue };
                received.sender = Some((Ssrc(report.ssrc()), NtpTime(report.ntp_timestamp())));
                received.about_us = about(report.report_blocks(), ours).or(received.about_us);
            }
            ReceiverReport::PACKET_TYPE => {
                let Ok(report) = ReceiverReport::parse(packet) else { continue };
                received.about_us = about(report.report_blocks(), ours).or(received.about_us);
            }
            // Names and goodbyes: the session, not its media, says who is there and when it is over.
            _ => {}
        }
    }
    Some(received)
}

fn about<'a>(mut blocks: impl Iterator<Item = ReportBlock<'a>>, ours: Ssrc) -> Option<Block> {
    let block = blocks.find(|block| block.ssrc() == ours.0)?;
    Some(Block {
        // 24 bits with a sign.
        lost: (block.cumulative_lost() << 8).cast_signed() >> 8,
        jitter: block.interarrival_jitter(),
        last_sr: block.last_sender_report_timestamp(),
        delay_since_last_sr: block.delay_since_last_sender_report_timestamp(),
    })
}

#[cfg(test)]
mod tests;
