#!/usr/bin/env python3
"""Exports XTTS v2 as the bundle that the secretary speaks with: ONNX graphs, embeddings, vocabulary and manifest.toml.

    export.py WEIGHTS BUNDLE [--int8 | --fp16]

WEIGHTS is the folder of the published model: config.json, model.pth, vocab.json. Its built-in speakers, if there, are not exported: a
voice is computed of recordings. The README beside this file says what is needed and what the licence allows.

B is the batch, D the width of the token model, S the positions of one run, P those before it, T frames of a spectrum.
"""

import argparse
import copy
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

OPSET = 17
SAMPLE_RATE_HZ = 24_000
MEL_BANDS = 80
SPEAKER_MEL_BANDS = 64
# Of the languages the model speaks, those that the secretary knows, the usual one first.
LANGUAGES = ("ru", "en")
WEIGHTS = ("config.json", "model.pth", "vocab.json")


@dataclass(frozen=True)
class Licence:
    """What the manifest says of the weights, and so of what is spoken with them."""

    name: str
    commercial_use: bool


CPML = Licence("CPML 1.0 (Coqui Public Model License): non-commercial use only, of the outputs too", commercial_use=False)


class ConditioningEncoder(nn.Module):
    """How the token model hears a voice: mel [B, 80, T] to latents [B, 32, D]."""

    def __init__(self, xtts):
        super().__init__()
        self.gpt = xtts.gpt

    def forward(self, mel):
        return self.gpt.get_style_emb(mel).transpose(1, 2)


class SpeakerEncoder(nn.Module):
    """How the vocoder hears a voice: power mel [B, 64, T] to a unit vector [B, speaker_dim, 1]. Logarithm and norm are inside."""

    def __init__(self, xtts):
        super().__init__()
        self.network = copy.deepcopy(xtts.hifigan_decoder.speaker_encoder)
        # The spectrum is the host's.
        self.network.use_torch_spec = False

    def forward(self, mel):
        # A copy, since the network squeezes what it is given.
        return self.network(mel.clone(), l2_norm=True).unsqueeze(2)


