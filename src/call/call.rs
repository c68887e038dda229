//! One call: the media of its session below, its conversation above.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ears::Ears;
use super::talk::Talk;
use super::{CallConfig, EndedBy, Input, Output, Script};
use crate::engine::vad::Vad;
use crate::rtp::codec::Codec;
use crate::rtp::packet::{RtpTimestamp, Seq, Ssrc};
use crate::rtp::{self, Stream, StreamConfig, StreamStats};
use crate::sip::sdp::{self, LocalMedia, Media, SdpError};
use crate::sip::{EndCause, SessionEvent};

/// The longest wait for transcripts after the end of a call.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest wait for the ACK of a caller who can be heard.
const ACK_PATIENCE: Duration = Duration::from_millis(500);

/// Our side of the media: where the other side is to send its packets.
#[derive(Debug, Clone, Copy)]
pub struct MediaAddress {
    pub address: IpAddr,
    pub port: u16,
}

/// Where a stream starts to count; random, as RFC 3550 §5.1 wants it.
#[derive(Debug, Clone, Copy)]
pub struct StreamStart {
    pub ssrc: u32,
    pub seq: u16,
    pub timestamp: u32,
    /// The session id of our SDP (RFC 4566 §5.2).
    pub sdp_session: u64,
}

/// What an incoming call brings and what it is given.
pub struct CallSetup {
    pub config: Arc<CallConfig>,
    pub script: Arc<Script>,
    pub vad: Box<dyn Vad>,
    pub media: MediaAddress,
    pub start: StreamStart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The 200 is on its way; the ACK is awaited.
    Answering {
        since: Instant,
    },
    Talking,
    /// The session is over; the last words are being transcribed.
    Closing {
        by: EndedBy,
        deadline: Instant,
    },
    /// [`Output::Ended`] has been given out.
    Over,
}

pub struct Call {
    phase: Phase,
    stream: Stream,
    talk: Talk,
    local: LocalMedia<'static>,
    /// Our latest description.
    described: Vec<u8>,
    /// What the last offer or answer agreed; `None` while an answer to our own offer is awaited.
    agreed: Option<Media>,
}

