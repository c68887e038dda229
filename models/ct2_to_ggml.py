"""Whisper weights from CTranslate2's container (what faster-whisper loads) to whisper.cpp's ggml file.

Takes half-precision multilingual models, which covers every package in manifest.toml, and writes the same tensors as the
published ggml file, with the weight matrices bit for bit, or quantised. Left out: weights that come quantised, English-only
vocabularies.

Formats: CTranslate2 `model.bin` version 6 (python/ctranslate2/specs/model_spec.py of that project); ggml as read by
whisper.cpp's `whisper_model_load`.
"""

import math
import struct

import quantize

GGML_MAGIC = 0x67676D6C
F32, F16 = 0, 1
MULTILINGUAL_TOKENS = 50257  # text tokens; whisper.cpp adds the special ones itself
SAMPLE_RATE, FFT_SIZE = 16_000, 400
CT2_FLOAT16 = 4


class Reader:
    """Little-endian values from a buffer, one after the other."""

    def __init__(self, data):
        self.data, self.at = memoryview(data), 0

    def number(self, fmt):
        (value,) = struct.unpack_from("<" + fmt, self.data, self.at)
        self.at += struct.calcsize(fmt)
        return value

    def bytes(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def text(self):
        return bytes(self.bytes(self.number("H"))).rstrip(b"\0").decode()


class Tensor:
    """Half-precision numbers, row-major, still in the bytes they came in."""

    def __init__(self, shape, raw):
        self.shape, self.raw = list(shape), raw

    def rows(self, part, parts):
        """The part-th of `parts` equal groups of rows: the fused query, key and value are stacked that way."""
        rows, size = self.shape[0] // parts, len(self.raw) // parts
        return Tensor([rows, *self.shape[1:]], self.raw[part * size : (part + 1) * size])

    def column(self):
        return Tensor([self.shape[0], 1], self.raw)

    def as_f32(self):
        count = len(self.raw) // 2
        return struct.pack(f"<{count}f", *struct.unpack(f"<{count}e", self.raw))


def read_ct2(data):
    """All variables of a CTranslate2 model by name."""
    reader, variables = Reader(data), {}
    version = reader.number("I")
    if version != 6:
        raise ValueError(f"CTranslate2 container version {version}, expected 6")
    reader.text()  # the specification's name
    reader.number("I")  # its revision
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        kind = reader.number("B")
        raw = reader.bytes(reader.number("I"))
        if kind == CT2_FLOAT16:
            variables[name] = Tensor(shape, raw)
        elif shape:  # scalars of other types are settings; a tensor of another type is a quantised weight
            raise ValueError(f"{name} is not half precision")
    for _ in range(reader.number("I")):
        alias, target = reader.text(), reader.text()
        if target in variables:
            variables.setdefault(alias, variables[target])
    return variables


def ggml_tensors(ct2):
    """(name in whisper.cpp, tensor) in the order in which OpenAI's checkpoints list them."""

    def linear(to, source, part=0, parts=1, bias=True):
        yield f"{to}.weight", ct2[f"{source}/weight"].rows(part, parts)
        if bias:
            yield f"{to}.bias", ct2[f"{source}/bias"].rows(part, parts)

    def norm(to, source):
        yield f"{to}.weight", ct2[f"{source}/gamma"]
        yield f"{to}.bias", ct2[f"{source}/beta"]

    def block(side, index):
        to, source = f"{side}.blocks.{index}", f"{side}/layer_{index}"
        yield from norm(f"{to}.mlp_ln", f"{source}/ffn/layer_norm")
        yield from linear(f"{to}.mlp.0", f"{source}/ffn/linear_0")
        yield from linear(f"{to}.mlp.2", f"{source}/ffn/linear_1")
        yield from norm(f"{to}.attn_ln", f"{source}/self_attention/layer_norm")
        yield from linear(f"{to}.attn.query", f"{source}/self_attention/linear_0", 0, 3)
        yield from linear(f"{to}.attn.key", f"{source}/self_attention/linear_0", 1, 3, bias=False)
        yield from linear(f"{to}.attn.value", f"{source}/self_attention/linear_0", 2, 3)
        yield from linear(f"{to}.attn.out", f"{source}/self_attention/linear_1")
        if side == "decoder":
            yield from norm(f"{to}.cross_attn_ln", f"{source}/attention/layer_norm")
            yield from linear(f"{to}.cross_attn.query", f"{source}/attention/linear_0")
            yield from linear(f"{to}.cross_attn.key", f"{source}/attention/linear_1", 0, 2, bias=False)
            yield from linear(f"{to}.cross_attn.value", f"{source}/attention/linear_1", 1, 2)
            yield from linear(f"{to}.cross_attn.out", f"{source}/attention/linear_2")

    yield "decoder.positional_embedding", ct2["decoder/position_encodings/encodings"]
    yield "encoder.positional_embedding", ct2["encoder/position_encodings/encodings"]
    yield "decoder.token_embedding.weight", ct2["decoder/embeddings/weight"]
    for index in range(layers(ct2, "decoder")):
        yield from block("decoder", index)
    yield from norm("decoder.ln", "decoder/layer_norm")
    for conv in ("conv1", "conv2"):
        yield f"encoder.{conv}.weight", ct2[f"encoder/{conv}/weight"]
        yield f"encoder.{conv}.bias", ct2[f"encoder/{conv}/bias"].column()
    for index in range(layers(ct2, "encoder")):
        yield from block("encoder", index)
    yield from norm("encoder.ln_post", "encoder/layer_norm")


def layers(ct2, side):
    return len({name.split("/")[1] for name in ct2 if name.startswith(f"{side}/layer_") and "/layer_norm" not in name[:19]})


def token_bytes(vocabulary):
    """Tokens are written in GPT-2's alphabet, in which every byte is a printable character: back to bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
    return [bytes(alphabet[char] for char in token) for token in vocabulary]


def mel_filters(bands):
    """Triangular filters on Slaney's mel scale with unit area, as OpenAI's mel_filters.npz: bands x (FFT_SIZE/2 + 1)."""

    def hz(mel):  # linear below 1 kHz (mel 15), logarithmic above
        return 200.0 / 3.0 * mel if mel < 15.0 else 1000.0 * math.exp(math.log(6.4) / 27.0 * (mel - 15.0))

    top = 15.0 + math.log(SAMPLE_RATE / 2 / 1000.0) / (math.log(6.4) / 27.0)
    step = top / (bands + 1)
    edges = [*(hz(n * step) for n in range(bands + 1)), hz(top)]
    bins = [n * SAMPLE_RATE / FFT_SIZE for n in range(FFT_SIZE // 2 + 1)]
    values = []
    for low, centre, high in zip(edges, edges[1:], edges[2:]):
        for bin_hz in bins:
            slope = min((bin_hz - low) / (centre - low), (high - bin_hz) / (high - centre))
            values.append(single(max(0.0, slope)) * (2.0 / (high - low)))
    return struct.pack(f"<{len(values)}f", *values)


def single(value):
    """Rounded to single precision, in which the published filters were computed."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def convert(model, vocabulary, eight_bits=False):
    """The ggml file, in pieces to be written one after the other.

    model: the bytes of model.bin; vocabulary: its tokens in order, in GPT-2's alphabet; eight_bits: as q8_0.
    """
    ct2 = read_ct2(model)
    vocabulary_size, text_width = ct2["decoder/embeddings/weight"].shape
    audio_context, audio_width = ct2["encoder/position_encodings/encodings"].shape
    text_context = ct2["decoder/position_encodings/encodings"].shape[0]
    mel_bands = ct2["encoder/conv1/weight"].shape[1]
    head_width = 64  # in every Whisper model
    audio = (audio_context, audio_width, audio_width // head_width, layers(ct2, "encoder"))
    text = (text_context, text_width, text_width // head_width, layers(ct2, "decoder"))
    yield struct.pack("<12i", GGML_MAGIC, vocabulary_size, *audio, *text, mel_bands, quantize.FILE_KIND if eight_bits else F16)
    yield struct.pack("<2i", mel_bands, FFT_SIZE // 2 + 1) + mel_filters(mel_bands)
    tokens = token_bytes(vocabulary[:MULTILINGUAL_TOKENS])
    yield struct.pack("<i", len(tokens)) + b"".join(struct.pack("<i", len(token)) + token for token in tokens)
    for name, tensor in ggml_tensors(ct2):
        # whisper.cpp keeps vectors and positions in single precision, matrices in half
        full = len(tensor.shape) == 1 or tensor.shape[-1] == 1 or name.endswith("positional_embedding")
        eight = eight_bits and not full and len(tensor.shape) == 2
        encoded = name.encode()
        yield struct.pack("<3i", len(tensor.shape), len(encoded), F32 if full else quantize.TENSOR_KIND if eight else F16)
        yield struct.pack(f"<{len(tensor.shape)}i", *reversed(tensor.shape)) + encoded
        yield tensor.as_f32() if full else quantize.quantized(tensor.raw) if eight else tensor.raw