class TokenModel(nn.Module):
    """The transformer, for the prefix and for each token behind it; embeddings and positions are the host's.

    embeds [B, S, D], mask [B, P + S] of 0 and 1, then for each layer past key and value [B, heads, P, head_dim]
    to logits [B, S, audio_tokens], latents [B, S, D] for the vocoder, and for each layer present key and value
    [B, heads, P + S, head_dim].

    Written out, since the cache and mask classes of transformers cannot be traced.
    """

    def __init__(self, xtts):
        super().__init__()
        gpt = xtts.gpt
        self.blocks, self.last_norm = gpt.gpt.h, gpt.gpt.ln_f
        self.latent_norm, self.head = gpt.final_norm, gpt.mel_head
        self.heads = gpt.heads

    def forward(self, embeds, mask, *past):
        bias = self.attention_bias(mask, embeds.shape[1])
        x, present = embeds, []
        for block, key, value in zip(self.blocks, past[0::2], past[1::2]):
            heard, key, value = self.attend(block.attn, block.ln_1(x), bias, key, value)
            x = x + heard
            x = x + affine(block.mlp.c_proj, block.mlp.act(affine(block.mlp.c_fc, block.ln_2(x))))
            present += (key, value)
        latents = self.latent_norm(self.last_norm(x))
        return (self.head(latents), latents, *present)

    @staticmethod
    def attention_bias(mask, new):
        """0 for what a position may see, a large negative number for the future and for padding: [B, 1, S, P + S]."""
        position = torch.arange(mask.shape[1])
        not_later = position <= position[mask.shape[1] - new :].unsqueeze(1)
        allowed = not_later & (mask > 0.5)[:, None, None]
        # Not infinite: a padded query sees nothing, and a softmax of nothing is not a number.
        return torch.where(allowed, 0.0, -1e9)

    def attend(self, attention, x, bias, past_key, past_value):
        batch, new, dim = x.shape
        projected = affine(attention.c_attn, x).view(batch, new, 3, self.heads, dim // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind()
        key, value = torch.cat((past_key, key), dim=2), torch.cat((past_value, value), dim=2)
        scores = query @ key.transpose(2, 3) * (dim // self.heads) ** -0.5
        heard = torch.softmax(scores + bias, dim=3) @ value
        return affine(attention.c_proj, heard.transpose(1, 2).reshape(batch, new, dim)), key, value


def affine(layer, x):
    """The «Conv1D» of transformers as a matrix product and a sum, which quantisers know, unlike Gemm."""
    return x @ layer.weight + layer.bias


class Vocoder(nn.Module):
    """Latents [B, N, D] to sound [B, 1, floor(640 N / 147) * 256]: the whole decoder, only to compare with."""

    def __init__(self, xtts):
        super().__init__()
        self.decoder = xtts.hifigan_decoder

    def forward(self, latents, speaker):
        upsampled = latents.transpose(1, 2)
        for factor in (
            self.decoder.ar_mel_length_compression / self.decoder.output_hop_length,
            self.decoder.output_sample_rate / self.decoder.input_sample_rate,
        ):
            upsampled = nn.functional.interpolate(upsampled, scale_factor=[factor], mode="linear")
        return self.decoder.waveform_decoder(upsampled, g=speaker)


class VocoderFrames(nn.Module):
    """Frames [B, D, F], 93.75 a second, to sound [B, 1, 256 F]: HiFi-GAN alone.

    The host interpolates the latents, each frame at its place in the whole utterance, and may then cut them anywhere.
    """

    def __init__(self, xtts):
        super().__init__()
        self.generator = xtts.hifigan_decoder.waveform_decoder

    def forward(self, frames, speaker):
        return self.generator(frames, g=speaker)


@dataclass(frozen=True)
class Graph:
    """A module and how it is traced. `inputs` are examples by name; `axes` names those that may have any length."""

    file: str
    module: nn.Module
    inputs: dict
    axes: dict

    def write(self, folder):
        names = list(self.inputs)
        with torch.no_grad():
            torch.onnx.export(
                self.module.eval(),
                tuple(self.inputs.values()),
                str(folder / self.file),
                input_names=names,
                output_names=[name for name in self.axes if name not in self.inputs],
                dynamic_axes=self.axes,
                opset_version=OPSET,
                dynamo=False,
            )


def graphs_of(xtts):
    """The graphs by role; in the manifest are those that the host runs."""
    args = xtts.args
    dim, heads, speaker_dim = args.gpt_n_model_channels, args.gpt_n_heads, args.d_vector_dim
    past = [f"past_{part}_{layer}" for layer in range(args.gpt_layers) for part in ("key", "value")]
    present = [name.replace("past", "present") for name in past]
    speaker = torch.randn(1, speaker_dim, 1)
    return {
        "conditioning_encoder": Graph(
            "conditioning_encoder.onnx",
            ConditioningEncoder(xtts),
            {"mel_spectrogram": torch.randn(1, MEL_BANDS, 120)},
            {"mel_spectrogram": {0: "batch", 2: "frames"}, "cond_latents": {0: "batch"}},
        ),
        "speaker_encoder": Graph(
            "speaker_encoder.onnx",
            SpeakerEncoder(xtts),
            {"mel_spec": torch.rand(1, SPEAKER_MEL_BANDS, 200) + 0.1},
            {"mel_spec": {0: "batch", 2: "frames"}, "speaker_embedding": {0: "batch"}},
        ),
        "gpt": Graph(
            "gpt_model.onnx",
            TokenModel(xtts),
            {
                "inputs_embeds": torch.randn(2, 3, dim),
                "attention_mask": torch.ones(2, 8),
                **{name: torch.randn(2, heads, 5, dim // heads) for name in past},
            },
            {
                "inputs_embeds": {0: "batch", 1: "new"},
                "attention_mask": {0: "batch", 1: "all"},
                **{name: {0: "batch", 2: "past"} for name in past},
                "logits": {0: "batch", 1: "new"},
                "hidden_states": {0: "batch", 1: "new"},
                **{name: {0: "batch", 2: "all"} for name in present},
            },
        ),
        "vocoder_frames": Graph(
            "hifigan_frames.onnx",
            VocoderFrames(xtts),
            {"frames": torch.randn(1, dim, 87), "speaker_embedding": speaker},
            {"frames": {0: "batch", 2: "frames"}, "speaker_embedding": {0: "batch"}, "waveform": {0: "batch", 2: "samples"}},
        ),
        "vocoder": Graph(
            "hifigan_vocoder.onnx",
            Vocoder(xtts),
            {"latents": torch.randn(1, 20, dim), "speaker_embedding": speaker},
            {"latents": {0: "batch", 1: "tokens"}, "speaker_embedding": {0: "batch"}, "waveform": {0: "batch", 2: "samples"}},
        ),
    }


# The whole vocoder does the same as `vocoder_frames`, and nobody runs it.
NOT_IN_MANIFEST = ("vocoder",)


def arrays_of(xtts):
    """What is a table, by role: float32, C order."""
    gpt = xtts.gpt
    tables = {
        "mel_stats": ("mel_stats.npy", xtts.mel_stats),
        "text_embedding": ("embeddings/text_embedding.npy", gpt.text_embedding.weight),
        "text_pos_embedding": ("embeddings/text_pos_embedding.npy", gpt.text_pos_embedding.emb.weight),
        "mel_embedding": ("embeddings/mel_embedding.npy", gpt.mel_embedding.weight),
        "mel_pos_embedding": ("embeddings/mel_pos_embedding.npy", gpt.mel_pos_embedding.emb.weight),
    }
    return {role: (file, np.ascontiguousarray(table.detach().numpy(), np.float32)) for role, (file, table) in tables.items()}


def fuse_weight_norm(module):
    """Makes plain weights of normed ones. HiFi-GAN's own `remove_weight_norm` fails at its first convolution, which has none."""
    for part in module.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight")


def to_int8(file, quantised):
    """The weights of matrix products as integers, a scale for each column: for processors."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    options = {"MatMulConstBOnly": True}
    quantize_dynamic(
        file, quantised, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, per_channel=True, extra_options=options
    )


def to_fp16(file, halved):
    """Half precision within, single precision at the inputs and outputs: for graphics cards."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(file), keep_io_types=True), halved)


PRECISIONS = {"int8": to_int8, "fp16": to_fp16}


def write_bundle(xtts, vocab, folder, name, licence, precision=None):
    """Writes the bundle of a model in inference mode.

    `vocab` is the file of its tokenizer, `precision` a key of PRECISIONS or nothing for float32. What is in the folder is replaced.
    """
    folder = Path(folder)
    (folder / "embeddings").mkdir(parents=True, exist_ok=True)
    fuse_weight_norm(xtts.hifigan_decoder.waveform_decoder)
    roles = {"graphs": {}, "files": {"vocab": "vocab.json"}}
    for role, graph in graphs_of(xtts).items():
        graph.write(folder)
        if role not in NOT_IN_MANIFEST:
            roles["graphs"][role] = graph.file
    if precision:
        whole, roles["graphs"]["gpt"] = roles["graphs"]["gpt"], f"gpt_model_{precision}.onnx"
        PRECISIONS[precision](folder / whole, folder / roles["graphs"]["gpt"])
        (folder / whole).unlink()
    for role, (file, table) in arrays_of(xtts).items():
        np.save(folder / file, table)
        roles["files"][role] = file
    if Path(vocab).resolve() != (folder / "vocab.json").resolve():
        shutil.copyfile(vocab, folder / "vocab.json")
    (folder / "manifest.toml").write_text(manifest(xtts, name, licence, roles, folder), encoding="utf-8")


def manifest(xtts, name, licence, roles, folder):
    """The text of manifest.toml. `roles` has file names by section and role."""
    sections = {
        "": {
            "kind": "xtts",
            "name": name,
            "licence": licence.name,
            "commercial_use": licence.commercial_use,
            "languages": [language for language in LANGUAGES if language in xtts.config.languages],
            "sample_rate_hz": SAMPLE_RATE_HZ,
        },
        "dimensions": dimensions(xtts),
        "sampling": sampling(xtts.config),
    }
    for section, files in roles.items():
        for role, file in files.items():
            digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
            sections[f"{section}.{role}"] = {"file": file, "sha256": digest}
    return "\n".join(toml_section(title, values) for title, values in sections.items())


def dimensions(xtts):
    """Numbers of the model as its config.json has them: a text has fewer ids than `max_text_tokens`, and speech ends after
    `max_audio_tokens` - 3 tokens at the latest. Seconds end with `_s`."""
    args, config = xtts.args, xtts.config
    return {
        "n_layer": args.gpt_layers,
        "n_heads": args.gpt_n_heads,
        "model_dim": args.gpt_n_model_channels,
        "head_dim": args.gpt_n_model_channels // args.gpt_n_heads,
        "cond_latents": xtts.gpt.conditioning_perceiver.latents.shape[0],
        "speaker_dim": args.d_vector_dim,
        "audio_tokens": args.gpt_num_audio_tokens,
        "start_audio_token": args.gpt_start_audio_token,
        "stop_audio_token": args.gpt_stop_audio_token,
        "start_text_token": args.gpt_start_text_token,
        "stop_text_token": args.gpt_stop_text_token,
        "max_text_tokens": args.gpt_max_text_tokens,
        "max_audio_tokens": args.gpt_max_audio_tokens,
        "gpt_cond_len_s": config.gpt_cond_len,
        "gpt_cond_chunk_len_s": config.gpt_cond_chunk_len,
        "max_ref_len_s": config.max_ref_len,
    }


def sampling(config):
    """How tokens are drawn, by the model's config. Its length penalty is left out: it is for beams, and there are none."""
    keys = ("temperature", "top_k", "top_p", "repetition_penalty")
    return {**{key: getattr(config, key) for key in keys}, "seed": 1}


def toml_section(title, values):
    lines = [f"[{title}]"] if title else []
    return "\n".join([*lines, *(f"{key} = {toml_value(value)}" for key, value in values.items()), ""])


def toml_value(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def load(weights):
    """The model of a folder with WEIGHTS.

    coqui-tts writes the model.pth of the first release anew in a form that is loaded without pickled classes.
    """
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts

    config = XttsConfig()
    config.load_json(str(weights / "config.json"))
    xtts = Xtts.init_from_config(config)
    xtts.load_checkpoint(config, checkpoint_dir=str(weights), speaker_file_path="", eval=True)
    return xtts


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("bundle", type=Path)
    precision = parser.add_mutually_exclusive_group()
    for name, convert in PRECISIONS.items():
        what = f"the token model: {convert.__doc__.split('.')[0]}"
        precision.add_argument(f"--{name}", dest="precision", action="store_const", const=name, help=what)
    given = parser.parse_args(arguments)
    missing = [file for file in WEIGHTS if not (given.weights / file).is_file()]
    if missing:
        parser.error(f"{given.weights} has no {', '.join(missing)}: all three are published with the model")
    write_bundle(load(given.weights), given.weights / "vocab.json", given.bundle, "XTTS v2", CPML, given.precision)


if __name__ == "__main__":
    main()