impl Call {
    /// Answers an INVITE: the call, and the SDP for the 200. Without an offer the SDP is ours and the ACK brings the answer
    /// (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// When the offer cannot be read or has nothing that we speak (488 is the answer then).
    pub fn answer(now: Instant, setup: CallSetup, offer: Option<&[u8]>) -> Result<(Self, Vec<u8>), SdpError> {
        let CallSetup { config, script, vad, media, start } = setup;
        let local = LocalMedia {
            address: media.address,
            port: media.port,
            codecs: &Codec::ALL,
            session_id: start.sdp_session,
            session_version: 0,
        };
        let (sdp, agreed) = match offer {
            Some(offer) => {
                let (sdp, agreed) = sdp::answer(&sdp::parse_offer(offer)?, &local)?;
                (sdp, Some(agreed))
            }
            None => (sdp::offer(&local), None),
        };
        let unknown = SocketAddr::new(media.address, 0);
        let codec = agreed.as_ref().map_or(Codec::Pcma, |m| m.codec);
        let mut stream = Stream::new(
            now,
            StreamConfig {
                codec,
                payload_type: agreed.as_ref().map_or(codec.payload_type(), |m| m.payload_type),
                accepted: agreed
                    .as_ref()
                    .map_or_else(|| Codec::ALL.map(|c| (c.payload_type(), c)).to_vec(), |m| m.accepted.clone()),
                remote: agreed.as_ref().map_or(unknown, |m| m.remote),
                ssrc: Ssrc(start.ssrc),
                first_seq: Seq(start.seq),
                first_timestamp: RtpTimestamp(start.timestamp),
            },
        );
        // Not before we know that the caller is where his SDP says: a forged INVITE must not point our sound at others.
        stream.set_send(false);
        let ears = Ears::new(vad, config.ears.clone());
        let talk = Talk::new(now, config, script, ears);
        let described = sdp.clone();
        Ok((Self { phase: Phase::Answering { since: now }, stream, talk, local, described, agreed }, sdp))
    }

    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Datagram { from, bytes } => self.stream.handle_input(now, from, &bytes),
            Input::Session(event) => self.handle_session(now, event),
            Input::Heard { part, result } => self.talk.heard(now, part, result),
            Input::Sentence { turn, text } => self.talk.sentence(now, turn, &text),
            Input::WantsHangUp { turn } => self.talk.wants_hang_up(turn),
            Input::Replied { turn, expects } => self.talk.replied(turn, expects),
            Input::Sound { phrase, pcm } => self.talk.sound(now, phrase, &pcm, &mut self.stream),
            Input::Synthesised { phrase, result } => self.talk.synthesised(phrase, result),
            Input::HangUp(by) => self.hang_up(now, by),
        }
        self.settle_when_closed(now);
    }

    fn handle_session(&mut self, now: Instant, event: SessionEvent) {
        match event {
            SessionEvent::Established { sdp } => {
                if let (None, Some(answer)) = (&self.agreed, sdp) {
                    match sdp::accept_answer(&answer, &self.local) {
                        Ok(media) => self.agree(media),
                        Err(error) => {
                            tracing::warn!(%error, "the caller's answer to our offer is of no use");
                            return self.hang_up(now, EndedBy::Failure);
                        }
                    }
                }
                self.greet(now);
            }
            SessionEvent::Offer { sdp } => self.answer_offer(sdp.as_deref()),
            SessionEvent::Ended { cause } => {
                let by = match cause {
                    EndCause::RemoteBye(_) | EndCause::Cancelled(_) => EndedBy::Caller,
                    _ => EndedBy::Failure,
                };
                self.close(now, by);
            }
            SessionEvent::OfferAnswered { sdp } => match sdp::accept_answer(&sdp, &self.local) {
                Ok(media) => self.agree(media),
                Err(error) => tracing::warn!(%error, "the caller's answer to a new offer of ours is of no use"),
            },
            // Of calls that we make, and of the one that began this call.
            SessionEvent::Incoming(_)
            | SessionEvent::Ringing
            | SessionEvent::EarlyMedia { .. }
            | SessionEvent::Answered { .. } => {}
        }
    }

    fn greet(&mut self, now: Instant) {
        if let Phase::Answering { .. } = self.phase {
            self.phase = Phase::Talking;
            self.stream.set_send(self.agreed.as_ref().is_some_and(|m| m.sends));
            self.talk.begin(now);
        }
    }

    fn agree(&mut self, media: Media) {
        self.stream.redirect(media.remote, media.codec, media.payload_type, media.accepted.clone());
        self.stream.set_send(media.sends && self.phase == Phase::Talking);
        self.agreed = Some(media);
    }

    /// A re-INVITE: hold, resume, another address or codec (RFC 3264 §8).
    fn answer_offer(&mut self, offer: Option<&[u8]>) {
        let described = match offer {
            None => sdp::continue_session(&self.described, &sdp::offer(&self.local)).map(|sdp| (sdp, None)),
            Some(offer) => sdp::parse_offer(offer).and_then(|offer| {
                let (sdp, media) = sdp::answer(&offer, &self.local)?;
                Ok((sdp::continue_session(&self.described, &sdp)?, Some(media)))
            }),
        };
        match described {
            Ok((sdp, media)) => {
                if let Some(media) = media {
                    self.agree(media);
                }
                self.described.clone_from(&sdp);
                self.talk.out.push_back(Output::AnswerOffer { sdp });
            }
            Err(error) => {
                tracing::warn!(%error, "a new offer is of no use: the session stays as it was");
                self.talk.out.push_back(Output::RejectOffer);
            }
        }
    }

    fn hang_up(&mut self, now: Instant, by: EndedBy) {
        if matches!(self.phase, Phase::Answering { .. } | Phase::Talking) {
            self.talk.out.push_back(Output::HangUp);
            self.close(now, by);
        } else if let (Phase::Closing { by: ended_by, .. }, EndedBy::Shutdown) = (self.phase, by) {
            // A program that is being stopped waits for no transcript.
            self.phase = Phase::Closing { by: ended_by, deadline: now };
        }
    }

    fn close(&mut self, now: Instant, by: EndedBy) {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Over) {
            return;
        }
        // A program that is being stopped waits for nobody.
        let patience = if by == EndedBy::Shutdown { Duration::ZERO } else { SETTLE_TIMEOUT };
        self.phase = Phase::Closing { by, deadline: now + patience };
        self.drain_stream(now);
        self.talk.close(now, &mut self.stream);
        self.settle_when_closed(now);
    }

    fn settle_when_closed(&mut self, now: Instant) {
        if let Phase::Closing { by, deadline } = self.phase
            && (self.talk.is_settled() || now >= deadline)
        {
            self.phase = Phase::Over;
            self.talk.settle(now);
            self.talk.out.push_back(Output::Ended { by });
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Answering { since } => {
                self.stream.handle_timeout(now);
                // The ACK is lost for now, but the caller is there.
                if now >= since + ACK_PATIENCE && self.stream.stats().last_received.is_some() {
                    self.greet(now);
                }
                self.drain_stream(now);
            }
            Phase::Talking => {
                self.stream.handle_timeout(now);
                self.drain_stream(now);
            }
            Phase::Closing { .. } => self.settle_when_closed(now),
            Phase::Over => {}
        }
    }

    fn drain_stream(&mut self, now: Instant) {
        while let Some(output) = self.stream.poll_output() {
            match output {
                rtp::Output::Transmit { to, datagram } => {
                    self.talk.out.push_back(Output::Transmit { to, datagram });
                }
                rtp::Output::Tick { received, sent, mark, .. } => {
                    self.talk.out.push_back(Output::Record { received, sent });
                    if self.phase == Phase::Talking {
                        let sent = mark.map(|mark| (mark, sent.len()));
                        if let Some(by) = self.talk.tick(now, &received, sent, &mut self.stream) {
                            self.hang_up(now, by);
                        }
                    }
                }
                rtp::Output::Skipped { ticks } => self.talk.out.push_back(Output::Gap { ticks }),
            }
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.talk.out.pop_front()
    }

    /// When [`Self::handle_timeout`] is due next; `None` when the call is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Answering { .. } | Phase::Talking => Some(self.stream.poll_timeout()),
            Phase::Closing { deadline, .. } => Some(deadline),
            Phase::Over => None,
        }
    }

    /// The media that both sides agreed on.
    pub fn media(&self) -> Option<&Media> {
        self.agreed.as_ref()
    }

    pub fn stream_stats(&self) -> StreamStats {
        self.stream.stats()
    }
}
