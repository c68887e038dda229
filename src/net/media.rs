//! The sockets of a call: sound is read when the call wants it, at its ticks of 20 ms, all that has come at once.
//!
//! To wake a call for each packet costs more than what is done with the packet, and what comes between two ticks is not
//! played before the second. When it came, which the core has to know, the kernel has noted (socket(7), `SO_TIMESTAMPNS`).
//! Reports are rare, and wake the call.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use tokio::net::UdpSocket;

use super::ports::{Lease, MediaSockets};
use crate::clock;

/// The longest datagram that is read whole; Ethernet's 1,500 and room.
const MAX_DATAGRAM_BYTES: usize = 2_048;
/// Datagrams that are asked for at once. One comes between two ticks, or a few; when fewer come than are asked for there
/// are no more.
const BATCH: usize = 2;
/// The most that is taken at once: what else has come waits for the next time.
const MAX_AT_ONCE: usize = 256;
/// A frame of 20 ms is a multiple of it.
const BEAT: Duration = Duration::from_millis(2);

/// The next of the instants at which calls begin to tick. They are 2 ms apart, so that the executor, whose timer is no finer
/// than 1 ms, is woken for several calls at once.
pub fn next_beat() -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let now = clock::now();
    beat_after(*FIRST.get_or_init(|| now), now)
}

fn beat_after(first: Instant, now: Instant) -> Instant {
    let late = now.saturating_duration_since(first).as_nanos() % BEAT.as_nanos();
    u64::try_from(late).ok().filter(|late| *late > 0).map_or(now, |late| now + BEAT - Duration::from_nanos(late))
}

/// What a call sends from and is sent to.
#[derive(Debug)]
pub struct Media {
    /// The executor knows nothing of it.
    sound: std::net::UdpSocket,
    reports: UdpSocket,
    /// When the last datagram came, or when there was none left.
    since: Instant,
    /// Its ports rest afterwards.
    _lease: Lease,
}

impl Media {
    /// From `now` on, sound is read when it is asked for.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(sockets: MediaSockets, now: Instant) -> io::Result<Self> {
        let MediaSockets { rtp, rtcp, lease } = sockets;
        let sound = rtp.into_std()?;
        setsockopt(&sound, sockopt::ReceiveTimestampns, &true)?;
        Ok(Self { sound, reports: rtcp, since: now, _lease: lease })
    }

    /// Gives out what has come on the RTP port, in order, each with the time when it came and where from.
    pub fn receive(&mut self, now: Instant, mut take: impl FnMut(Instant, SocketAddr, &[u8])) {
        let today = clock::wall();
        for _ in 0..MAX_AT_ONCE / BATCH {
            let came = read(&self.sound, |came, from, bytes| {
                self.since = arrival(self.since, now, today, came);
                take(self.since, from, bytes);
            });
            match came {
                Ok(BATCH..) => {}
                Ok(_) => {
                    self.since = now;
                    return;
                }
                // An ICMP error of an earlier packet; RTP goes on.
                Err(error) => tracing::trace!(%error, "RTP receive failed"),
            }
        }
    }

    /// Sends from the RTP port. What the system has no room for at once is lost: sound that comes late is of no use.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) {
        if let Err(error) = self.sound.send_to(datagram, to) {
            tracing::trace!(%error, "an RTP packet could not be sent");
        }
    }

    /// Waits for a datagram on the port for RTCP. Dropped, it has taken none.
    ///
    /// # Errors
    /// Those of earlier packets; the next may come all the same.
    pub async fn report(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.reports.recv_from(buffer).await
    }

    /// Sends from the port for RTCP.
    pub fn send_report(&self, datagram: &[u8], to: SocketAddr) {
        if let Err(error) = self.reports.try_send_to(datagram, to) {
            tracing::trace!(%error, "a report could not be sent");
        }
    }
}

/// Reads up to [`BATCH`] datagrams, each with the time of day when the kernel had it, and tells how many they were.
fn read(
    socket: &std::net::UdpSocket,
    mut take: impl FnMut(Option<SystemTime>, SocketAddr, &[u8]),
) -> Result<usize, Errno> {
    let mut buffers = [[0; MAX_DATAGRAM_BYTES]; BATCH];
    let mut buffers = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    // They are of no use a second time: the kernel notes in them how much of their room it has used.
    let mut headers = MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec)));
    let came = match recvmmsg(socket.as_raw_fd(), &mut headers, &mut buffers, MsgFlags::MSG_DONTWAIT, None) {
        Ok(came) => came,
        Err(Errno::EAGAIN) => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut count = 0;
    for datagram in came {
        count += 1;
        if let Some(from) = datagram.address.as_ref().and_then(address) {
            take(time(&datagram), from, datagram.iovs().next().unwrap_or_default());
        }
    }
    Ok(count)
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let four = from.as_sockaddr_in().map(|four| SocketAddr::from(*four));
    four.or_else(|| from.as_sockaddr_in6().map(|six| SocketAddr::from(*six)))
}

fn time(datagram: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<SystemTime> {
    datagram.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => {
            let (seconds, nanoseconds) = (u64::try_from(time.tv_sec()).ok()?, u32::try_from(time.tv_nsec()).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
        }
        _ => None,
    })
}

