//! One call: the media of its session below, its conversation above.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::ears::Ears;
use super::echo::EchoGuard;
use super::keys::{Dtmf, Keys, Way};
use super::ours::{IceSide, Ours, describe};
use super::talk::Talk;
use super::{CallConfig, EndedBy, Input, Output, Script, Service};
use crate::engine::vad::Vad;
use crate::rtp::codec::{Codec, OpusTerms};
use crate::rtp::dtls::Certificate;
use crate::rtp::packet::{RtpTimestamp, Seq, Ssrc};
use crate::rtp::quality::Quality;
use crate::rtp::rtcp::RtcpStart;
use crate::rtp::tones::Tones;
use crate::rtp::{self, Frame, Protection, Rate, Stream, StreamConfig, StreamStats};
use crate::sip::SessionEvent;
use crate::sip::sdp::{self, KeyExchange, LocalMedia, Media, Numbers, Policy, SdpError, Security};

/// The longest wait for the ACK of a caller who can be heard.
const ACK_PATIENCE: Duration = Duration::from_millis(500);

/// Our side of the media: where the other side is to send its packets.
#[derive(Debug, Clone, Copy)]
pub struct MediaAddress {
    pub address: IpAddr,
    pub port: u16,
    /// For reports, if it is not the next one.
    pub rtcp_port: Option<u16>,
}

/// Where a stream starts to count; random, as RFC 3550 §5.1 wants it.
#[derive(Debug, Clone, Copy)]
pub struct StreamStart {
    pub ssrc: u32,
    pub seq: u16,
    pub timestamp: u32,
    /// The session id of our SDP (RFC 4566 §5.2).
    pub sdp_session: u64,
    pub rtcp: RtcpStart,
    /// What the keys of our encryption and the passwords of ICE are drawn from.
    pub secret: [u8; 32],
}

/// How an account wants the sound of its calls encrypted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Encryption {
    pub policy: Policy,
    /// How the keys of what we offer are agreed on.
    pub exchange: KeyExchange,
}

/// What an incoming call brings and what it is given.
pub struct CallSetup {
    pub service: Service,
    pub config: Arc<CallConfig>,
    pub script: Arc<Script>,
    pub vad: Box<dyn Vad>,
    pub media: MediaAddress,
    /// What is spoken, the favourite first; not empty.
    pub codecs: Vec<Codec>,
    /// How pressed keys are told.
    pub dtmf: Dtmf,
    pub encryption: Encryption,
    /// What we are known by where keys are agreed on by a handshake.
    pub certificate: Certificate,
    pub start: StreamStart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The 200 is on its way; the ACK is awaited.
    Answering {
        since: Instant,
    },
    Talking,
    /// Somebody else's session takes the place of ours: his ACK is awaited.
    Moving {
        since: Instant,
    },
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
    /// Between what is received and the ears.
    echo: EchoGuard,
    keys: Keys,
    /// Whether a key has come in RTP.
    keys_in_rtp: bool,
    /// Keys in the sound, if that is where they may be.
    tones: Option<Tones>,
    ours: Ours,
    encryption: Encryption,
    certificate: Certificate,
    /// What keys and passwords are drawn from.
    rng: StdRng,
    /// Our latest description.
    described: Vec<u8>,
    /// Our side of the session that we have offered to move to, and how it was described.
    offered: Option<(Ours, Vec<u8>)>,
    /// Whether the peer is to be on hold.
    holding: bool,
    /// He has agreed to be on hold, which a refused offer does not change.
    is_held: bool,
    /// What the last offer or answer agreed; `None` while an answer to our own offer is awaited.
    agreed: Option<Media>,
    media_timeout: Duration,
    /// When one of us last had no reason to send.
    idle: Option<Instant>,
    /// It has been said that the peer's key is not the one that he has told.
    has_wrong_key: bool,
}

