"""Distortions of a wave (samples,), float32 at 16 kHz, by a microphone and its amplifier. No chance is in them."""

from __future__ import annotations

import numpy as np

from affetto.audio.samples import RATE_HZ

PIVOT_HZ = 1_000.0
"""Frequency that a tilt leaves as it is."""
LOWEST_HZ = 50.0
"""Frequency below which a tilt goes on level."""
RINGING = RATE_HZ // 10
"""Samples of silence behind a wave, into which the tilted spectrum may ring instead of into its beginning."""


def amplified(samples: np.ndarray, gain_db: float) -> np.ndarray:
    """The wave louder by some decibels, beyond full scale where they lead there."""
    return (samples * np.float32(10.0 ** (gain_db / 20))).astype(np.float32)


def clipped(samples: np.ndarray, share: float) -> np.ndarray:
    """The wave with this share of its samples, the largest, cut at one level; the loudness falls by what is cut."""
    limit = float(np.quantile(np.abs(samples), 1 - share)) if len(samples) else 0.0
    return np.clip(samples, -limit, limit).astype(np.float32)


def tilted(samples: np.ndarray, octave_db: float) -> np.ndarray:
    """The wave with its spectrum tilted by some decibels an octave, as loud as before."""
    spectrum = np.fft.rfft(samples.astype(np.float64), len(samples) + RINGING)
    frequencies = np.fft.rfftfreq(len(samples) + RINGING, 1 / RATE_HZ)
    octaves = np.log2(np.maximum(frequencies, LOWEST_HZ) / PIVOT_HZ)
    wave = np.fft.irfft(spectrum * 10.0 ** (octave_db * octaves / 20), len(samples) + RINGING)[: len(samples)]
    power = float(np.mean(wave**2))
    gain = np.sqrt(float(np.mean(samples.astype(np.float64) ** 2)) / power) if power > 0 else 1.0
    return (gain * wave).astype(np.float32)
