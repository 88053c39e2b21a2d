"""Speech-like sounds: syllables of harmonics under formants; the same sentence in takes of their own."""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr

RATE_HZ = 16_000


def babble(sentence: int, take: int = 0, syllables: int = 14) -> np.ndarray:
    """Some 2 s, float32 (samples,). Formants are the sentence's; pitch, timing and noise are the take's."""
    words, voice = np.random.default_rng((1, sentence)), np.random.default_rng((2, sentence, take))
    pitch_hz, parts = voice.uniform(140, 200), []
    for _ in range(syllables):
        formants, strength = words.uniform((250, 800), (800, 2400)), words.uniform(0.3, 1)
        samples = int(voice.uniform(0.11, 0.19) * RATE_HZ)
        pitch_hz *= voice.uniform(0.9, 1.1)
        harmonics = pitch_hz * np.arange(1, 20)
        levels = np.exp(-(((harmonics[:, None] - formants) / 200) ** 2)).sum(axis=1) + 0.02
        phases = 2 * np.pi * harmonics[:, None] * np.arange(samples) / RATE_HZ
        parts.append(strength * np.hanning(samples) * (levels[:, None] * np.sin(phases)).sum(axis=0))
    wave = np.concatenate(parts)
    wave += 0.002 * voice.standard_normal(len(wave))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def stored(
    wave: np.ndarray, kind: str = "WAV", subtype: str = "PCM_16", *, rate_hz: int = RATE_HZ, channels: int = 1
) -> bytes:
    """The file of a wave (samples,) of 16 kHz in another format, at another rate or in several equal channels."""
    samples = wave if rate_hz == RATE_HZ else soxr.resample(wave, RATE_HZ, rate_hz, quality="HQ")
    file = io.BytesIO()
    soundfile.write(file, np.repeat(samples[:, None], channels, axis=1), rate_hz, format=kind, subtype=subtype)
    return file.getvalue()
