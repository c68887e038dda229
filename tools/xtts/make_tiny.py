#!/usr/bin/env python3
"""Makes tests/data/xtts: an XTTS v2 with few and random weights, and what the PyTorch reference says of it.

    make_tiny.py [FOLDER]

What it speaks is noise, but by the same classes of coqui-tts, the same graphs and the same arithmetic as with the trained weights. Then
it speaks with what it wrote as a host does, and fails unless that agrees (check.py).
"""

import argparse
import shutil
import wave
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import nn
from TTS.encoder.models.resnet import ResNetSpeakerEncoder
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.layers.tortoise.autoregressive import ConditioningEncoder
from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder
from TTS.tts.layers.xtts.perceiver_encoder import PerceiverResampler
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models.xtts import Xtts

from check import check
from export import PRECISIONS, Licence, write_bundle
from golden import PREFIX_ID, stop_in_time, write_golden
from sentences import sentences

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "tests" / "data" / "xtts"
SEED = 20
LAYERS, HEADS, DIM, SPEAKER_DIM = 3, 4, 48, 32
VOCABULARY = 512
LEAST_TOKENS = 50
# Than what HiFi-GAN begins its training with, layer by layer.
LOUDER = 2.5
NO_LICENCE = Licence("random weights, made with coqui-tts (MPL-2.0)", commercial_use=True)


