#!/usr/bin/env python3
"""Speaks with a bundle as a host does, by numpy and ONNX Runtime alone, and compares it with the golden values.

    check.py BUNDLE [GOLDEN]

GOLDEN is the folder BUNDLE/golden if not told. Prints the largest difference of each value; fails where one is too large.
"""

import argparse
import math
import tomllib
import wave
from pathlib import Path

import numpy as np
import onnxruntime

GPT_HZ, SPEAKER_HZ, VOICE_HZ = 22_050, 16_000, 24_000
TOKEN_SAMPLES, FRAME_SAMPLES = 1_024, 256
LEAST_SECONDS = 0.33
# Frames that HiFi-GAN sees on either side of its own, at most.
CONTEXT = 14
PREFIX_ID = 1


# ---- Hearing a voice


def read_wav(path):
    """Rate and samples of a mono WAV of 16 bits, -1 to 1."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2), path
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32_768


def resample(sound, from_hz, to_hz):
    """As torchaudio's `resample` by default: a sinc under a Hann window, six zero crossings, cut off at 0.99 of half the lower rate."""
    if from_hz == to_hz:
        return sound
    common = math.gcd(from_hz, to_hz)
    old, new = from_hz // common, to_hz // common
    cutoff = 0.99 * min(old, new)
    width = math.ceil(6 * old / cutoff)
    taps = np.arange(-width, width + old) / old
    t = np.clip((taps[None] - np.arange(new)[:, None] / new) * cutoff, -6, 6)
    kernels = np.sinc(t) * np.cos(t * np.pi / 12) ** 2 * cutoff / old
    padded = np.pad(sound, (width, width + old))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernels.shape[1])[::old]
    return (windows @ kernels.T).reshape(-1)[: math.ceil(len(sound) * new / old)].astype(np.float32)


def power_spectrum(sound, fft, hop, window):
    """Centred frames with mirrored ends, [fft / 2 + 1, 1 + samples // hop]; a window shorter than the transform is in its middle."""
    before = (fft - len(window)) // 2
    window = np.pad(window, (before, fft - len(window) - before))
    padded = np.pad(sound.astype(np.float64), fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, fft)[::hop]
    return np.abs(np.fft.rfft(frames * window)).T ** 2


