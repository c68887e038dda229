"""Makes a bundle of the trained XTTS v2 weights: python export.py FOLDER BUNDLE [--bits 8|16|32]

FOLDER holds config.json, model.pth and vocab.json as they are published.
"""

import argparse
import pathlib

from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.models.xtts import Xtts

import graphs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("bundle", type=pathlib.Path)
    parser.add_argument("--bits", type=int, choices=(8, 16, 32), default=8, help="of the token model: 8 for a processor, 16 for a card")
    options = parser.parse_args()
    for name in ("config.json", "model.pth", "vocab.json"):
        if not (options.folder / name).is_file():
            parser.error(f"{options.folder / name} is missing; it is published with the weights")
    config = XttsConfig()
    config.load_json(str(options.folder / "config.json"))
    model = Xtts.init_from_config(config)
    model.load_checkpoint(config, checkpoint_dir=str(options.folder), eval=True)
    model.gpt.init_gpt_for_inference(kv_cache=True)
    graphs.export(model, options.bundle, name="XTTS v2", licence="CPML", commercial_use=False,
                  vocab=options.folder / "vocab.json", bits=options.bits)
    print(f"{options.bundle}: write it as `bundle` into a [[tts.voices]] of kind \"xtts\"")


if __name__ == "__main__":
    main()
