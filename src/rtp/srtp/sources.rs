//! The peer's sources under one of his keys: each has a counter and a window against replay of its own (RFC 3711 §3.2.3).
//!
//! A source takes a place once a packet of its has proved to be genuine; the one that has been silent longest makes room. After
//! a change of keys what is already on its way still comes under the former one. A source that goes on may go on counting
//! (RFC 3711 §3.3.1) or begin anew (RFC 4568 §7.1.4, which some do at every new key): both are tried.
//!
//! Left out: rollovers that are carried over to a new key for more than the source that was heard last.

use std::mem;

use webrtc_srtp::Error;
use webrtc_srtp::context::Context;

use super::{MasterKey, Refused, header};

/// Sources that have a place.
pub(super) const MAX_SOURCES: usize = 32;
/// So many unknown sources are tried in one context, which keeps something of each.
const MAX_TRIED: usize = 32;
/// So many packets may be tried with the former key, if none comes under the new one: 5 s of sound.
pub(super) const MAX_FORMER: u32 = 250;
/// A counter that has rolled over more often (in some two weeks) is not carried over: it costs 10 ms by then.
const MAX_ROLLOVERS: u64 = 1_024;
/// A number that is so much higher is always taken for a later one.
const STEP: usize = 0x7000;
/// Forged packets and none that is genuine: the key cannot be the right one.
const MANY_FORGED: u32 = 50;

pub(super) struct Sources {
    key: MasterKey,
    /// The one that was heard last is the last.
    known: Vec<Source>,
    /// Whom the former key has heard last, as if he went on counting; not proved yet.
    going_on: Option<Source>,
    /// In which unknown sources are tried, so that they cost no derivation of keys and leave nothing behind.
    trial: Context,
    tried: usize,
    /// Those of the former key, and what has been tried with it.
    former: Option<(Vec<Source>, u32)>,
    forged: u32,
}

struct Source {
    ssrc: u32,
    context: Context,
    /// Rollover counter and sequence number of the latest packet; of reports always 0.
    index: u64,
}

impl Sources {
    pub(super) fn new(key: MasterKey) -> Self {
        let trial = key.context();
        Self { key, known: Vec::new(), going_on: None, trial, tried: 0, former: None, forged: 0 }
    }

    pub(super) fn key(&self) -> &MasterKey {
        &self.key
    }

    /// Another key from now on, or the same: then everything goes on as it is.
    pub(super) fn rekey(&mut self, key: MasterKey) {
        if key == self.key {
            return;
        }
        // A key that nobody has used has no sources to be remembered.
        let unused = self.known.is_empty().then(|| self.former.take()).flatten();
        let former = unused.map_or_else(|| mem::take(&mut self.known), |(former, _)| former);
        *self = Self::new(key);
        self.going_on = former.last().and_then(|source| source.going_on(&self.key));
        self.former = Some((former, 0));
    }

    /// Decrypts a packet of this source with this number.
    pub(super) fn open<B: Into<Vec<u8>>>(
        &mut self,
        ssrc: u32,
        seq: u16,
        decrypt: impl Fn(&mut Context) -> Result<B, Error>,
    ) -> Result<Vec<u8>, Refused> {
        let opened = self.open_with_key(ssrc, seq, &decrypt);
        if opened.is_ok() {
            self.former = None;
        }
        if opened != Err(Refused::Forged) {
            return opened;
        }
        if let Some((former, tried)) = self.former.as_mut().filter(|(_, tried)| *tried < MAX_FORMER)
            && let Some(source) = former.iter_mut().find(|source| source.ssrc == ssrc)
        {
            *tried += 1;
            let opened = source.open(seq, &decrypt);
            if opened != Err(Refused::Forged) {
                return opened;
            }
        }
        self.forged = self.forged.saturating_add(1);
        Err(Refused::Forged)
    }

    fn open_with_key<B: Into<Vec<u8>>>(
        &mut self,
        ssrc: u32,
        seq: u16,
        decrypt: &impl Fn(&mut Context) -> Result<B, Error>,
    ) -> Result<Vec<u8>, Refused> {
        if let Some(at) = self.known.iter().position(|source| source.ssrc == ssrc) {
            let opened = self.known[at].open(seq, decrypt)?;
            self.known[at..].rotate_left(1);
            return Ok(opened);
        }
        if let Some(mut source) = self.going_on.take_if(|source| source.ssrc == ssrc) {
            let opened = source.open(seq, decrypt);
            if opened.is_ok() {
                self.admit(source);
                return opened;
            }
            self.going_on = Some(source);
        }
        if self.tried >= MAX_TRIED {
            (self.trial, self.tried) = (self.key.context(), 0);
        }
        self.tried += 1;
        let mut opened = decrypt(&mut self.trial).map_err(|error| refused(&error));
        // Nothing is ever taken in it: only what was forged has left such a trace.
        if matches!(opened, Err(Refused::Replayed)) {
            (self.trial, self.tried) = (self.key.context(), 1);
            opened = decrypt(&mut self.trial).map_err(|error| refused(&error));
        }
        let opened = opened?;
        let context = mem::replace(&mut self.trial, self.key.context());
        self.admit(Source { ssrc, context, index: seq.into() });
        Ok(opened.into())
    }

    fn admit(&mut self, source: Source) {
        if self.known.len() >= MAX_SOURCES {
            self.known.remove(0);
        }
        self.known.push(source);
    }

    /// Whether so much was forged and nothing genuine that the key must be wrong.
    pub(super) fn is_wrong_key(&self) -> bool {
        self.known.is_empty() && self.forged >= MANY_FORGED
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.known.len()
    }
}

impl Source {
    fn open<B: Into<Vec<u8>>>(
        &mut self,
        seq: u16,
        decrypt: &impl Fn(&mut Context) -> Result<B, Error>,
    ) -> Result<Vec<u8>, Refused> {
        let opened = decrypt(&mut self.context).map_err(|error| refused(&error))?;
        let ahead = seq.wrapping_sub(self.index as u16) as i16;
        // Before the first rollover there is nothing behind 0.
        self.index = self.index.checked_add_signed(ahead.into()).unwrap_or_else(|| seq.into());
        Ok(opened.into())
    }

    /// The same source under another key, as if it went on counting. webrtc-srtp does not let itself be told a rollover
    /// counter: it is led there by packets that nobody else sees.
    fn going_on(&self, key: &MasterKey) -> Option<Self> {
        // From 0, as of reports, he counts on as he would begin anew.
        if self.index == 0 || self.index >> 16 > MAX_ROLLOVERS {
            return None;
        }
        let (mut seal, mut context) = (key.context(), key.context());
        for index in (0..self.index).step_by(STEP).chain([self.index]) {
            let [s0, s1] = (index as u16).to_be_bytes();
            let [a, b, c, d] = self.ssrc.to_be_bytes();
            let packet = [0x80, 0, s0, s1, 0, 0, 0, 0, a, b, c, d];
            let header = header(&packet)?;
            let sealed = seal.encrypt_rtp_with_header(&packet, &header).ok()?;
            context.decrypt_rtp_with_header(&sealed, &header).ok()?;
        }
        Some(Self { ssrc: self.ssrc, context, index: self.index })
    }
}

fn refused(error: &Error) -> Refused {
    match error {
        Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..) => Refused::Replayed,
        _ => Refused::Forged,
    }
}