def train_vocabulary(file):
    """In the shape of the published vocab.json: byte pairs of whole letters, signs in brackets, no normaliser."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    signs = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{language}]" for language in XttsConfig().languages), "[START]"]
    letters = "abcdefghijklmnopqrstuvwxyzабвгдеёжзийклмнопрстуфхцчшщъыьэюя0123456789.,:;!?'()-—…«»"
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=signs, initial_alphabet=list(letters), limit_alphabet=len(letters), show_progress=False
    )
    cleaner = VoiceBpeTokenizer()
    tokenizer.train_from_iterator([cleaner.preprocess_text(text, language) for language, text in sentences()], trainer)
    tokenizer.save(str(file))


class TinyXtts(Xtts):
    """The reference, with those parts small whose size no option tells."""

    def __init__(self, config, vocabulary):
        self.vocabulary = str(vocabulary)
        super().__init__(config)

    def init_models(self):
        self.tokenizer = VoiceBpeTokenizer(self.vocabulary)
        super().init_models()
        self.gpt.conditioning_encoder = ConditioningEncoder(80, DIM, attn_blocks=2, num_attn_heads=HEADS)
        self.gpt.conditioning_perceiver = PerceiverResampler(
            dim=DIM, depth=2, dim_context=DIM, num_latents=32, dim_head=16, heads=HEADS, ff_mult=2
        )
        self.hifigan_decoder = HifiDecoder(decoder_input_dim=DIM, d_vector_dim=SPEAKER_DIM, upsample_initial_channel_decoder=32)
        self.hifigan_decoder.speaker_encoder = ResNetSpeakerEncoder(
            proj_dim=SPEAKER_DIM, layers=[1, 1, 1, 1], num_filters=[8, 8, 16, 16], log_input=True, use_torch_spec=True,
            audio_config=self.hifigan_decoder.speaker_encoder_audio_config,
        )


def tiny_config():
    """Few and narrow layers, and references so short that each limit is met by some seconds of sound."""
    config = XttsConfig(
        gpt_cond_len=4, gpt_cond_chunk_len=2, max_ref_len=3, temperature=0.75, repetition_penalty=10.0, top_k=50, top_p=0.85
    )
    args = config.model_args
    args.gpt_layers, args.gpt_n_heads, args.gpt_n_model_channels = LAYERS, HEADS, DIM
    args.decoder_input_dim, args.d_vector_dim = DIM, SPEAKER_DIM
    args.gpt_use_perceiver_resampler = True
    args.gpt_num_audio_tokens, args.gpt_start_audio_token, args.gpt_stop_audio_token = 1026, 1024, 1025
    return config


@torch.no_grad()
def randomise(xtts):
    """Weights with which everything matters: as training begins, the voice, the text and the places of tokens change next to nothing,
    and zeros and ones would hide errors."""
    gpt, generator = xtts.gpt, xtts.hifigan_decoder.waveform_decoder
    for name, weights in xtts.named_parameters():
        if "proj_out" in name:
            weights.normal_(0, 0.05)
        elif weights.dim() == 1:
            weights.add_(torch.randn_like(weights) * 0.05)
    for name, weights in gpt.gpt.h.named_parameters():
        if weights.dim() == 2:
            weights.normal_(0, weights.shape[0] ** -0.5)
    for table in (gpt.text_embedding, gpt.mel_embedding, gpt.text_pos_embedding.emb, gpt.mel_pos_embedding.emb):
        table.weight.normal_(0, 0.7)
    gpt.mel_head.weight.normal_(0, 0.3)
    # They would be spoken at once, but for the penalty that the prefix brings on them.
    gpt.mel_head.bias[[PREFIX_ID, gpt.start_audio_token]] += 8
    for name, weights in generator.named_parameters():
        # The norms of the weights, where those are apart.
        if name.endswith("original0"):
            weights.mul_(LOUDER)
    for part in xtts.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    xtts.mel_stats.copy_(torch.linspace(3, 8, len(xtts.mel_stats)))


def make_model(vocabulary):
    xtts = TinyXtts(tiny_config(), vocabulary)
    randomise(xtts)
    xtts.gpt.init_gpt_for_inference(kv_cache=True)
    # Not its own `eval()`, which builds that once more.
    return nn.Module.eval(xtts)


def voice(seconds, rate_hz, pitch_hz):
    """Something like a voice: harmonics of a moving pitch, louder near two formants, in syllables, with some breath. 16 bits."""
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * pitch_hz * (time + 0.01 * np.sin(2 * np.pi * 2.3 * time))
    sound = np.random.default_rng(pitch_hz).standard_normal(len(time)) * 0.03
    for harmonic in range(1, 4_000 // pitch_hz):
        hz = harmonic * pitch_hz
        sound += np.sin(harmonic * phase) * (np.exp(-(((hz - 600) / 250) ** 2)) + 0.5 * np.exp(-(((hz - 1_900) / 400) ** 2)) + 0.02)
    sound *= 0.55 + 0.45 * np.sin(2 * np.pi * 3.7 * time)
    return np.round(sound * 9_000).clip(-32_768, 32_767).astype("<i2")


def write_wav(file, rate_hz, samples):
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.tobytes())


def write_clips(golden):
    """Those that `write_golden` wants."""
    clips = {"clip_a": (3.3, 22_050, 150), "clip_b": (2.2, 22_050, 210), "other_rate": (1.0, 24_000, 180)}
    for name, (seconds, rate_hz, pitch_hz) in clips.items():
        write_wav(golden / f"{name}.wav", rate_hz, voice(seconds, rate_hz, pitch_hz))
    return [golden / f"{name}.wav" for name in clips]


def write_tokenizer(tokenizer, file):
    """Sentences with their ids: cleaned by coqui-tts, and raw, each behind its language and with [SPACE] for a space."""

    def joined(ids):
        return " ".join(map(str, ids))

    with open(file, "w", encoding="utf-8") as out:
        print("language", "text", "cleaned", "ids", "raw_ids", sep="\t", file=out)
        for language, text in sentences():
            raw = tokenizer.tokenizer.encode(f"[{language}]{text}".replace(" ", "[SPACE]")).ids
            cleaned, ids = tokenizer.preprocess_text(text, language), tokenizer.encode(text, language)
            print(language, text, cleaned, joined(ids), joined(raw), sep="\t", file=out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    golden = folder / "golden"
    shutil.rmtree(golden, ignore_errors=True)
    golden.mkdir(parents=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    train_vocabulary(folder / "vocab.json")
    xtts = make_model(folder / "vocab.json")
    clips = write_clips(golden)
    with torch.no_grad():
        stop_in_time(xtts, clips[:2], LEAST_TOKENS)
    write_bundle(xtts, folder / "vocab.json", folder, "tiny", NO_LICENCE)
    for precision, convert in PRECISIONS.items():
        convert(folder / "gpt_model.onnx", folder / f"gpt_model_{precision}.onnx")
    write_golden(xtts, golden, *clips)
    write_tokenizer(xtts.tokenizer, golden / "tokenizer.tsv")
    check(folder, golden)


if __name__ == "__main__":
    main()
