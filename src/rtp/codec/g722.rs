//! G.722 (ITU-T G.722 at 64 kbit/s, RFC 3551 §4.5.2): one byte for each two samples of 16 kHz, by adaptive prediction in two
//! bands. The algorithm is ezk-g722's; here is what makes it fit a call of either rate.
//!
//! Left out: the codec's own concealment (appendices III and IV); the library's mode of 8 kHz, whose encoder is broken.

use std::fmt::{self, Debug, Formatter};

use ezk_g722::libg722::Bitrate;
use ezk_g722::libg722::decoder::Decoder;
use ezk_g722::libg722::encoder::Encoder;

use super::halfband::Doubler;
use crate::rtp::Rate;

pub struct G722Decoder {
    decoder: Decoder,
    halver: Option<Doubler>,
}

impl G722Decoder {
    pub fn new(rate: Rate) -> Self {
        let decoder = Decoder::new(Bitrate::Mode1_64000, false, false);
        Self { decoder, halver: (rate == Rate::Narrow).then(Doubler::default) }
    }

    /// Writes the sound of a packet behind what `pcm` holds.
    pub fn decode(&mut self, payload: &[u8], pcm: &mut Vec<i16>) {
        let wide = self.decoder.decode(payload);
        match &mut self.halver {
            None => pcm.extend(wide),
            Some(halver) => halver.halve(&wide, pcm),
        }
    }
}

pub struct G722Encoder {
    encoder: Encoder,
    doubler: Option<Doubler>,
}

impl G722Encoder {
    pub fn new(rate: Rate) -> Self {
        // Its last two arguments stand the other way round than the decoder's; both are false.
        let encoder = Encoder::new(Bitrate::Mode1_64000, false, false);
        Self { encoder, doubler: (rate == Rate::Narrow).then(Doubler::default) }
    }

    /// The payload of an even number of samples.
    pub fn encode(&mut self, pcm: &[i16]) -> Vec<u8> {
        match &mut self.doubler {
            None => self.encoder.encode(&pcm[..pcm.len() & !1]),
            Some(doubler) => {
                let mut wide = Vec::with_capacity(2 * pcm.len());
                doubler.double(pcm, &mut wide);
                self.encoder.encode(&wide)
            }
        }
    }
}

impl Debug for G722Decoder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("G722Decoder").finish_non_exhaustive()
    }
}

impl Debug for G722Encoder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("G722Encoder").finish_non_exhaustive()
    }
}
