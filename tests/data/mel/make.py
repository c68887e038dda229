#!/usr/bin/env python3
"""Makes the values that spectra are held to: whisper.tsv for src/engine/end_of_turn/features.rs, htk.tsv for src/engine/mel.rs.

Needs numpy and transformers (their versions are written into the files). whisper.tsv is of Whisper's own feature extractor for
8 s, given the sound as Smart Turn gets it: silence in front, mean 0 and variance 1. htk.tsv is what CTC models such as GigaAM see:
the natural logarithm of filters on HTK's scale, no end mirrored.
"""

import numpy
import transformers
from transformers import audio_utils

RATE_HZ = 16_000


def sound(samples):
    """Noise and a triangle that grow louder for a second and begin again, as whole numbers of 16 bits."""
    state, values = 1, []
    for n in range(samples):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        noise = (state >> 20) - 2_048
        triangle = abs(n * 37 % 2_000 - 1_000) * 12 - 6_000
        value = (noise + triangle) * (n % RATE_HZ)
        values.append(value // RATE_HZ if value >= 0 else -(-value // RATE_HZ))
    return numpy.array(values, dtype=numpy.int16)


def head(out, columns):
    print(f"# transformers {transformers.__version__}, numpy {numpy.__version__}", file=out)
    print("#", *columns, sep="\t", file=out)


extractor = transformers.WhisperFeatureExtractor(chunk_length=8)
with open("whisper.tsv", "w") as out:
    head(out, ["samples", "band", "frame", "value"])
    for samples in [3 * RATE_HZ + 77, 9 * RATE_HZ]:
        heard = sound(samples)[-8 * RATE_HZ:].astype(numpy.float32) / 32_768
        heard = numpy.pad(heard, (8 * RATE_HZ - len(heard), 0))
        features = extractor(heard, sampling_rate=RATE_HZ, return_tensors="np", padding="max_length",
                             max_length=8 * RATE_HZ, truncation=True, do_normalize=True).input_features[0]
        assert features.shape == (80, 800)
        for band in range(0, 80, 7):
            for frame in [0, 1, 2, 400, 499, 500, 501, *range(510, 800, 13), 797, 798, 799]:
                print(samples, band, frame, f"{features[band, frame]:.5f}", sep="\t", file=out)

filters = audio_utils.mel_filter_bank(161, 64, 0, RATE_HZ / 2, RATE_HZ, norm=None, mel_scale="htk")
heard = sound(RATE_HZ).astype(numpy.float64) / 32_768
spectrum = audio_utils.spectrogram(
    heard, audio_utils.window_function(320, "hann"), frame_length=320, hop_length=160, power=2, center=False,
    mel_filters=filters, mel_floor=1e-9, log_mel="log")
assert spectrum.shape == (64, 99)
with open("htk.tsv", "w") as out:
    head(out, ["band", "frame", "value"])
    for band in range(0, 64, 3):
        for frame in range(0, 99, 7):
            print(band, frame, f"{spectrum[band, frame]:.5f}", sep="\t", file=out)
