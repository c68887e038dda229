"""Whisper's matrices in eight bits (q8_0), as whisper.cpp's own `quantize` program writes them, byte for byte.

A row is cut into blocks of 32 numbers with a scale each; products are rounded to single precision, as they are there. Format:
`quantize_row_q8_0_ref` in ggml/src/ggml-quants.c of that project. Left out: five bits, which are not faster and of which the
published files cannot be made again byte for byte.
"""

import struct
from array import array

FILE_KIND = 2007  # version 2 of the block formats, kind 7
TENSOR_KIND = 8
BLOCK = 32
AT_ONCE = 1 << 16  # numbers


def quantized(raw):
    """Half-precision numbers, row-major with rows of whole blocks, as the bytes of a quantised tensor."""
    pieces = []
    for at in range(0, len(raw), 2 * AT_ONCE):
        piece = raw[at : at + 2 * AT_ONCE]
        numbers = struct.unpack(f"<{len(piece) // 2}e", piece)
        pieces.extend(block(numbers[n : n + BLOCK]) for n in range(0, len(numbers), BLOCK))
    return b"".join(pieces)


def block(numbers):
    (scale,) = single([max(max(numbers), -min(numbers)) / 127])
    (inverse,) = single([1.0 / scale if scale else 0.0])
    scaled = single([number * inverse for number in numbers])
    # halves away from zero
    return struct.pack("<e32b", scale, *[int(v + 0.5) if v >= 0 else int(v - 0.5) for v in scaled])


def single(values):
    """Rounded to single precision."""
    return array("f", values)
