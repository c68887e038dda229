"""The parts of XTTS v2 as ONNX graphs, and the bundle that they make.

The bundle is a folder: manifest.toml names every file with its checksum, and tells the dimensions and how tokens are drawn.
"""

import hashlib
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

OPSET = 17
# Seconds of recordings that the token model hears, in pieces of so many: the defaults of the trained model's config.json.
REFERENCE = {"gpt_cond_len_s": 30, "gpt_cond_chunk_len_s": 4, "max_ref_len_s": 30}


class ConditioningEncoder(nn.Module):
    """mel_spectrogram [B, 80, T] -> cond_latents [B, 32, model_dim]."""

    def __init__(self, model):
        super().__init__()
        self.gpt = model.gpt

    def forward(self, mel):
        return self.gpt.get_style_emb(mel).transpose(1, 2)


class SpeakerEncoder(nn.Module):
    """mel_spec [B, 64, T] (power) -> speaker_embedding [B, speaker_dim, 1]. The spectrum is the host's."""

    def __init__(self, model):
        super().__init__()
        self.encoder = model.hifigan_decoder.speaker_encoder

    def forward(self, mel):
        spectrum, self.encoder.torch_spec = self.encoder.torch_spec, nn.Identity()
        try:
            return self.encoder(mel.clone(), l2_norm=True).unsqueeze(-1)
        finally:
            self.encoder.torch_spec = spectrum


class TokenModel(nn.Module):
    """The GPT-2 blocks, for the prefix and for each token after it.

    inputs_embeds [B, S, D], attention_mask [B, P + S] (1 or 0), past_key_i and past_value_i [B, H, P, D / H]
    -> logits [B, S, V], hidden_states [B, S, D], present_key_i and present_value_i [B, H, P + S, D / H].

    Written out because the cache and mask helpers of transformers cannot be traced.
    """

    def __init__(self, model):
        super().__init__()
        self.gpt = model.gpt
        self.heads = model.gpt.heads
        self.head_dim = model.gpt.model_dim // self.heads

    def forward(self, x, mask, *past):
        batch, new, dim = x.shape
        total = mask.shape[1]
        query = torch.arange(total - new, total).unsqueeze(1)
        key = torch.arange(total).unsqueeze(0)
        seen = (key <= query)[None, None] & (mask[:, None, None, :] > 0.5)
        bias = torch.where(seen, 0.0, -1e9).to(x.dtype)
        present = []
        for layer, block in enumerate(self.gpt.gpt.h):
            q, k, v = self.linear(block.attn.c_attn, block.ln_1(x)).split(dim, dim=2)
            q, k, v = (self.split(t, batch, new) for t in (q, k, v))
            k = torch.cat([past[2 * layer], k], dim=2)
            v = torch.cat([past[2 * layer + 1], v], dim=2)
            present += [k, v]
            weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(self.head_dim) + bias, dim=-1)
            heard = (weights @ v).transpose(1, 2).reshape(batch, new, dim)
            x = x + self.linear(block.attn.c_proj, heard)
            inner = block.mlp.act(self.linear(block.mlp.c_fc, block.ln_2(x)))
            x = x + self.linear(block.mlp.c_proj, inner)
        hidden = self.gpt.final_norm(self.gpt.gpt.ln_f(x))
        return (self.gpt.mel_head(hidden), hidden, *present)

    @staticmethod
    def linear(layer, x):
        # MatMul and Add rather than Gemm: quantisers know what to do with them.
        return torch.matmul(x, layer.weight) + layer.bias

    def split(self, x, batch, new):
        return x.reshape(batch, new, self.heads, self.head_dim).transpose(1, 2)


class VocoderFrames(nn.Module):
    """frames [B, model_dim, F] (93.75 a second), speaker_embedding -> waveform [B, 1, 256 F].

    HiFi-GAN alone: the host interpolates the latents, at each frame's place in the whole utterance.
    """

    def __init__(self, model):
        super().__init__()
        self.vocoder = model.hifigan_decoder.waveform_decoder

    def forward(self, frames, speaker):
        return self.vocoder(frames, g=speaker)


