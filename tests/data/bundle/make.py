#!/usr/bin/env python3
"""Makes bundles whose answers are known: each of some tones is a letter. Needs numpy and onnx.

ctc: the inputs and outputs of GigaAM's CTC model. It averages the log-mel bands over four frames, takes the band in the middle of which
a letter's tone lies as the letter's score, and a constant loudness as the blank's.

transducer: those of GigaAM's RNN-T model. The encoder scores letters as the CTC graph does, so a tone is a letter in each of its
frames; what comes of it is up to the predictor, which forbids the letter that was the last one, and within a word (from one «▁» to the
next) a letter that came twice (state h) and all letters behind the sixth (state c).

stream: those of T-one. It takes 300 ms of sound at 8 kHz at a time and answers 240 ms late: the state is the sound of those 240 ms.
"""

import hashlib
import os

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, FLOAT16, INT32, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64
TOKENS = ["▁", *"авдеиклмнопрсту", "<blk>"]
LETTERS, BLANK = len(TOKENS) - 1, len(TOKENS) - 1
BANDS = 64
FIRST_BAND, BANDS_APART = 16, 2
RU = 'licence = "CC0"\nlanguages = ["ru"]\n'
MEL = f'mel = {{ fft = 320, hop = 160, bands = {BANDS}, scale = "htk", centered = false, floor = 1e-9 }}'


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), output.split(), **attributes)


def save(file, nodes, inputs, outputs, constants):
    """Inputs, outputs and constants by name; of the first two the type and the shape."""
    infos = [[helper.make_tensor_value_info(name, *info) for name, info in some.items()] for some in (inputs, outputs)]
    values = [numpy_helper.from_array(numpy.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tones", *infos, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)


def named(file):
    return f'file = "{file}"\nsha256 = "{hashlib.sha256(open(file, "rb").read()).hexdigest()}"\n'


def bundle(manifest):
    """Writes the rest of the bundle in this folder."""
    with open("tokens.txt", "w") as out:
        out.writelines(f"{token} {n}\n" for n, token in enumerate(TOKENS))
    kind, rest = manifest.split("\n", 1)
    with open("manifest.toml", "w") as out:
        out.write(f"{kind}\n{RU}{rest}\n[tokens]\n{named('tokens.txt')}blank = {BLANK}\n")


def within(folder):
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), folder)
    os.makedirs(here, exist_ok=True)
    os.chdir(here)


def scores(audio, length, tone_from):
    """The nodes and constants of a score for each token in each four frames, `[1, steps, tokens]`. A tone is what is louder than
    `tone_from`, a logarithm of power."""
    weights = numpy.zeros((BANDS, len(TOKENS)), dtype=numpy.float32)
    for letter in range(LETTERS):
        weights[FIRST_BAND + BANDS_APART * letter, letter] = 1
    bias = numpy.zeros(len(TOKENS), dtype=numpy.float32)
    bias[BLANK] = tone_from
    nodes = [
        node("Slice", f"{audio} zero {length} last_axis", "heard"),
        node("AveragePool", "heard", "pooled", kernel_shape=[4], strides=[4], ceil_mode=1),
        node("Transpose", "pooled", "frames", perm=[0, 2, 1]),
        node("MatMul", "frames weights", "unbiased"),
        node("Add", "unbiased bias", "scores"),
    ]
    return nodes, {"weights": weights, "bias": bias, "zero": [0], "last_axis": [2]}


def ctc():
    within("ctc")
    nodes, constants = scores("features", "feature_lengths", 0)
    save(
        "model.onnx",
        [*nodes, node("LogSoftmax", "scores", "log_probs", axis=-1)],
        {"features": (FLOAT, ["batch", BANDS, "frames"]), "feature_lengths": (INT64, ["batch"])},
        {"log_probs": (FLOAT, ["batch", "steps", len(TOKENS)])},
        constants,
    )
    bundle(f"""\
kind = "ctc"
rate_hz = 16000

[input]
name = "features"
length = "feature_lengths"
{MEL}

[graph]
{named("model.onnx")}
[output]
name = "log_probs"
""")