def mel_filters(rate_hz, fft, bands, highest_hz, slaney_norm):
    """Triangles on HTK's scale from 0 to `highest_hz`, [bands, fft / 2 + 1]."""
    edges = 700 * (10 ** (np.linspace(0, 2_595 * np.log10(1 + highest_hz / 700), bands + 2) / 2_595) - 1)
    bins = np.linspace(0, rate_hz // 2, fft // 2 + 1)
    left, peak, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.maximum(0, np.minimum((bins - left) / (peak - left), (right - bins) / (right - peak)))
    return triangles * 2 / (right - left) if slaney_norm else triangles


def cosine_window(length, a, b):
    """A periodic one: Hann for 0.5 and 0.5, Hamming for 0.54 and 0.46."""
    return a - b * np.cos(2 * np.pi * np.arange(length) / length)


def gpt_mel(sound, mel_stats):
    """Sound at 22,050 Hz to [1, 80, T] for the conditioning encoder."""
    power = power_spectrum(sound, 2_048, 256, cosine_window(1_024, 0.5, 0.5))
    mel = mel_filters(GPT_HZ, 2_048, 80, 8_000, slaney_norm=True) @ power
    return (np.log(np.maximum(mel, 1e-5)) / mel_stats[:, None])[None].astype(np.float32)


def speaker_mel(sound):
    """Sound at 16,000 Hz to [1, 64, T] for the speaker encoder: power, no logarithm."""
    before = np.concatenate((sound[1:2], sound[:-1]))
    power = power_spectrum(sound - 0.97 * before, 512, 160, cosine_window(400, 0.54, 0.46))
    return (mel_filters(SPEAKER_HZ, 512, 64, SPEAKER_HZ / 2, slaney_norm=False) @ power)[None].astype(np.float32)


# ---- The bundle


class Bundle:
    def __init__(self, folder):
        self.folder = folder
        manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
        self.dimensions, self.sampling = manifest["dimensions"], manifest["sampling"]
        self.graphs = {role: self.session(entry["file"]) for role, entry in manifest["graphs"].items()}
        files = {role: entry["file"] for role, entry in manifest["files"].items()}
        self.arrays = {role: np.load(folder / file) for role, file in files.items() if file.endswith(".npy")}
        self.gpt_inputs = [node.name for node in self.graphs["gpt"].get_inputs()]

    def session(self, file):
        return onnxruntime.InferenceSession(self.folder / file, providers=["CPUExecutionProvider"])

    def run(self, role, **inputs):
        return self.graphs[role].run(None, inputs)

    # -- a voice

    def load(self, path):
        """A recording as the graphs hear it: 22,050 Hz, no longer than max_ref_len."""
        rate_hz, sound = read_wav(path)
        sound = np.clip(resample(sound, rate_hz, GPT_HZ), -1, 1)
        return sound[: GPT_HZ * self.dimensions["max_ref_len_s"]]

    def conditioning(self, clips):
        """Latents [1, 32, D]: the mean over pieces of all clips in a row, a short last one counting as much as the others."""
        piece = GPT_HZ * self.dimensions["gpt_cond_chunk_len_s"]
        sound = np.concatenate(clips)[: GPT_HZ * self.dimensions["gpt_cond_len_s"]]
        pieces = [sound[at : at + piece] for at in range(0, len(sound), piece)]
        mels = [gpt_mel(each, self.arrays["mel_stats"]) for each in pieces if len(each) >= GPT_HZ * LEAST_SECONDS]
        return np.mean([self.run("conditioning_encoder", mel_spectrogram=mel)[0] for mel in mels], axis=0)

    def speaker(self, clips):
        """Embedding [1, speaker_dim, 1]: the mean over clips, not normed again."""
        mels = [speaker_mel(resample(clip, GPT_HZ, SPEAKER_HZ)) for clip in clips]
        return np.mean([self.run("speaker_encoder", mel_spec=mel)[0] for mel in mels], axis=0)

    # -- tokens

    def prefix(self, latents, ids):
        """Embeddings [1, S, D] of the voice, the text and the token that starts."""
        sizes, arrays = self.dimensions, self.arrays
        ids = [sizes["start_text_token"], *ids, sizes["stop_text_token"]]
        text = arrays["text_embedding"][ids] + arrays["text_pos_embedding"][: len(ids)]
        return np.concatenate((latents, text[None], self.embedded(sizes["start_audio_token"], 0)), axis=1)

    def embedded(self, token, position):
        return (self.arrays["mel_embedding"][token] + self.arrays["mel_pos_embedding"][position])[None, None]

    def step(self, embeds, mask, cache):
        """Logits and latents of all positions of `embeds`, and the cache with them."""
        logits, latents, *cache = self.graphs["gpt"].run(None, dict(zip(self.gpt_inputs, (embeds, mask, *cache))))
        return logits, latents, cache

    def no_cache(self):
        sizes = self.dimensions
        return [np.zeros((1, sizes["n_heads"], 0, sizes["head_dim"]), np.float32)] * (2 * sizes["n_layer"])

    def penalised(self, logits, seen):
        """What was seen before is less likely; the prefix counts as id 1 and the token that starts."""
        seen, penalty = sorted(seen), self.sampling["repetition_penalty"]
        logits = logits.copy()
        logits[seen] = np.where(logits[seen] < 0, logits[seen] * penalty, logits[seen] / penalty)
        return logits

    def speak(self, latents, ids, most=None, forced=None):
        """Tokens with the one that stops, logits and latents of each step: the likeliest ones, `most` of them, or those `forced`."""
        sizes = self.dimensions
        embeds, cache = self.prefix(latents, ids), self.no_cache()
        all_positions, seen = embeds.shape[1], {PREFIX_ID, sizes["start_audio_token"]}
        tokens, all_logits, all_latents = [], [], []
        most = len(forced) if forced else most or sizes["max_audio_tokens"] - 3
        while len(tokens) < most:
            logits, hidden, cache = self.step(embeds, np.ones((1, all_positions), np.float32), cache)
            all_logits.append(logits[0, -1])
            all_latents.append(hidden[0, -1])
            token = forced[len(tokens)] if forced else int(self.penalised(logits[0, -1], seen).argmax())
            tokens.append(token)
            seen.add(token)
            if token == sizes["stop_audio_token"]:
                break
            embeds = self.embedded(token, len(tokens))
            all_positions += 1
        return tokens, np.stack(all_logits), np.stack(all_latents)[None]

    def probabilities(self, logits, seen):
        """Of the next token: penalty, temperature, the likeliest k, the fewest of them that have p of the probability."""
        sampling = self.sampling
        logits = self.penalised(logits, seen).astype(np.float64) / sampling["temperature"]
        order = np.argsort(-logits, kind="stable")[: sampling["top_k"]]
        chances = np.exp(logits[order] - logits[order[0]])
        chances /= chances.sum()
        kept = np.cumsum(chances) - chances < sampling["top_p"]
        answer = np.zeros(len(logits))
        answer[order[kept]] = chances[kept] / chances[kept].sum()
        return answer

    # -- sound

    def vocode(self, latents, speaker, piece):
        """Sound of latents [1, N, D], `piece` frames at a time."""
        frames = vocoder_frames(latents[0])
        heard = []
        for begin in range(0, len(frames), piece):
            end, first = min(begin + piece, len(frames)), max(begin - CONTEXT, 0)
            window = np.ascontiguousarray(frames[first : end + CONTEXT].T[None])
            sound = self.run("vocoder_frames", frames=window, speaker_embedding=speaker)[0][0, 0]
            heard.append(sound[(begin - first) * FRAME_SAMPLES : (end - first) * FRAME_SAMPLES])
        return np.concatenate(heard)


def interpolated(values, count, factor):
    """Linear between the values [n, D], `count` of them, `factor` to one. What keeps its number stays as it is, as in PyTorch."""
    if count == len(values):
        return values
    place = np.maximum((np.arange(count, dtype=np.float32) + np.float32(0.5)) * np.float32(1 / factor) - np.float32(0.5), 0)
    left = np.minimum(place.astype(np.int64), len(values) - 1)
    right = np.minimum(left + 1, len(values) - 1)
    part = (place - left).astype(np.float32)[:, None]
    return values[left] * (1 - part) + values[right] * part


def vocoder_frames(latents):
    """Latents [N, D], 21.5 a second, to frames [F, D], 93.75 a second."""
    by_four = TOKEN_SAMPLES // FRAME_SAMPLES
    finer = interpolated(latents, len(latents) * by_four, by_four)
    return interpolated(finer, len(finer) * VOICE_HZ // GPT_HZ, VOICE_HZ / GPT_HZ)


# ---- Comparing


class Comparison:
    def __init__(self, golden):
        self.golden, self.failed = golden, []

    def value(self, name):
        return np.load(self.golden / f"{name}.npy")

    def hold(self, name, ours, allowed=1e-5, golden=None):
        """Compares with the value of that name, or with the one given. Allowed is that part of the largest golden value."""
        golden = self.value(name) if golden is None else golden
        ours = np.asarray(ours)
        assert ours.shape == golden.shape, f"{name}: {ours.shape}, expected {golden.shape}"
        difference, largest = np.abs(ours - golden).max(), np.abs(golden).max()
        print(f"{name:28} {str(ours.shape):16} differs by {difference:.2g} of {largest:.3g}, allowed {allowed * largest:.2g}")
        if not difference <= allowed * largest:
            self.failed.append(name)

    def verdict(self):
        if self.failed:
            raise SystemExit(f"too different: {', '.join(self.failed)}")


def check(folder, golden, of_tokens=1e-5):
    """Fails unless the bundle says what the reference said.

    The token model may differ by the part `of_tokens`; with more than the usual one, tokens are told to it and not compared.
    """
    bundle, compare = Bundle(folder), Comparison(golden)
    hold, value = compare.hold, compare.value

    clip_a, clip_b, other = (bundle.load(golden / f"{name}.wav") for name in ("clip_a", "clip_b", "other_rate"))
    stats, piece = bundle.arrays["mel_stats"], GPT_HZ * bundle.dimensions["gpt_cond_chunk_len_s"]
    # torchaudio computes its sinc, windows and spectra in single precision.
    hold("clip_a_16k", resample(clip_a, GPT_HZ, SPEAKER_HZ)[None], 5e-5)
    hold("other_rate_22k", other[None], 5e-5)
    hold("gpt_mel", gpt_mel(clip_a[:piece], stats), 5e-5)
    hold("other_rate_gpt_mel", gpt_mel(other, stats), 5e-5)
    hold("speaker_mel", speaker_mel(resample(clip_a, GPT_HZ, SPEAKER_HZ)), 5e-5)
    hold("other_rate_speaker_mel", speaker_mel(resample(other, GPT_HZ, SPEAKER_HZ)), 5e-5)

    hold("cond_latents_b", bundle.conditioning([clip_b]), 5e-5)
    hold("cond_latents_a", bundle.conditioning([clip_a]), 5e-5)
    hold("cond_latents_ab", bundle.conditioning([clip_a, clip_b]), 5e-5)
    hold("speaker_a", bundle.speaker([clip_a]), 5e-5)
    hold("speaker_ab", bundle.speaker([clip_a, clip_b]), 5e-5)

    ids, codes = value("text_ids").tolist(), value("codes").tolist()
    latents, speaker = value("cond_latents_ab"), value("speaker_ab")
    forced = codes if of_tokens > 1e-5 else None
    tokens, logits, hidden = bundle.speak(latents, ids, len(codes), forced)
    print(f"{len(tokens)} tokens for {len(ids)} of text, {'told' if forced else f'equal: {tokens == codes}'}")
    if tokens != codes:
        compare.failed.append("codes")
    hold("logits_first", logits[0], of_tokens)
    hold("logits_last", logits[-1], of_tokens)
    hold("gpt_latents", hidden, of_tokens)
    check_batch(bundle, lambda *values, **options: hold(*values, of_tokens, **options), latents, ids, codes)
    seen = {PREFIX_ID, bundle.dimensions["start_audio_token"], *codes[:-1]}
    hold("probabilities_last", bundle.probabilities(value("logits_last"), seen))

    hidden = value("gpt_latents")
    hold("waveform", bundle.vocode(hidden, speaker, piece=29)[None, None])
    for few in sorted(int(path.stem.split("_")[1]) for path in golden.glob("waveform_*.npy")):
        hold(f"waveform_{few}", bundle.vocode(hidden[:, :few], speaker, piece=29)[None, None])
    whole = bundle.session("hifigan_vocoder.onnx").run(None, {"latents": hidden, "speaker_embedding": speaker})[0]
    hold("waveform by hifigan_vocoder", whole, 2e-5, golden=value("waveform"))
    compare.verdict()


def check_batch(bundle, hold, latents, ids, codes):
    """Two utterances of different length in one step, the shorter one padded on the left, against each alone."""
    single, caches, embeds = [], [], []
    for text, spoken in ((ids, codes[:3]), (ids[: len(ids) // 2], codes[:1])):
        prefix = bundle.prefix(latents, text)
        for n, token in enumerate(spoken):
            prefix = np.concatenate((prefix, bundle.embedded(token, n + 1)), axis=1)
        before, last = prefix[:, :-1], prefix[:, -1:]
        cache = bundle.step(before, np.ones(before.shape[:2], np.float32), bundle.no_cache())[2]
        single.append(bundle.step(last, np.ones(prefix.shape[:2], np.float32), cache)[0])
        caches.append(cache)
        embeds.append(last)
    longest = max(cache[0].shape[2] for cache in caches)
    mask = np.ones((2, longest + 1), np.float32)
    padded = []
    for row, cache in enumerate(caches):
        padding = longest - cache[0].shape[2]
        mask[row, :padding] = 0
        # Padding that is not zero must not be heard either.
        padded.append([np.pad(part, ((0, 0), (0, 0), (padding, 0), (0, 0)), constant_values=7) for part in cache])
    together = [np.concatenate(parts) for parts in zip(*padded)]
    hold("batch of two, padded left", bundle.step(np.concatenate(embeds), mask, together)[0], golden=np.concatenate(single))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("golden", type=Path, nargs="?")
    given = parser.parse_args()
    check(given.bundle, given.golden or given.bundle / "golden")


if __name__ == "__main__":
    main()