def export(model, folder, *, name, licence, commercial_use, vocab, bits=32):
    """Writes the bundle of a model; vocab is the path of its vocab.json."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    args, gpt = model.args, model.gpt
    layers, dim, heads = args.gpt_layers, args.gpt_n_model_channels, args.gpt_n_heads
    plain_weights(model.hifigan_decoder.waveform_decoder)
    head_dim, speaker = dim // heads, args.d_vector_dim
    past = [f"past_{part}_{n}" for n in range(layers) for part in ("key", "value")]
    present = [f"present_{part}_{n}" for n in range(layers) for part in ("key", "value")]

    graph(folder, "conditioning_encoder", ConditioningEncoder(model), [("mel_spectrogram", torch.randn(1, 80, 120), "B_T")],
          {"cond_latents": "B"})
    graph(folder, "speaker_encoder", SpeakerEncoder(model), [("mel_spec", torch.rand(1, 64, 200) + 0.1, "B_T")],
          {"speaker_embedding": "B"})
    cache = [(each, torch.randn(2, heads, 5, head_dim), "B_P") for each in past]
    graph(folder, "gpt", TokenModel(model),
          [("inputs_embeds", torch.randn(2, 3, dim), "BS"), ("attention_mask", torch.ones(2, 8), "BT"), *cache],
          {"logits": "BS", "hidden_states": "BS", **{each: "B_T" for each in present}})
    graph(folder, "vocoder_frames", VocoderFrames(model),
          [("frames", torch.randn(1, dim, 87), "B_F"), ("speaker_embedding", torch.randn(1, speaker, 1), "B")],
          {"waveform": "B_N"})
    quantise(folder / "gpt.onnx", bits)

    arrays = {
        "mel_stats": model.mel_stats,
        "text_embedding": gpt.text_embedding.weight,
        "text_pos_embedding": gpt.text_pos_embedding.emb.weight,
        "mel_embedding": gpt.mel_embedding.weight,
        "mel_pos_embedding": gpt.mel_pos_embedding.emb.weight,
    }
    for each, weights in arrays.items():
        np.save(folder / f"{each}.npy", np.ascontiguousarray(weights.detach().cpu().numpy(), dtype=np.float32))
    if pathlib.Path(vocab).resolve() != (folder / "vocab.json").resolve():
        (folder / "vocab.json").write_bytes(pathlib.Path(vocab).read_bytes())

    dimensions = {
        "n_layer": layers, "n_heads": heads, "model_dim": dim, "head_dim": head_dim,
        "cond_latents": 32, "speaker_dim": speaker,
        "audio_tokens": args.gpt_num_audio_tokens,
        "start_audio_token": args.gpt_start_audio_token, "stop_audio_token": args.gpt_stop_audio_token,
        "start_text_token": args.gpt_start_text_token, "stop_text_token": args.gpt_stop_text_token,
        "max_text_tokens": min(args.gpt_max_text_tokens, gpt.text_pos_embedding.emb.weight.shape[0]),
        "max_audio_tokens": args.gpt_max_audio_tokens,
        **REFERENCE,
    }
    write_manifest(folder, name, licence, commercial_use, dimensions, list(arrays))


def graph(folder, name, module, inputs, outputs):
    """Exports a module. The letters tell which axes are open, `_` which are not."""
    letters = {**{each: letters for each, _, letters in inputs}, **outputs}
    axes = {each: {n: letter for n, letter in enumerate(of) if letter != "_"} for each, of in letters.items()}
    with torch.no_grad():
        torch.onnx.export(
            module.eval(), tuple(sample for _, sample, _ in inputs), str(folder / f"{name}.onnx"),
            input_names=[each for each, _, _ in inputs], output_names=list(outputs), dynamic_axes=axes,
            opset_version=OPSET, dynamo=False, do_constant_folding=True,
        )


def plain_weights(module):
    """Takes off the weight norm. HiFi-GAN's own `remove_weight_norm` fails at its first convolution."""
    for each in module.modules():
        if nn.utils.parametrize.is_parametrized(each, "weight"):
            nn.utils.parametrize.remove_parametrizations(each, "weight")


def quantise(path, bits):
    """32: as it is; 16: half precision inside; 8: the matrices' weights as integers, for processors."""
    if bits == 8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(path, path, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"],
                         extra_options={"MatMulConstBOnly": True})
    elif bits == 16:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)


def write_manifest(folder, name, licence, commercial_use, dimensions, arrays):
    def entry(file):
        return f'{{ file = "{file}", sha256 = "{hashlib.sha256((folder / file).read_bytes()).hexdigest()}" }}'

    lines = [
        'kind = "xtts"', f'name = "{name}"', f'licence = "{licence}"',
        f"commercial_use = {str(commercial_use).lower()}", 'languages = ["ru", "en"]', "sample_rate_hz = 24000",
        "", "[dimensions]", *(f"{key} = {value}" for key, value in dimensions.items()),
        # The defaults of the trained model.
        "", "[sampling]", "temperature = 0.75", "top_k = 50", "top_p = 0.85", "repetition_penalty = 10.0", "seed = 1",
        "", "[graphs]",
        *(f'{each} = {entry(each + ".onnx")}' for each in ("conditioning_encoder", "speaker_encoder", "gpt", "vocoder_frames")),
        "", "[files]", f'vocab = {entry("vocab.json")}', *(f'{each} = {entry(each + ".npy")}' for each in arrays),
    ]
    (folder / "manifest.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def reference_sound(model, latents, speaker):
    """What the reference makes of latents [B, N, D]: interpolated twice, then HiFi-GAN."""
    decoder = model.hifigan_decoder
    frames = F.interpolate(latents.transpose(1, 2), scale_factor=[4.0], mode="linear")
    rate = decoder.output_sample_rate / decoder.input_sample_rate
    frames = F.interpolate(frames, scale_factor=[rate], mode="linear")
    return decoder.waveform_decoder(frames, g=speaker)
