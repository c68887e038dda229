# Pairs of WAVs (mono, 16 bits), what was sent and what was heard: prints PESQ of each pair, narrow band at 8 kHz and wide
# band at 16 kHz.
import sys, wave
import numpy as np
from pesq import pesq


def read(path):
    with wave.open(path) as wav:
        return np.frombuffer(wav.readframes(wav.getnframes()), np.int16).astype(np.float64), wav.getframerate()


for sent, heard in zip(sys.argv[1::2], sys.argv[2::2]):
    (a, rate), (b, _) = read(sent), read(heard)
    length = 1 << (len(a) + len(b)).bit_length()
    lag = int(np.argmax(np.fft.irfft(np.fft.rfft(b, length) * np.conj(np.fft.rfft(a, length)), length)))
    b = b[lag:] if lag < len(b) else b
    n = min(len(a), len(b))
    print(pesq(rate, a[:n] / 32768, b[:n] / 32768, "nb" if rate == 8000 else "wb"))
