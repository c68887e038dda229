//! RTP packets (RFC 3550 §5.1) and the numbers in them, each with a type of its own.
//!
//! Left out: header extensions and contributing sources are skipped when read and never written.

use rtp_rs::{RtpPacketBuilder, RtpReader, RtpReaderError};

/// A packet's sequence number; wraps after 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seq(pub u16);

impl Seq {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A sequence number that counts its wraps, so that it orders packets (RFC 3550 appendix A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedSeq(pub u64);

impl ExtendedSeq {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A packet's timestamp in units of the codec's clock; wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RtpTimestamp(pub u32);

impl RtpTimestamp {
    #[must_use]
    pub fn wrapping_add(self, samples: u32) -> Self {
        Self(self.0.wrapping_add(samples))
    }

    /// The way from `earlier` to here, the short way round.
    pub fn wrapping_since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Synchronization source: who sends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ssrc(pub u32);

/// Why a datagram is not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    #[error("read RTP packet: not RTP version 2 (STUN, DTLS or garbage on the media port)")]
    NotRtp,
    #[error("read RTP packet: this is RTCP")]
    Rtcp,
    #[error("read RTP packet: header or padding is longer than the datagram")]
    Truncated,
}

/// An RTP packet: what of the header we use, and the payload without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// 0–127.
    pub payload_type: u8,
    pub marker: bool,
    pub seq: Seq,
    pub timestamp: RtpTimestamp,
    pub ssrc: Ssrc,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// # Errors
    /// [`PacketError`] when the datagram is something else or cut short.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        if is_rtcp(datagram) {
            return Err(PacketError::Rtcp);
        }
        let reader = RtpReader::new(datagram).map_err(|e| match e {
            RtpReaderError::UnsupportedVersion(_) => PacketError::NotRtp,
            RtpReaderError::BufferTooShort(_)
            | RtpReaderError::HeadersTruncated { .. }
            | RtpReaderError::PaddingLengthInvalid(_) => PacketError::Truncated,
        })?;
        Ok(Self {
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            seq: Seq(reader.sequence_number().into()),
            timestamp: RtpTimestamp(reader.timestamp()),
            ssrc: Ssrc(reader.ssrc()),
            payload: reader.payload(),
        })
    }

    /// The packet as a datagram. Of a payload type above 127 only the low seven bits are written.
    pub fn build(&self) -> Vec<u8> {
        let built = RtpPacketBuilder::new()
            .payload_type(self.payload_type & 0x7f)
            .marked(self.marker)
            .sequence(self.seq.0.into())
            .timestamp(self.timestamp.0)
            .ssrc(self.ssrc.0)
            .payload(self.payload)
            .build();
        let Ok(datagram) = built else { unreachable!("only a payload type above 127 or an extension can be refused") };
        datagram
    }
}

/// Whether a datagram on a shared port is RTCP: these values of the second byte are its packet types (RFC 5761 §4).
pub(super) fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const PACKET: Packet<'_> = Packet {
        payload_type: 8,
        marker: true,
        seq: Seq(0x1234),
        timestamp: RtpTimestamp(0xdead_beef),
        ssrc: Ssrc(0x0102_0304),
        payload: &[0xd5, 0x55],
    };
    const WIRE: [u8; 14] = [0x80, 0x88, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 0xd5, 0x55];

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(PACKET.build(), WIRE);
        assert_eq!(Packet::parse(&WIRE), Ok(PACKET));
    }

    #[test]
    fn skips_sources_extension_and_padding() {
        let mut wire = vec![0x80 | 0x20 | 0x10 | 2, 0x88, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];
        wire.extend([9; 8]); // two CSRC
        wire.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]); // extension of one word
        wire.extend([0xd5, 0x55, 0, 0, 3]); // payload, then three bytes of padding
        assert_eq!(Packet::parse(&wire), Ok(PACKET));
    }

    #[test]
    fn tells_other_protocols_apart() {
        let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Packet::parse(&stun), Err(PacketError::NotRtp));
        let sender_report = [0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Packet::parse(&sender_report), Err(PacketError::Rtcp));
        assert_eq!(Packet::parse(b"\r\n\r\n"), Err(PacketError::Truncated));
    }

    #[test]
    fn every_truncation_is_an_error_or_a_shorter_payload() {
        for len in 0..12 {
            assert_eq!(Packet::parse(&WIRE[..len]), Err(PacketError::Truncated), "{len} bytes");
        }
        assert_eq!(Packet::parse(&WIRE[..12]).map(|p| p.payload), Ok(&[][..]));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut read = 0;
        for _ in 0..200_000 {
            let mut bytes: Vec<u8> = (0..rng.random_range(0..64)).map(|_| rng.random()).collect();
            if let Some(first) = bytes.first_mut() {
                *first = *first & 0x3f | 0x80;
            }
            read += usize::from(Packet::parse(&bytes).is_ok());
        }
        println!("{read} of 200000 were packets");
        assert!(read > 1_000);
    }
}