/// When a datagram came that bears this time of day, if it is `today` now. It cannot have come before the one before it or
/// after now, whatever was done to the time of day meanwhile.
fn arrival(since: Instant, now: Instant, today: SystemTime, came: Option<SystemTime>) -> Instant {
    let age = came.and_then(|came| today.duration_since(came).ok()).unwrap_or_default();
    now.checked_sub(age).unwrap_or(since).max(since).min(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ports::PortPool;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn media(here: IpAddr, port: u16) -> (Media, SocketAddr, std::net::UdpSocket) {
        let sockets = PortPool::new(&[here], port, port + 1).bind(here).unwrap();
        let peer = std::net::UdpSocket::bind((here, 0)).unwrap();
        (Media::new(sockets, clock::now()).unwrap(), SocketAddr::new(here, port), peer)
    }

    fn take(media: &mut Media) -> Vec<(Instant, SocketAddr, Vec<u8>)> {
        let mut came = Vec::new();
        media.receive(clock::now(), |at, from, bytes| came.push((at, from, bytes.to_vec())));
        came
    }

    #[tokio::test]
    async fn what_has_come_is_taken_in_order_with_its_time_and_its_sender() {
        for (here, port) in [(Ipv4Addr::LOCALHOST.into(), 42_061), (Ipv6Addr::LOCALHOST.into(), 42_063)] {
            let (mut media, to, peer) = media(here, port + 1);
            let begun = clock::now();
            assert_eq!(take(&mut media), []);
            for n in 0..7_u8 {
                peer.send_to(&vec![n; usize::from(n)], to).unwrap();
            }
            let came = take(&mut media);
            let datagrams: Vec<_> = came.iter().map(|(_, from, bytes)| (*from, bytes.clone())).collect();
            let expected: Vec<_> = (0..7_u8).map(|n| (peer.local_addr().unwrap(), vec![n; usize::from(n)])).collect();
            assert_eq!(datagrams, expected);
            assert!(came.iter().is_sorted_by_key(|(at, ..)| *at));
            assert!(came.iter().all(|(at, ..)| (begun..=clock::now()).contains(at)));
            assert_eq!(take(&mut media), []);
        }
    }

    #[tokio::test]
    async fn the_kernel_tells_when_a_datagram_came() {
        let (media, to, peer) = media(Ipv4Addr::LOCALHOST.into(), 42_066);
        peer.send_to(b"one", to).unwrap();
        peer.send_to(b"two", to).unwrap();
        let mut times = Vec::new();
        assert_eq!(read(&media.sound, |came, _, _| times.push(came)), Ok(2));
        assert!(times.iter().all(Option::is_some) && times.is_sorted(), "{times:?}");
    }

    #[test]
    fn calls_begin_at_the_same_beats() {
        let first = clock::now();
        for (now, beat) in [(0, 0), (1, 2_000), (1_999, 2_000), (2_000, 2_000), (123_456_789, 123_458_000)] {
            assert_eq!(beat_after(first, first + Duration::from_micros(now)), first + Duration::from_micros(beat));
        }
    }

    #[test]
    fn a_datagram_came_as_long_ago_as_the_time_of_day_says_and_a_clock_that_is_set_cannot_mislead() {
        let (since, today) = (clock::now(), clock::wall());
        let (ms, hour) = (Duration::from_millis, Duration::from_secs(3_600));
        let now = since + ms(20);
        assert_eq!(arrival(since, now, today, Some(today - ms(13))), since + ms(7));
        assert_eq!(arrival(since, now, today, Some(today - ms(21))), since, "the one before it was taken");
        assert_eq!(arrival(since, now, today + hour, Some(today - ms(13))), since);
        assert_eq!(arrival(since, now, today - hour, Some(today - ms(13))), now);
        assert_eq!(arrival(since, now, today, None), now);
    }

    #[tokio::test]
    async fn a_flood_is_taken_in_portions_and_nothing_of_it_is_lost() {
        let (mut media, to, peer) = media(Ipv4Addr::LOCALHOST.into(), 42_068);
        for n in 0..300_u16 {
            peer.send_to(&n.to_be_bytes(), to).unwrap();
        }
        let (first, second) = (take(&mut media), take(&mut media));
        assert_eq!((first.len(), second.len()), (MAX_AT_ONCE, 300 - MAX_AT_ONCE));
        let numbers = first.iter().chain(&second).map(|(_, _, bytes)| bytes.clone());
        assert!(numbers.eq((0..300_u16).map(|n| n.to_be_bytes().to_vec())));
    }

    #[tokio::test]
    async fn what_came_before_the_call_began_is_still_there() {
        let here = Ipv4Addr::LOCALHOST.into();
        let sockets = PortPool::new(&[here], 42_070, 42_071).bind(here).unwrap();
        let peer = std::net::UdpSocket::bind((here, 0)).unwrap();
        peer.send_to(b"early", (here, 42_070)).unwrap();
        let begun = clock::now();
        let mut media = Media::new(sockets, begun).unwrap();
        let came = take(&mut media);
        assert!(came.iter().map(|(at, _, bytes)| (*at >= begun, &bytes[..])).eq([(true, &b"early"[..])]));
    }
}
