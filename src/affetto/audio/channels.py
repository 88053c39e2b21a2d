"""Paths of sound from a speaker to a recording: a room's echo, noise, a telephone line. Waves are float32 at 16 kHz."""

from __future__ import annotations

import numpy as np
import soxr
from scipy.signal import butter, fftconvolve, sosfilt

from affetto.audio.samples import RATE_HZ

TELEPHONE_RATE_HZ = 8_000
TELEPHONE_BAND_HZ = (300.0, 3_400.0)
TELEPHONE_ORDER = 4
"""Order of the filter at each end of the band."""
MU = 255
"""Constant of the µ-law (ITU-T G.711)."""


def impulse_response(seconds: float, direct_db: float, random: np.random.Generator) -> np.ndarray:
    """Response of a synthetic room, (samples,): a direct sound of 1, and noise that falls by 60 dB in `seconds`.

    `direct_db` is the level of the direct sound above that of the whole echo.
    """
    times = np.arange(1, round(seconds * RATE_HZ) + 1) / RATE_HZ
    echo = random.standard_normal(len(times)) * 10.0 ** (-3.0 * times / max(seconds, 1 / RATE_HZ))
    power = float(np.sum(echo**2))
    if power > 0:
        echo *= np.sqrt(10.0 ** (-direct_db / 10) / power)
    return np.concatenate([[1.0], echo])


def in_room(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The wave (samples,) with the echo of an impulse response; as long and as loud as before."""
    wet = fftconvolve(samples.astype(np.float64), response)[: len(samples)]
    power = float(np.mean(wet**2))
    gain = np.sqrt(float(np.mean(samples.astype(np.float64) ** 2)) / power) if power > 0 else 1.0
    return (gain * wet).astype(np.float32)


def with_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """The wave (samples,) and a noise as long at this signal-to-noise ratio. Silent noise adds nothing."""
    signal, disturbance = (float(np.mean(wave.astype(np.float64) ** 2)) for wave in (samples, noise))
    if disturbance == 0:
        return samples
    gain = np.sqrt(signal / disturbance / 10 ** (snr_db / 10))
    return (samples + gain * noise).astype(np.float32)


def over_telephone(samples: np.ndarray) -> np.ndarray:
    """The wave (samples,) as it comes over a telephone: 300 to 3,400 Hz, at 8 kHz in eight bits of the µ-law.

    The line's full scale is the wave's largest sample.
    """
    narrow = soxr.resample(samples.astype(np.float64), RATE_HZ, TELEPHONE_RATE_HZ, quality="HQ")
    sections = butter(TELEPHONE_ORDER, TELEPHONE_BAND_HZ, "bandpass", fs=TELEPHONE_RATE_HZ, output="sos")
    narrow = sosfilt(sections, narrow)
    peak = float(np.abs(narrow).max(initial=0.0))
    if peak > 0:
        compressed = np.sign(narrow) * np.log1p(MU * np.abs(narrow) / peak) / np.log1p(MU)
        compressed = np.round(compressed * 127) / 127
        narrow = np.sign(compressed) * peak * np.expm1(np.abs(compressed) * np.log1p(MU)) / MU
    wide = soxr.resample(narrow, TELEPHONE_RATE_HZ, RATE_HZ, quality="HQ")[: len(samples)]
    return np.pad(wide, (0, len(samples) - len(wide))).astype(np.float32)
