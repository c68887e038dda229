//! G.711 (ITU-T G.711, RFC 3551 §4.5.14): one byte per sample, µ-law or A-law, without any state between packets.

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

use super::Codec;

/// Payload to 16-bit samples, one for each byte; of PCMU, or else of PCMA.
pub fn decode(codec: Codec, payload: &[u8]) -> Vec<i16> {
    let mut pcm = Vec::with_capacity(payload.len());
    decode_onto(codec, payload, &mut pcm);
    pcm
}

/// The same, written behind what `pcm` holds.
pub fn decode_onto(codec: Codec, payload: &[u8], pcm: &mut Vec<i16>) {
    // Two loops, so that neither calls a function for each sample.
    match codec {
        Codec::Pcmu => pcm.extend(payload.iter().map(|&byte| decode_ulaw(byte))),
        _ => pcm.extend(payload.iter().map(|&byte| decode_alaw(byte))),
    }
}

/// 16-bit samples to payload, one byte for each; of PCMU, or else of PCMA.
pub fn encode(codec: Codec, pcm: &[i16]) -> Vec<u8> {
    match codec {
        Codec::Pcmu => pcm.iter().map(|&sample| encode_ulaw(sample)).collect(),
        _ => pcm.iter().map(|&sample| encode_alaw(sample)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_code_words() {
        assert_eq!(encode(Codec::Pcmu, &[0, 32_767, -32_768]), [0xff, 0x80, 0x00]);
        assert_eq!(encode(Codec::Pcma, &[0, 32_767, -32_768]), [0xd5, 0xaa, 0x2a]);
        assert_eq!(decode(Codec::Pcmu, &[0xff, 0x80, 0x00]), [0, 32_124, -32_124]);
        assert_eq!(decode(Codec::Pcma, &[0xd5, 0xaa, 0x2a]), [8, 32_256, -32_256]);
    }

    #[test]
    fn every_code_word_survives_decoding_and_encoding() {
        for codec in [Codec::Pcma, Codec::Pcmu] {
            for byte in 0..=u8::MAX {
                let pcm = decode(codec, &[byte]);
                // µ-law has two zeros.
                assert_eq!(decode(codec, &encode(codec, &pcm)), pcm, "{codec:?} {byte:#04x}");
            }
        }
    }

    #[test]
    fn error_stays_within_the_quantisation_step() {
        for codec in [Codec::Pcma, Codec::Pcmu] {
            for sample in (-32_000..=32_000).step_by(7) {
                let decoded = decode(codec, &encode(codec, &[sample]))[0];
                let error = (i32::from(decoded) - i32::from(sample)).abs();
                assert!(error <= i32::from(sample).abs() / 16 + 16, "{codec:?}: {sample} became {decoded}");
            }
        }
    }
}
