"""piper-tts for voices.rs: a line with a sentence is answered by a line with the seconds to its first sound, to its last, and of sound.

usage: piper.py MODEL
"""

import sys
import time

from piper import PiperVoice


def main(model):
    voice = PiperVoice.load(model)
    for line in sys.stdin:
        began, first, samples, rate = time.perf_counter(), None, 0, 1
        for chunk in voice.synthesize(line.strip()):
            first = first or time.perf_counter() - began
            samples, rate = samples + len(chunk.audio_int16_array), chunk.sample_rate
        print(first, time.perf_counter() - began, samples / rate, flush=True)


main(sys.argv[1])
