#!/usr/bin/env python3
"""Takes random weights the way of the trained ones, through export.py, and compares each bundle with PyTorch.

    rehearse.py FOLDER

FOLDER/weights is made as the published folder is: config.json, model.pth, vocab.json. Token layers are few and narrow; what no option
makes smaller, vocoder and speaker encoder, has its full size. If it is there already, such as a link to trained weights, it is taken.
"""

import argparse
from pathlib import Path

import torch
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models.xtts import Xtts

import export
from check import check
from golden import write_golden
from make_tiny import SEED, randomise, tiny_config, train_vocabulary, write_clips

SPEAKER_DIM = 512
# The part by which the token model may differ.
DIFFERENCE = {None: 1e-5, "fp16": 0.005, "int8": 0.05}


class Untrained(Xtts):
    """As it is when training begins: with the sizes of the vocabulary at hand."""

    def init_models(self):
        self.tokenizer = VoiceBpeTokenizer(self.config.model_args.tokenizer_file)
        super().init_models()


def write_weights(folder):
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.json"
    train_vocabulary(vocabulary)
    config = tiny_config()
    config.model_args.d_vector_dim = SPEAKER_DIM
    config.model_args.tokenizer_file = str(vocabulary)
    xtts = Untrained(config)
    randomise(xtts)
    config.model_args.tokenizer_file = ""
    config.save_json(str(folder / "config.json"))
    torch.save({"model": xtts.state_dict()}, folder / "model.pth")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.manual_seed(SEED)
    if not (folder / "weights").exists():
        write_weights(folder / "weights")
    golden = folder / "golden"
    golden.mkdir(exist_ok=True)
    write_golden(export.load(folder / "weights"), golden, *write_clips(golden))
    for precision, difference in DIFFERENCE.items():
        print(f"-- {precision or 'float32'}")
        bundle = folder / (precision or "float32")
        export.main([str(folder / "weights"), str(bundle), *([f"--{precision}"] if precision else [])])
        check(bundle, golden, difference)


if __name__ == "__main__":
    main()
