#!/usr/bin/env python3
"""Makes a bundle whose answer is known: each of some tones is a letter. Needs numpy and onnx.

The graph has the inputs and outputs of a CTC model such as GigaAM: it averages the log-mel bands over four frames, takes the band
in the middle of which a letter's tone lies as the letter's score, and a constant loudness as the blank's.
"""

import hashlib

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

BANDS = 64
TOKENS = ["▁", *"авдеиклмнопрсту", "<blk>"]
FIRST_BAND, BANDS_APART = 16, 2
# The logarithm of the power from which on there is a tone.
TONE_FROM = 0.0

weights = numpy.zeros((BANDS, len(TOKENS)), dtype=numpy.float32)
for token in range(len(TOKENS) - 1):
    weights[FIRST_BAND + BANDS_APART * token, token] = 1
bias = numpy.zeros(len(TOKENS), dtype=numpy.float32)
bias[-1] = TONE_FROM

nodes = [
    helper.make_node("Slice", ["features", "zero", "feature_lengths", "last_axis"], ["heard"]),
    helper.make_node("AveragePool", ["heard"], ["pooled"], kernel_shape=[4], strides=[4], ceil_mode=1),
    helper.make_node("Transpose", ["pooled"], ["frames"], perm=[0, 2, 1]),
    helper.make_node("MatMul", ["frames", "weights"], ["scores"]),
    helper.make_node("Add", ["scores", "bias"], ["logits"]),
    helper.make_node("LogSoftmax", ["logits"], ["log_probs"], axis=-1),
]
constants = {"weights": weights, "bias": bias, "zero": numpy.array([0]), "last_axis": numpy.array([2])}
graph = helper.make_graph(
    nodes,
    "tones",
    [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", BANDS, "frames"]),
        helper.make_tensor_value_info("feature_lengths", TensorProto.INT64, ["batch"]),
    ],
    [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, ["batch", "steps", len(TOKENS)])],
    [numpy_helper.from_array(value, name) for name, value in constants.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "model.onnx")
with open("tokens.txt", "w") as out:
    out.writelines(f"{token} {n}\n" for n, token in enumerate(TOKENS))


def sha256(file):
    return hashlib.sha256(open(file, "rb").read()).hexdigest()


with open("manifest.toml", "w") as out:
    out.write(f"""\
kind = "ctc"
licence = "CC0"
languages = ["ru"]
rate_hz = 16000

[graph]
file = "model.onnx"
sha256 = "{sha256('model.onnx')}"

[tokens]
file = "tokens.txt"
sha256 = "{sha256('tokens.txt')}"
blank = {TOKENS.index('<blk>')}

[input]
name = "features"
length = "feature_lengths"
mel = {{ fft = 320, hop = 160, bands = {BANDS}, scale = "htk", centered = false, floor = 1e-9 }}

[output]
name = "log_probs"
""")
