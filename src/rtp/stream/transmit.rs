//! What a stream sends in a tick: sound, keys, silence, or noise in its place.

use super::{Output, Stream, event_clock_hz, is_somewhere};
use crate::rtp::Frame;
use crate::rtp::dtmf::{Due, Events};
use crate::rtp::jitter::COMFORT_NOISE;
use crate::rtp::pace::Say;
use crate::rtp::packet::{Packet, RtpTimestamp};
use crate::rtp::wire::Wire;

impl Stream {
    /// Sends 20 ms, of silence or comfort noise if there is nothing to say, unless we are on hold.
    pub(super) fn transmit(&mut self) -> (Frame, Option<u64>) {
        let silence = Frame::silent(self.config.rate);
        if !self.send || !self.wire.is_ready() || self.awaits_nomination || !is_somewhere(self.latch.target()) {
            self.paused = true;
            self.presses.interrupt();
            self.silence.interrupt();
            return (silence, None);
        }
        let events = self.config.events;
        let due = self.presses.tick(self.timestamp, event_clock_hz(events));
        let (frame, mark) = match due {
            Due::Sound => self.playout.next_frame(),
            Due::Silence | Due::Event { .. } => (silence, None),
        };
        match (due, events) {
            (Due::Event { marker, timestamp, payload }, Some(Events { send, .. })) => {
                self.paused = false;
                self.silence.interrupt();
                self.post(send, marker, timestamp, &payload);
            }
            (Due::Event { .. }, None) => self.paused = true,
            (Due::Sound | Due::Silence, _) => match self.say(&frame) {
                Say::Sound => self.speak(&frame),
                Say::Noise(level) => {
                    self.paused = true;
                    self.post(COMFORT_NOISE, false, self.timestamp, &level);
                }
                Say::Nothing => self.paused = true,
            },
        }
        (frame, mark)
    }

    /// Noise goes to who takes it beside this codec, and not where its beginning and end would tell more than they may.
    fn say(&mut self, frame: &[i16]) -> Say {
        let takes_noise = self.pace.comfort_noise && matches!(self.wire, Wire::Plain);
        if takes_noise { self.silence.tick(frame) } else { Say::Sound }
    }

    fn speak(&mut self, frame: &[i16]) {
        let parts = if self.pace.halves { 2 } else { 1 };
        let mut timestamp = self.timestamp;
        for part in frame.chunks(frame.len() / parts) {
            match self.encoder.encode(part) {
                // RFC 3551 §4.1: only after a time without packets; silence alone is no reason.
                Some(payload) => {
                    let marker = std::mem::take(&mut self.paused);
                    self.post(self.config.payload_type, marker, timestamp, &payload);
                }
                // A codec that has nothing to say.
                None => self.paused = true,
            }
            timestamp = timestamp.wrapping_add(self.config.codec.frame_ticks() / parts as u32);
        }
    }

    fn post(&mut self, payload_type: u8, marker: bool, timestamp: RtpTimestamp, payload: &[u8]) {
        let packet = Packet { payload_type, marker, seq: self.seq, timestamp, ssrc: self.config.ssrc, payload };
        let (to, sealed) = (self.latch.target(), self.wire.seal(packet.build()));
        self.outputs.extend(sealed.map(|datagram| Output::Transmit { to, datagram }));
        self.seq = self.seq.next();
        self.stats.sent += 1;
        self.sent_octets += payload.len() as u64;
    }
}
