"""piper-tts for voices.rs: a line with a sentence is answered by a line with the seconds to its first sound, to its last, and of sound.

usage: beside.py MODEL THREADS
"""

import sys
import time

import onnxruntime
from piper import PiperVoice


def main(model, threads):
    # It takes as many threads as there are cores, and pins them: an affinity of the process does not hold them back.
    usual = onnxruntime.SessionOptions

    def options():
        options = usual()
        options.intra_op_num_threads = threads
        return options

    onnxruntime.SessionOptions = options
    voice = PiperVoice.load(model)
    for line in sys.stdin:
        began, first, samples, rate = time.perf_counter(), None, 0, 1
        for chunk in voice.synthesize(line.strip()):
            first = first or time.perf_counter() - began
            samples, rate = samples + len(chunk.audio_int16_array), chunk.sample_rate
        print(first, time.perf_counter() - began, samples / rate, flush=True)


main(sys.argv[1], int(sys.argv[2]))
