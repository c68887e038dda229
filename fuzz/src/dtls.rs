//! Handshakes for keys, with everything that can happen to them on their way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use secretary::rtp::dtls::{Certificate, Role, Terms, is_dtls};
use secretary::rtp::packet::Ssrc;
use secretary::rtp::rtcp::RtcpPath;
use secretary::rtp::stun::is_stun;
use secretary::rtp::{Output, Protection, Stream, StreamConfig};

use super::{SENDERS, our_password, plain_stream};

/// What waits are counted in.
const STEP: Duration = Duration::from_millis(20);
/// Datagrams on their way to one side.
const MAX_QUEUE: usize = 256;
/// A handshake has no fewer datagrams of either side.
const LEAST: u32 = 3;

/// A peer of ours makes a handshake with us while the input says what becomes of his datagrams and brings others. Nothing but
/// the handshake goes out and no sound is taken before enough has come of it, sound goes to nobody who had no part in it, and
/// one with another certificate than promised gets none at all.
///
/// The first byte: our role, ICE, another certificate. Then steps of one byte: what happens (the lower three bits), after a wait
/// in steps of 20 ms (the upper five), with what belongs to it behind it.
pub fn dtls(start: Instant, data: &[u8]) {
    let senders = SENDERS.map(|(ip, port)| SocketAddr::from((ip, port)));
    let Some((&kind, mut rest)) = data.split_first() else { return };
    let (is_active, has_ice, is_impostor) = (kind & 1 != 0, kind & 2 != 0, kind & 4 != 0);
    let [Ok(ours), Ok(theirs), Ok(promised)] = [(); 3].map(|()| Certificate::generate()) else { return };
    let shakes = |own: &Certificate, is_active, other: &Certificate| {
        let role = if is_active { Role::Active } else { Role::Passive };
        Protection::Dtls(Terms { certificate: own.clone(), role, fingerprints: vec![other.fingerprint().clone()] })
    };
    let mut us = Stream::new(start, plain_stream());
    us.protect(shakes(&ours, is_active, if is_impostor { &promised } else { &theirs }));
    if has_ice {
        us.set_ice(Some(our_password()));
    }
    let mut peer = Stream::new(start, StreamConfig { ssrc: Ssrc(7), ..plain_stream() });
    peer.protect(shakes(&theirs, !is_active, &ours));
    for stream in [&mut us, &mut peer] {
        stream.set_rtcp(Some(RtcpPath::Muxed));
        stream.set_handshake(true);
    }
    let (mut now, mut failures) = (start, 0);
    let [mut to_peer, mut to_us] = [(); 2].map(|()| VecDeque::<Vec<u8>>::new());
    let mut last = Vec::new();
    // How many datagrams of the peer's have come from each sender, whatever had become of them.
    let mut came = [0u32; SENDERS.len()];
    while let Some((&head, after)) = rest.split_first() {
        rest = after;
        now += STEP * u32::from(head >> 3);
        while let Some(datagram) = to_peer.pop_front() {
            peer.handle_input(now, senders[0], &datagram);
        }
        while peer.poll_timeout() <= now {
            peer.handle_timeout(peer.poll_timeout());
            while let Some(output) = peer.poll_output() {
                if let Output::Transmit { datagram, .. } = output
                    && to_us.len() < MAX_QUEUE
                {
                    to_us.push_back(datagram);
                }
            }
        }
        match head & 7 {
            // Anything, from anybody.
            0 => {
                let Some((&[from, length], after)) = rest.split_first_chunk() else { break };
                let (datagram, after) = after.split_at(usize::from(length).min(after.len()));
                rest = after;
                let (sender, checks) = (usize::from(from & 3), us.stats().checks);
                us.handle_input(now, senders[sender], datagram);
                // Who has passed a check is the peer.
                came[sender] += u32::from(us.stats().checks > checks);
            }
            // The peer's next, from where he should be, from where a NAT has him, or by a stranger who has seen it.
            way @ (1 | 2 | 4) => {
                let sender = [0, 0, 1, 0, 2][usize::from(way)];
                if let Some(datagram) = if way == 4 { to_us.front().cloned() } else { to_us.pop_front() } {
                    came[sender] += 1;
                    us.handle_input(now, senders[sender], &datagram);
                    last = datagram;
                }
            }
            // The same with a byte of it changed.
            3 => {
                let Some((&[at, change], after)) = rest.split_first_chunk() else { break };
                rest = after;
                if let Some(mut datagram) = to_us.pop_front() {
                    let at = usize::from(at) * datagram.len() / 256;
                    datagram[at] ^= change;
                    came[0] += 1;
                    us.handle_input(now, senders[0], &datagram);
                    last = datagram;
                }
            }
            5 => drop(to_us.pop_front()),
            6 => {
                came[0] += 1;
                us.handle_input(now, senders[0], &last);
            }
            _ => {}
        }
        let is_lost = head & 7 == 7;
        loop {
            while let Some(output) = us.poll_output() {
                match output {
                    Output::Tick { .. } => {}
                    Output::NoKeys(_) => failures += 1,
                    Output::Transmit { datagram, .. } if is_stun(&datagram) => {}
                    Output::Transmit { to, datagram } => {
                        let had_part = senders.iter().zip(came).any(|(sender, came)| *sender == to && came > 0);
                        let is_whole = came.iter().sum::<u32>() >= LEAST && had_part && !is_impostor;
                        assert!(is_dtls(&datagram) || is_whole, "sound to {to} after {came:?}");
                        if !is_lost && to_peer.len() < MAX_QUEUE {
                            to_peer.push_back(datagram);
                        }
                    }
                    Output::TransmitRtcp { .. } | Output::Key { .. } | Output::Skipped { .. } => {
                        panic!("reports go with the sound, nobody presses keys and time goes on evenly")
                    }
                }
            }
            if us.poll_timeout() > now {
                break;
            }
            us.handle_timeout(us.poll_timeout());
        }
        assert!(us.stats().received == 0 || came.iter().sum::<u32>() > LEAST && !is_impostor, "{:?}", us.stats());
    }
    assert!(failures <= 1, "that there are no keys is told once");
}