def transducer():
    within("transducer")
    nodes, constants = scores("audio_signal", "length", 4)
    save(
        "encoder.onnx",
        [
            *nodes,
            node("Transpose", "scores", "encoded", perm=[0, 2, 1]),
            node("Shape", "encoded", "steps", start=2),
            node("Cast", "steps", "encoded_len", to=INT32),
        ],
        {"audio_signal": (FLOAT, ["batch", BANDS, "frames"]), "length": (INT64, ["batch"])},
        {"encoded": (FLOAT, ["batch", len(TOKENS), "steps"]), "encoded_len": (INT32, ["batch"])},
        constants,
    )
    embeddings = numpy.eye(len(TOKENS), LETTERS, dtype=numpy.float32)
    # 0 at the beginning of a word, where both states begin anew, and 1 elsewhere.
    goes_on = numpy.ones((len(TOKENS), 1), dtype=numpy.float32)
    goes_on[0] = 0
    # «▁» is none of the letters that are counted.
    counted = numpy.array([0, *[1] * (LETTERS - 1)], dtype=numpy.float32)
    save(
        "predictor.onnx",
        [
            node("Gather", "embeddings x", "last"),
            node("Gather", "goes_on x", "same_word"),
            node("Mul", "last counted", "letter"),
            node("Add", "h.1 letter", "letters_so_far"),
            node("Mul", "letters_so_far same_word", "h"),
            node("ReduceSum", "letter last_axis", "one", keepdims=1),
            node("Add", "c.1 one", "length_so_far"),
            node("Mul", "length_so_far same_word", "c"),
            node("GreaterOrEqual", "h twice", "used_up"),
            node("GreaterOrEqual", "c six", "long"),
            node("Cast", "counted", "is_letter", to=TensorProto.BOOL),
            node("And", "long is_letter", "over"),
            node("Or", "used_up over", "never"),
            node("Cast", "last", "is_last", to=TensorProto.BOOL),
            node("Or", "never is_last", "forbidden"),
            node("Cast", "forbidden", "dec", to=FLOAT),
        ],
        {"x": (INT64, [1, 1]), "h.1": (FLOAT, [1, 1, LETTERS]), "c.1": (FLOAT, [1, 1, 1])},
        {"dec": (FLOAT, [1, 1, LETTERS]), "h": (FLOAT, [1, 1, LETTERS]), "c": (FLOAT, [1, 1, 1])},
        {
            "embeddings": embeddings,
            "goes_on": goes_on,
            "counted": counted,
            "twice": numpy.float32(2),
            "six": numpy.float32(6),
            "last_axis": [2],
        },
    )
    save(
        "joiner.onnx",
        [
            node("Transpose", "enc", "heard", perm=[0, 2, 1]),
            node("Transpose", "dec", "forbidden", perm=[0, 2, 1]),
            node("MatMul", "forbidden penalties", "penalty"),
            node("Add", "heard penalty", "allowed"),
            node("Unsqueeze", "allowed second", "scores"),
            node("LogSoftmax", "scores", "joint", axis=-1),
        ],
        {"enc": (FLOAT, [1, len(TOKENS), 1]), "dec": (FLOAT, [1, LETTERS, 1])},
        {"joint": (FLOAT, [1, 1, 1, len(TOKENS)])},
        {"penalties": numpy.eye(LETTERS, len(TOKENS), dtype=numpy.float32) * -100, "second": [1]},
    )
    bundle(f"""\
kind = "transducer"
rate_hz = 16000

[input]
name = "audio_signal"
length = "length"
{MEL}

[encoder]
{named("encoder.onnx")}output = "encoded"

[predictor]
{named("predictor.onnx")}token = "x"
output = "dec"
state = [{{ input = "h.1", output = "h" }}, {{ input = "c.1", output = "c" }}]

[joiner]
{named("joiner.onnx")}encoder = "enc"
predictor = "dec"
output = "joint"
""")


def stream():
    within("stream")
    rate, piece, frame, late = 8_000, 2_400, 240, 1_920

    def hertz(band):
        mel = 2_595 * numpy.log10(1 + 8_000 / 700) * (band + 1) / (BANDS + 1)
        return 700 * (10 ** (mel / 2_595) - 1)

    radians = [2 * numpy.pi * hertz(FIRST_BAND + BANDS_APART * letter) / rate for letter in range(LETTERS)]
    waves = [node("Mul", "radians samples", "phases")]
    for wave in ("Cos", "Sin"):
        waves += [
            node(wave, "phases", f"{wave}_kernel"),
            node("Conv", f"channel {wave}_kernel", f"{wave}_part", strides=[frame]),
            node("Mul", f"{wave}_part {wave}_part", f"{wave}_power"),
        ]
    save(
        "model.onnx",
        [
            node("Cast", "signal", "integers", to=FLOAT),
            node("Squeeze", "integers last_axis", "loud"),
            node("Mul", "loud scale", "sound"),
            node("Cast", "state", "before", to=FLOAT),
            node("Concat", "before sound", "all", axis=1),
            node("Slice", "all zero piece second_axis", "heard"),
            node("Slice", "all piece end second_axis", "late"),
            node("Cast", "late", "state_next", to=FLOAT16),
            node("Unsqueeze", "heard second_axis", "channel"),
            *waves,
            node("Add", "Cos_power Sin_power", "power"),
            node("Max", "power floor", "audible"),
            node("Log", "audible", "loudness"),
            node("Transpose", "loudness", "letters", perm=[0, 2, 1]),
            node("Pad", "letters blank_behind tone_from", "scores"),
            node("LogSoftmax", "scores", "logprobs", axis=-1),
        ],
        {"signal": (INT32, ["batch", piece, 1]), "state": (FLOAT16, ["batch", late])},
        {"logprobs": (FLOAT, ["batch", piece // frame, len(TOKENS)]), "state_next": (FLOAT16, ["batch", late])},
        {
            "radians": numpy.array(radians, dtype=numpy.float32).reshape(LETTERS, 1, 1),
            "samples": numpy.arange(frame, dtype=numpy.float32),
            "scale": numpy.float32(1 / 32_768),
            "floor": numpy.float32(1e-9),
            # A letter's tone in less than half of a frame is none.
            "tone_from": numpy.float32(5.5),
            "blank_behind": [0, 0, 0, 0, 0, 1],
            "zero": [0],
            "second_axis": [1],
            "last_axis": [2],
            "piece": [piece],
            "end": [piece + late],
        },
    )
    bundle(f"""\
kind = "ctc"
rate_hz = {rate}

[input]
name = "signal"

[stream]
samples = {piece}
delay_s = {late / rate}
state = [{{ input = "state", output = "state_next" }}]

[graph]
{named("model.onnx")}
[output]
name = "logprobs"
""")


ctc()
transducer()
stream()
