"""Makes tests/data/xtts: a tiny XTTS v2 with random weights, and what the PyTorch reference says of it.

python make_tiny.py FOLDER

It is coqui-tts's own classes, 0.9 M parameters in place of 467 M. What it says is noise, but it says it by the same arithmetic.
"""

import argparse
import pathlib
import wave

import numpy as np
import torch
import torchaudio
from TTS.encoder.models.resnet import ResNetSpeakerEncoder
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models.xtts import Xtts, wav_to_mel_cloning
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import nn

import graphs
import sentences

DIM, SPEAKER, RATE_HZ = 64, 32, 22_050
LANGUAGES = "en es fr de it pt pl tr ru nl cs ar zh-cn ja hu ko hi".split()
LETTERS = "abcdefghijklmnopqrstuvwxyzабвгдеёжзийклмнопрстуфхцчшщъыьэюя.,!?-'"


def train_tokenizer(path):
    """In the shape of the trained model's vocab.json."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[STOP]", "[UNK]", "[SPACE]", "[START]", *(f"[{language}]" for language in LANGUAGES)]
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=special, initial_alphabet=list(LETTERS), show_progress=False)
    tokenizer.train_from_iterator([text.lower() for _, text in sentences.all_of_them()], trainer)
    tokenizer.save(str(path))


def tiny_model(vocab):
    """The reference, small."""
    config = XttsConfig()
    args = config.model_args
    args.gpt_num_audio_tokens, args.gpt_start_audio_token, args.gpt_stop_audio_token = 1026, 1024, 1025
    args.gpt_max_audio_tokens, args.gpt_max_text_tokens, args.gpt_max_prompt_tokens = 605, 402, 70
    args.gpt_use_perceiver_resampler = True
    args.gpt_layers, args.gpt_n_model_channels, args.gpt_n_heads = 3, DIM, 4
    args.decoder_input_dim, args.d_vector_dim = DIM, SPEAKER

    class Tiny(Xtts):
        def init_models(self):
            self.tokenizer = VoiceBpeTokenizer(str(vocab))
            super().init_models()
            # The published sizes of these two are written into the class.
            self.hifigan_decoder = HifiDecoder(
                input_sample_rate=RATE_HZ, output_sample_rate=24_000, output_hop_length=256, ar_mel_length_compression=1024,
                decoder_input_dim=DIM, d_vector_dim=SPEAKER, upsample_initial_channel_decoder=32,
                cond_d_vector_in_each_upsampling_layer=True,
            )
            audio = self.hifigan_decoder.speaker_encoder.audio_config
            self.hifigan_decoder.speaker_encoder = ResNetSpeakerEncoder(
                input_dim=64, proj_dim=SPEAKER, layers=[1, 1, 1, 1], num_filters=[8, 8, 16, 16], log_input=True,
                use_torch_spec=True, audio_config=audio,
            )

    model = Tiny(config)
    with torch.no_grad():
        # Layers that begin as zeros, and statistics of nothing, would agree whatever we do.
        for name, weights in model.named_parameters():
            if "proj_out" in name and weights.dim() > 1:
                weights.normal_(0, 0.05)
        model.mel_stats.copy_(torch.linspace(-8, -3, 80).abs())
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        model.gpt.mel_head.weight.normal_(0, 0.3)
    model.hifigan_decoder.eval()
    model.gpt.init_gpt_for_inference(kv_cache=True)
    model.gpt.eval()
    nn.Module.eval(model)
    return model


def clip(seconds, pitch_hz, seed):
    """Something like a voice, as it stands in a WAV of 16 bits."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    sound = 0.3 * np.sin(2 * np.pi * pitch_hz * time)
    sound += 0.1 * np.sin(2 * np.pi * 6.5 * pitch_hz * time) * np.sin(2 * np.pi * 3 * time)
    sound += 0.02 * rng.standard_normal(len(time))
    return np.round(sound * 32_767).astype(np.int16)


def write_wav(path, pcm):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(pcm.tobytes())


def write_golden(model, folder):
    golden = folder / "golden"
    golden.mkdir(exist_ok=True)

    def keep(name, value):
        value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        np.save(golden / f"{name}.npy", np.ascontiguousarray(value, dtype=np.float32))

    pcm = [clip(2.7, 150, 1), clip(2.2, 210, 2)]
    for n, each in enumerate(pcm, 1):
        write_wav(golden / f"clip_{n}.wav", each)
    clips = [torch.from_numpy(each.astype(np.float32) / 32_768)[None] for each in pcm]
    with torch.no_grad():
        mel = wav_to_mel_cloning(clips[0], mel_norms=model.mel_stats, n_fft=2048, hop_length=256, win_length=1024)
        keep("mel", mel)
        spoken = torchaudio.functional.resample(clips[0], RATE_HZ, 16_000)
        keep("resampled", spoken[:, :4_000])
        keep("speaker_mel", model.hifigan_decoder.speaker_encoder.torch_spec(spoken)[:, :, :100])
        # Both clips together are longer than one piece of 4 s.
        both = torch.cat(clips, dim=-1)
        latents = model.get_gpt_cond_latents(both, RATE_HZ, length=30, chunk_length=4)
        keep("cond_latents", latents)
        speaker = torch.stack([model.get_speaker_embedding(each, RATE_HZ) for each in clips]).mean(dim=0)
        keep("speaker", speaker)

        ids = torch.IntTensor(model.tokenizer.encode("здравствуйте, меня зовут лидия. чем могу помочь?", lang="ru"))[None]
        keep("text_ids", ids)
        codes = model.gpt.generate(cond_latents=latents, text_inputs=ids, do_sample=False, num_beams=1,
                                   repetition_penalty=10.0, max_new_tokens=120)
        count = codes.shape[1]
        keep("codes", codes)
        hidden = model.gpt(ids, torch.tensor([ids.shape[1]]), codes, torch.tensor([count * 1024]), cond_latents=latents,
                           return_latent=True)
        keep("latents", hidden)
        keep("waveform", graphs.reference_sound(model, hidden, speaker))
        # Not two: torch does not interpolate where the number of values stays the same.
        for few in (1, 7):
            keep(f"waveform_{few}", graphs.reference_sound(model, hidden[:, :few], speaker))
    print(f"{count} tokens, {ids.shape[1]} of text")


def write_tokens(model, path):
    """What the reference makes of sentences: language, text, numbers."""
    with open(path, "w", encoding="utf-8") as out:
        for language, text in sentences.all_of_them():
            ids = model.tokenizer.encode(text, lang=language)
            print(language, text, " ".join(map(str, ids)), sep="\t", file=out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1234)
    train_tokenizer(folder / "vocab.json")
    model = tiny_model(folder / "vocab.json")
    graphs.export(model, folder, name="tiny", licence="none: random numbers", commercial_use=True, vocab=folder / "vocab.json")
    write_golden(model, folder)
    write_tokens(model, folder / "golden" / "tokens.tsv")


if __name__ == "__main__":
    main()
