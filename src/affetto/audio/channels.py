"""Paths of sound from a speaker to a recording: a room's echo, noise, a telephone line. Waves are float32 at 16 kHz."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr
from scipy.signal import butter, fftconvolve, sosfilt

from affetto.audio.companding import mu_law
from affetto.audio.samples import RATE_HZ

TELEPHONE_RATE_HZ = 8_000
TELEPHONE_BAND_HZ = (300.0, 3_400.0)
TELEPHONE_ORDER = 4
"""Order of the filter at each end of the band."""
PACKET = RATE_HZ // 50
"""Samples of a packet of speech on the internet: 20 ms."""


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
    return _fitted(soxr.resample(mu_law(narrow), TELEPHONE_RATE_HZ, RATE_HZ, quality="HQ"), len(samples))


def at_rate(samples: np.ndarray, rate_hz: int, change: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """The wave (samples,) resampled to a lower rate, changed there by `change`, and resampled back to its length."""
    narrow = soxr.resample(samples.astype(np.float64), RATE_HZ, rate_hz, quality="HQ")
    narrow = narrow if change is None else change(narrow)
    return _fitted(soxr.resample(narrow, rate_hz, RATE_HZ, quality="HQ"), len(samples))


def without_packets(samples: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """The wave (samples,) with silence in place of packets of 20 ms, each of which is lost with this probability."""
    packets = -(-len(samples) // PACKET)
    is_lost = np.repeat(random.uniform(size=packets) < share, PACKET)[: len(samples)]
    return np.where(is_lost, np.float32(0), samples).astype(np.float32)


def _fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """The wave as float32, cut or filled up with silence to a length."""
    return np.pad(samples[:length], (0, max(0, length - len(samples)))).astype(np.float32)