impl Call {
    /// Answers an INVITE: the call, and the SDP for the 200. Without an offer the SDP is ours and the ACK brings the answer
    /// (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// When the offer cannot be read or has nothing that we speak (488 is the answer then).
    pub fn answer(now: Instant, setup: CallSetup, offer: Option<&[u8]>) -> Result<(Self, Vec<u8>), SdpError> {
        let CallSetup { service, config, script, vad, media, codecs, dtmf, encryption, certificate, start } = setup;
        let mut rng = StdRng::from_seed(start.secret);
        let (events, numbers) = (dtmf.in_rtp(), Numbers::NONE);
        let security = Security::new(encryption.policy, encryption.exchange, &certificate, &mut rng);
        let ice = IceSide::new(&mut rng);
        let ours = Ours { media, codecs, events, numbers, security, session: start.sdp_session, ice };
        let (sdp, agreed) = describe(&ours, offer)?;
        let unknown = SocketAddr::new(media.address, 0);
        let accepted = agreed.as_ref().map_or_else(|| sdp::offered_codecs(&ours.local()), |m| m.accepted.clone());
        let ours_first = accepted.first().copied().unwrap_or((8, Codec::Pcma));
        let (payload_type, codec) = agreed.as_ref().map_or(ours_first, |m| (m.payload_type, m.codec));
        // For the whole call, whatever codec follows: as wide as what is agreed, or as what the answer may agree to.
        let is_wide = |codec: &Codec| codec.rate() == Rate::Wide;
        let may_be_wide = agreed.is_none() && ours.codecs.iter().any(is_wide);
        let rate = if is_wide(&codec) || may_be_wide { Rate::Wide } else { Rate::Narrow };
        let mut stream = Stream::new(
            now,
            StreamConfig {
                rate,
                codec,
                payload_type,
                opus: agreed.as_ref().map_or_else(OpusTerms::default, |m| m.opus),
                accepted,
                events: agreed.as_ref().and_then(|m| m.events),
                remote: agreed.as_ref().map_or(unknown, |m| m.remote),
                ssrc: Ssrc(start.ssrc),
                first_seq: Seq(start.seq),
                first_timestamp: RtpTimestamp(start.timestamp),
                rtcp: start.rtcp,
            },
        );
        // Not before we know that the caller is where his SDP says: a forged INVITE must not point our sound at others.
        stream.set_send(false);
        let ears = Ears::new(vad, config.ears.clone(), rate);
        let media_timeout = config.media_timeout;
        let talk = Talk::new(now, service, config, script, ears, rate);
        let described = sdp.clone();
        let phase = Phase::Answering { since: now };
        let mut call = Self {
            phase,
            stream,
            talk,
            echo: EchoGuard::new(rate.hz()),
            keys: Keys::default(),
            keys_in_rtp: false,
            tones: (dtmf == Dtmf::Inband).then(|| Tones::new(rate)),
            ours,
            encryption,
            certificate,
            rng,
            described,
            offered: None,
            holding: false,
            is_held: false,
            agreed: None,
            media_timeout,
            idle: None,
            has_wrong_key: false,
        };
        call.protect(agreed.as_ref());
        call.note(agreed);
        Ok((call, sdp))
    }

    /// The SDP offer of a session that the call may move to, with somebody else; [`Input::Moved`] makes it so. Until then
    /// the call goes on as it is.
    pub fn offer_move(&mut self, media: MediaAddress, sdp_session: u64) -> Vec<u8> {
        let ours = self.elsewhere(media, sdp_session);
        let sdp = sdp::offer(&ours.offering());
        self.offered = Some((ours, sdp.clone()));
        sdp
    }

    /// Moves the call to a session that has come to take the place of the present one (RFC 3891): the SDP for its 200.
    /// What its other side says is heard once it is established.
    ///
    /// # Errors
    /// When the offer is of no use: the call stays where it is.
    pub fn answer_move(
        &mut self,
        now: Instant,
        media: MediaAddress,
        sdp_session: u64,
        offer: Option<&[u8]>,
    ) -> Result<Vec<u8>, SdpError> {
        let ours = self.elsewhere(media, sdp_session);
        let (sdp, agreed) = describe(&ours, offer)?;
        if !self.is_over() {
            self.phase = Phase::Moving { since: now };
        }
        self.settle_in(ours, sdp.clone(), agreed);
        Ok(sdp)
    }

    /// Our side of another session.
    fn elsewhere(&mut self, media: MediaAddress, session: u64) -> Ours {
        let Encryption { policy, exchange } = self.encryption;
        let mut security = Security::new(policy, exchange, &self.certificate, &mut self.rng);
        if let (Some(security), Some(media)) = (&mut security, &self.agreed) {
            security.stay_encrypted(&media.protection);
        }
        let ice = IceSide::new(&mut self.rng);
        let (codecs, events) = (self.ours.codecs.clone(), self.ours.events);
        Ours { media, codecs, events, numbers: Numbers::NONE, security, session, ice }
    }

