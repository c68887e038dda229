"""What the PyTorch reference says: the values that a host of the bundle is held to, one .npy each, float32 or int64 in C order.

tests/data/xtts/README.md has the list. Everything begins with WAVs of 16 bits and goes the way coqui-tts goes itself.
"""

import numpy as np
import torch
import torchaudio
from TTS.tts.models.xtts import load_audio, wav_to_mel_cloning
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

TEXT, LANGUAGE = "здравствуйте, меня зовут лидия. чем я могу вам помочь?", "ru"
REFERENCE_HZ, SPEAKER_HZ = 22_050, 16_000
# The ids that stand for the prefix while the reference generates; the repetition penalty sees them.
PREFIX_ID = 1
MOST_TOKENS = 70
# Sounds of so many first tokens; with two the reference does not interpolate, since the number of frames stays the same.
FEW_TOKENS = (1, 2, 3, 7, 20)


def gpt_mel(xtts, sound):
    return wav_to_mel_cloning(
        sound, mel_norms=xtts.mel_stats, n_fft=2048, hop_length=256, win_length=1024, power=2, normalized=False,
        sample_rate=REFERENCE_HZ, f_min=0, f_max=8000, n_mels=80,
    )


def hears(xtts, clips):
    """Latents and speaker embedding of some recordings, as coqui-tts computes them for a call of `synthesize`."""
    config = xtts.config
    return xtts.get_conditioning_latents(
        [str(clip) for clip in clips], max_ref_length=config.max_ref_len, gpt_cond_len=config.gpt_cond_len,
        gpt_cond_chunk_len=config.gpt_cond_chunk_len,
    )


def generate(xtts, latents, ids, **options):
    """Greedy tokens [1, N], the one that stops included if it came."""
    penalty = xtts.config.repetition_penalty
    return xtts.gpt.generate(
        cond_latents=latents, text_inputs=ids, do_sample=False, num_beams=1, repetition_penalty=penalty,
        max_new_tokens=MOST_TOKENS, **options,
    )


def token_latents(xtts, latents, ids, codes):
    """What the vocoder is given, [1, N, D]: for each token, the one that stops included, the state that it was drawn from."""
    lengths = torch.tensor([ids.shape[1]]), torch.tensor([codes.shape[1] * xtts.gpt.code_stride_len])
    return xtts.gpt(ids, lengths[0], codes, lengths[1], cond_latents=latents, return_latent=True)


def text_ids(xtts):
    return torch.tensor([xtts.tokenizer.encode(TEXT, lang=LANGUAGE)])


def stop_in_time(xtts, clips, at_least):
    """Draws the weights of the token that stops until the greedy speech of random weights ends by itself, after `at_least` tokens."""
    latents, _ = hears(xtts, clips)
    ids, stop, head = text_ids(xtts), xtts.gpt.stop_audio_token, xtts.gpt.mel_head
    codes = generate(xtts, latents, ids, suppress_tokens=[stop])
    hidden = token_latents(xtts, latents, ids, codes)[0]
    best = torch.tensor(best_scores(xtts, head(hidden), codes[0].tolist()))
    while True:
        head.weight[stop].normal_(0, head.weight.std().item())
        # How much the token lacks at each step; it is first enough where that is less than ever before.
        lacks = best - head(hidden)[:, stop]
        nearest = lacks.argmin().item()
        if nearest >= at_least:
            second = lacks[:nearest].min()
            head.bias[stop] += (lacks[nearest] + second) / 2
            return


def best_scores(xtts, logits, codes):
    """What each of the greedy tokens scored, after the repetition penalty."""
    seen, penalty = {PREFIX_ID, xtts.gpt.start_audio_token}, xtts.config.repetition_penalty
    scores = []
    for step, code in zip(logits, codes):
        score = step[code].item()
        if code in seen:
            score = score / penalty if score > 0 else score * penalty
        scores.append(score)
        seen.add(code)
    return scores


def probabilities(xtts, logits, seen):
    """Of the next token [audio_tokens], after penalty, temperature, top k and top p in the order of transformers."""
    config = xtts.config
    steps = LogitsProcessorList([
        RepetitionPenaltyLogitsProcessor(config.repetition_penalty),
        TemperatureLogitsWarper(config.temperature),
        TopKLogitsWarper(config.top_k),
        TopPLogitsWarper(config.top_p),
    ])
    return torch.softmax(steps(torch.tensor([seen]), logits[None].clone()), dim=-1)[0]


@torch.no_grad()
def write_golden(xtts, folder, clip_a, clip_b, other_rate):
    """`clip_a` is longer than max_ref_len and gpt_cond_chunk_len, `clip_b` a little longer than the latter, `other_rate` is not at
    22,050 Hz."""

    def keep(name, value):
        value = value.numpy()
        kind = np.int64 if np.issubdtype(value.dtype, np.integer) else np.float32
        np.save(folder / f"{name}.npy", np.ascontiguousarray(value, kind))

    def cut(path, seconds):
        return load_audio(str(path), REFERENCE_HZ)[:, : REFERENCE_HZ * seconds]

    def at_16k(sound):
        return torchaudio.functional.resample(sound, REFERENCE_HZ, SPEAKER_HZ)

    config, speaker_encoder = xtts.config, xtts.hifigan_decoder.speaker_encoder
    whole_a, whole_other = cut(clip_a, config.max_ref_len), cut(other_rate, config.max_ref_len)
    keep("gpt_mel", gpt_mel(xtts, cut(clip_a, config.gpt_cond_chunk_len)))
    keep("clip_a_16k", at_16k(whole_a))
    keep("speaker_mel", speaker_encoder.torch_spec(at_16k(whole_a)))
    keep("other_rate_22k", whole_other)
    keep("other_rate_gpt_mel", gpt_mel(xtts, whole_other))
    keep("other_rate_speaker_mel", speaker_encoder.torch_spec(at_16k(whole_other)))

    one_piece, _ = hears(xtts, [clip_b])
    pieces, speaker = hears(xtts, [clip_a])
    latents, mean_speaker = hears(xtts, [clip_a, clip_b])
    keep("cond_latents_b", one_piece)
    keep("cond_latents_a", pieces)
    keep("cond_latents_ab", latents)
    keep("speaker_a", speaker)
    keep("speaker_ab", mean_speaker)

    ids = text_ids(xtts)
    codes = generate(xtts, latents, ids)
    hidden = token_latents(xtts, latents, ids, codes)
    logits = xtts.gpt.mel_head(hidden)[0]
    seen = [PREFIX_ID, xtts.gpt.start_audio_token, *codes[0, :-1].tolist()]
    keep("text_ids", ids[0])
    keep("codes", codes[0])
    keep("logits_first", logits[0])
    keep("logits_last", logits[-1])
    keep("probabilities_last", probabilities(xtts, logits[-1], seen))
    keep("gpt_latents", hidden)
    keep("waveform", xtts.hifigan_decoder(hidden, g=mean_speaker))
    for few in FEW_TOKENS:
        keep(f"waveform_{few}", xtts.hifigan_decoder(hidden[:, :few], g=mean_speaker).reshape(1, 1, -1))
    return codes.shape[1]