    /// The session is another one now.
    fn settle_in(&mut self, ours: Ours, described: Vec<u8>, agreed: Option<Media>) {
        (self.ours, self.described, self.offered) = (ours, described, None);
        (self.holding, self.is_held) = (false, false);
        self.agreed = None;
        self.stream.set_send(false);
        self.stream.set_rtcp(None);
        self.stream.set_ice(None);
        self.stream.meet_another();
        // His keys are his own, though his certificate may be the same.
        self.stream.protect(Protection::Awaited);
        (self.keys, self.keys_in_rtp) = (Keys::default(), false);
        match agreed {
            Some(media) => self.agree(media),
            None => self.protect(None),
        }
    }

    /// Takes a datagram that came on the call's RTP port at `now`.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.stream.handle_input(now, from, bytes);
        self.drain_stream(now);
        self.settle_when_closed(now);
    }

    /// Takes a datagram that came on the next port, which is for RTCP.
    pub fn handle_report(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.stream.handle_rtcp(now, from, bytes);
        self.drain_stream(now);
        self.settle_when_closed(now);
    }

    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Session(event) => self.handle_session(now, event),
            Input::Heard { part, result } => self.talk.heard(now, part, result, &mut self.stream),
            Input::Judged { part, complete } => self.talk.judged(part, complete),
            Input::Sentence { turn, text } => self.talk.sentence(now, turn, &text),
            Input::WantsHangUp { turn } => self.talk.wants_hang_up(turn),
            Input::Replied { turn, expects } => self.talk.replied(turn, expects),
            Input::Sound { phrase, pcm } => self.talk.sound(now, phrase, pcm, &mut self.stream),
            Input::Synthesised { phrase, result } => self.talk.synthesised(phrase, result),
            Input::Moved { sdp } => self.moved(now, &sdp),
            Input::PeerLeft => {
                self.stream.set_send(false);
                self.stream.set_rtcp(None);
            }
            Input::Hold => self.hold(true),
            Input::Resume => self.hold(false),
            Input::HangUp(by) => self.hang_up(now, by),
        }
        self.settle_when_closed(now);
    }

    fn handle_session(&mut self, now: Instant, event: SessionEvent) {
        match event {
            SessionEvent::Established { sdp } => {
                if let (None, Some(answer)) = (&self.agreed, sdp) {
                    match sdp::accept_answer(&answer, &self.ours.offering()) {
                        Ok(media) => self.agree(media),
                        Err(error) => {
                            tracing::warn!(%error, "the caller's answer to our offer is of no use");
                            return self.hang_up(now, EndedBy::Failure);
                        }
                    }
                }
                if self.agreed.is_none() {
                    tracing::warn!("the caller did not answer our offer");
                    return self.hang_up(now, EndedBy::Failure);
                }
                self.greet(now);
            }
            SessionEvent::Offer { sdp } => self.answer_offer(sdp.as_deref()),
            SessionEvent::OfferAnswered { sdp } => match sdp::accept_answer(&sdp, &self.ours.offering()) {
                Ok(media) => {
                    self.is_held = self.holding;
                    self.agree(media);
                }
                Err(error) => tracing::warn!(%error, "the caller's answer to a new offer of ours is of no use"),
            },
            SessionEvent::OfferRefused { status } => {
                tracing::warn!(status, "hold or its end was refused: the session stays as it was");
                self.holding = self.is_held;
                self.send_if_agreed();
            }
            SessionEvent::Digit { digit, duration } => self.key(now, Way::Info, digit, duration),
            SessionEvent::Ended { cause } => self.close(now, EndedBy::from(&cause)),
            // Of calls that we make, of the one that began this call, and what the driver decides.
            SessionEvent::Incoming(_)
            | SessionEvent::Ringing
            | SessionEvent::EarlyMedia { .. }
            | SessionEvent::Answered { .. }
            | SessionEvent::TransferRequested { .. }
            | SessionEvent::Transfer(_) => {}
        }
    }

    /// The caller has pressed a key, for `lasted` as far as that is known.
    fn key(&mut self, now: Instant, way: Way, key: char, lasted: Duration) {
        if self.phase == Phase::Talking && self.keys.is_new(now, way, key, lasted) {
            self.talk.key(now, key, &mut self.stream);
        }
    }

    /// Who tells keys in RTP does not mean the tones that are in his sound; that he could is not enough, for a gateway may
    /// agree to what a telephone behind it does not do.
    fn listen_for_tones(&mut self, now: Instant, received: &Frame) {
        let in_rtp = self.keys_in_rtp;
        if let Some(key) = self.tones.as_mut().and_then(|tones| tones.push(received)).filter(|_| !in_rtp) {
            self.key(now, Way::Sound, key, Duration::ZERO);
        }
    }

    fn greet(&mut self, now: Instant) {
        let is_first = match self.phase {
            Phase::Answering { .. } => true,
            Phase::Moving { .. } => false,
            Phase::Talking | Phase::Closing { .. } | Phase::Over => return,
        };
        self.phase = Phase::Talking;
        self.send_if_agreed();
        match is_first {
            true => self.talk.begin(now),
            false => self.talk.greet_other(now, &mut self.stream),
        }
    }

    /// The one whom we were sent to has answered.
    fn moved(&mut self, now: Instant, answer: &[u8]) {
        let Some((ours, described)) = self.offered.take() else { return };
        match sdp::accept_answer(answer, &ours.offering()) {
            Ok(media) => self.settle_in(ours, described, Some(media)),
            Err(error) => {
                tracing::warn!(%error, "the answer of the one whom we were sent to is of no use");
                return self.hang_up(now, EndedBy::Failure);
            }
        }
        if !self.is_over() {
            self.phase = Phase::Talking;
            self.send_if_agreed();
            self.talk.greet_other(now, &mut self.stream);
        }
    }

    fn agree(&mut self, media: Media) {
        let Media { remote, codec, opus, payload_type, events, .. } = media;
        self.stream.redirect(remote, codec, opus, payload_type, media.accepted.clone(), events);
        self.protect(Some(&media));
        self.note(Some(media));
        self.send_if_agreed();
    }

    fn note(&mut self, agreed: Option<Media>) {
        // What a number means is settled for the session.
        if let Some(media) = &agreed {
            self.ours.numbers = self.ours.numbers.and(media);
            self.stream.set_pace(media.pace);
            self.ours.ice.theirs.clone_from(&media.ice);
            self.stream.set_ice(media.ice.as_ref().map(|_| self.ours.ice.ours.clone()));
        }
        self.agreed = agreed;
    }

    /// From now on the stream is encrypted as agreed, or waits for that.
    fn protect(&mut self, agreed: Option<&Media>) {
        let security = self.ours.security.as_mut();
        let protection = match (agreed, security) {
            (Some(media), Some(security)) => {
                security.settle(&media.protection, media.crypto.as_ref());
                media.protection.clone()
            }
            (None, Some(security)) => security.until_answered(),
            (_, None) => Protection::Plain,
        };
        self.stream.protect(protection);
    }

    fn send_if_agreed(&mut self) {
        let agreed = self.agreed.as_ref().is_some_and(|media| media.sends);
        let is_there = self.phase == Phase::Talking;
        self.stream.set_send(agreed && !self.holding && is_there);
        self.stream.set_handshake(is_there);
        // On hold too: reports say that the other side is still there.
        self.stream.set_rtcp(self.agreed.as_ref().filter(|_| is_there).map(|media| media.rtcp));
    }

    /// Puts the peer on hold or takes him off it (RFC 3264 §8.4). He hears nothing meanwhile and is not listened to.
    fn hold(&mut self, hold: bool) {
        if self.phase != Phase::Talking || self.holding == hold {
            return;
        }
        let local = self.ours.offering();
        let next = if hold { sdp::offer_hold(&local) } else { sdp::offer(&local) };
        match sdp::continue_session(&self.described, &next) {
            Ok(sdp) => {
                self.holding = hold;
                // Off hold once he has agreed.
                self.stream.set_send(false);
                self.described.clone_from(&sdp);
                self.talk.out.push_back(Output::Offer { sdp });
            }
            Err(error) => tracing::warn!(%error, "hold could not be offered"),
        }
    }

    /// A re-INVITE: hold, resume, another address or codec (RFC 3264 §8).
    fn answer_offer(&mut self, offer: Option<&[u8]>) {
        let described = match offer {
            None => sdp::continue_session(&self.described, &sdp::offer(&self.ours.offering())).map(|sdp| (sdp, None)),
            Some(offer) => sdp::parse_offer(offer).and_then(|offer| {
                let local = self.ours.local();
                let security = offer.security(&local, &mut self.rng);
                let ice = self.ours.ice.answering(offer.ice(&local), &mut self.rng);
                let local = LocalMedia { ice: Some(&ice.ours), security: security.as_ref(), ..local };
                let (sdp, media) = sdp::answer(&offer, &local)?;
                Ok((sdp::continue_session(&self.described, &sdp)?, Some((media, ice, security))))
            }),
        };
        match described {
            Ok((sdp, agreed)) => {
                if let Some((media, ice, security)) = agreed {
                    (self.ours.ice, self.ours.security) = (ice, security);
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
        if matches!(self.phase, Phase::Answering { .. } | Phase::Moving { .. } | Phase::Talking) {
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
        let patience = if by == EndedBy::Shutdown { Duration::ZERO } else { self.talk.settles_within() };
        self.phase = Phase::Closing { by, deadline: now + patience };
        self.stream.say_goodbye(now);
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
            Phase::Answering { since } | Phase::Moving { since } => {
                self.stream.handle_timeout(now);
                // The ACK is lost for now, but the caller is there.
                let is_heard = self.stream.stats().last_received.is_some_and(|at| at >= since);
                if now >= since + ACK_PATIENCE && is_heard {
                    self.greet(now);
                }
                self.drain_stream(now);
            }
            Phase::Talking => {
                self.stream.handle_timeout(now);
                self.drain_stream(now);
                self.warn_of_a_wrong_key();
                if self.is_dead(now) {
                    tracing::warn!("nothing has come of the caller for a long time, neither sound nor reports");
                    self.hang_up(now, EndedBy::NoMedia);
                }
            }
            Phase::Closing { .. } => self.settle_when_closed(now),
            Phase::Over => {}
        }
    }

    /// Once in a call: who cannot be heard because of his keys is not heard of otherwise, for his packets do come.
    fn warn_of_a_wrong_key(&mut self) {
        if !self.has_wrong_key && self.stream.is_wrong_key() {
            self.has_wrong_key = true;
            tracing::warn!(
                forged = self.stream.stats().forged,
                "the caller cannot be heard: nothing that comes is encrypted with the key of his SDP; look whether his \
                 telephone sends SRTP with it, and whether a proxy or PBX in between changes SDP or sound"
            );
        }
    }

    /// Whether the peer has fallen silent though he should send. Who is on hold, or says that he only listens, need not, and
    /// one who never sent anything may have nothing to send.
    fn is_dead(&mut self, now: Instant) -> bool {
        if !self.stream.is_sending() || self.agreed.as_ref().is_some_and(|media| !media.receives) {
            self.idle = Some(now);
        }
        let heard = self.stream.last_heard().map(|heard| self.idle.map_or(heard, |idle| idle.max(heard)));
        heard.is_some_and(|since| now.saturating_duration_since(since) >= self.media_timeout)
    }

    fn drain_stream(&mut self, now: Instant) {
        while let Some(output) = self.stream.poll_output() {
            match output {
                rtp::Output::Transmit { to, datagram } => {
                    self.talk.out.push_back(Output::Transmit { to, datagram });
                }
                rtp::Output::TransmitRtcp { to, datagram } => {
                    self.talk.out.push_back(Output::TransmitRtcp { to, datagram });
                }
                rtp::Output::Tick { received, sent, mark, .. } => {
                    self.talk.out.push_back(Output::Record { received, sent });
                    self.listen_for_tones(now, &received);
                    if self.phase == Phase::Talking {
                        let mut received = received;
                        self.echo.clean(&mut received, &sent);
                        self.talk.note_echo(self.echo.may_echo());
                        let sent = mark.map(|mark| (mark, sent.len()));
                        if let Some(by) = self.talk.tick(now, &received, sent, &mut self.stream) {
                            self.hang_up(now, by);
                        }
                    }
                }
                rtp::Output::Key { key } => {
                    self.keys_in_rtp = true;
                    self.key(now, Way::Rtp, key, Duration::ZERO);
                }
                rtp::Output::NoKeys(error) => {
                    tracing::warn!(%error, "the call ends: its sound would not be encrypted as agreed");
                    self.hang_up(now, EndedBy::Failure);
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
            Phase::Answering { .. } | Phase::Moving { .. } | Phase::Talking => Some(self.stream.poll_timeout()),
            Phase::Closing { deadline, .. } => Some(deadline),
            Phase::Over => None,
        }
    }

    /// Whether the session has ended; the last words may still be on their way.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Over)
    }

    /// The media that both sides agreed on.
    pub fn media(&self) -> Option<&Media> {
        self.agreed.as_ref()
    }

    /// The rate of all sound of this call, in and out.
    pub fn rate(&self) -> Rate {
        self.stream.rate()
    }

    /// Whether the caller speaks, or waits for an answer.
    pub fn owes_an_answer(&self) -> bool {
        self.talk.owes_an_answer()
    }

    /// Sound of answers that was made and is not heard any more.
    pub fn unheard_sound(&self) -> Duration {
        self.talk.unheard_sound()
    }

    pub fn stream_stats(&self) -> StreamStats {
        self.stream.stats()
    }

    /// How well both could be heard so far.
    pub fn quality(&self) -> Quality {
        self.stream.quality()
    }
}
