"""Speed, tempo, pitch and vocal tract of a wave, (samples,) at 16 kHz, each changed by itself. No chance is in it."""

from __future__ import annotations

import numpy as np
import soxr

from affetto.audio.samples import RATE_HZ

SEGMENT = 512
"""Samples of a segment of `tempo`: 32 ms, two periods of a voice of 63 Hz."""
TOLERANCE = 160
"""Samples by which a segment may move to continue the one before: 10 ms to each side, one period of 50 Hz in all."""
FRAME, HOP = 512, 128
"""Samples of a frame of `tract` (32 ms), and from one to the next."""
PERIODS = (36, 200)
"""Samples among which a frame's period is looked for: voices of 80 to 444 Hz."""
ENVELOPE_SHARE, MOST_COEFFICIENTS = 0.7, 64
"""Coefficients of the cepstrum, 1/16 ms each, that make the envelope: this share of the period, which keeps the
harmonics out, and no more than these (4 ms)."""
LARGEST_GAIN = np.log(10.0)
"""Largest change of a frequency's amplitude by `tract`, as a logarithm: 20 dB."""
FRAMES_AT_ONCE = 1024
"""Frames that `tract` holds in memory at once: 8 s of sound."""
SILENCE = 1e-5


def speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """The wave played at `factor` times its speed; pitch and formants go with it, as on a tape."""
    return _float32(soxr.resample(samples, RATE_HZ * factor, RATE_HZ, quality="HQ"))


def tempo(samples: np.ndarray, factor: float) -> np.ndarray:
    """The wave spoken at `factor` times its tempo; pitch and formants stay.

    Overlapping segments are laid at another distance, each moved to where it continues the one before best (WSOLA,
    Verhelst and Roelands 1993).
    """
    hop = SEGMENT // 2
    length = max(1, round(len(samples) / factor))
    count = -(-length // hop) + 1
    reach = round(count * hop * factor) + 2 * (SEGMENT + TOLERANCE)
    # In front: half a segment, which the first one fades in over, and the tolerance.
    padded = np.zeros(max(reach, len(samples) + 2 * SEGMENT), np.float64)
    front = hop + TOLERANCE
    padded[front : front + len(samples)] = samples[: len(padded) - front]
    energy = np.concatenate([[0.0], np.cumsum(padded**2)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SEGMENT) / SEGMENT)
    out = np.zeros((count + 1) * hop)
    position = TOLERANCE
    for number in range(count):
        if number:
            position = _continuation(padded, energy, position + hop, TOLERANCE + round(number * hop * factor))
        out[number * hop : number * hop + SEGMENT] += window * padded[position : position + SEGMENT]
    return _float32(out[hop : hop + length])


def _continuation(wave: np.ndarray, energy: np.ndarray, natural: int, target: int) -> int:
    """Start of the segment within TOLERANCE of `target` that is most like the one at `natural`, by its correlation.

    `energy` is the cumulative sum of the squared wave, with 0 in front.
    """
    first = target - TOLERANCE
    template, region = wave[natural : natural + SEGMENT], wave[first : target + TOLERANCE + SEGMENT]
    if len(template) < SEGMENT:  # behind the end of the sound there is nothing to continue
        return target
    starts = np.arange(first, first + len(region) - SEGMENT + 1)
    energies = energy[starts + SEGMENT] - energy[starts]
    likeness = np.correlate(region, template, "valid") / np.sqrt(energies + SILENCE)
    return int(starts[np.argmax(likeness)]) if likeness.max() > 0 else target


def pitch(samples: np.ndarray, semitones: float) -> np.ndarray:
    """The wave moved by some semitones, formants with it; the duration stays."""
    ratio = 2.0 ** (semitones / 12)
    return _fitted(speed(tempo(samples, 1 / ratio), ratio), len(samples))


def tract(samples: np.ndarray, factor: float) -> np.ndarray:
    """The wave as of a vocal tract `factor` times as long: formants at 1/factor of their frequency; pitch stays.

    The envelope of each frame's spectrum, smoothed in its cepstrum, is warped; harmonics stay where they are.
    """
    padded = np.pad(samples.astype(np.float64), (FRAME, FRAME + (-len(samples)) % HOP))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    out, weight = np.zeros(len(padded)), np.zeros(len(padded))
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        changed = _warped(frames[start : start + FRAMES_AT_ONCE] * window, factor) * window
        for number, frame in enumerate(changed, start):
            out[number * HOP : number * HOP + FRAME] += frame
            weight[number * HOP : number * HOP + FRAME] += window**2
    inside = slice(FRAME, FRAME + len(samples))
    return _float32(out[inside] / weight[inside])


def _warped(frames: np.ndarray, factor: float) -> np.ndarray:
    """Windowed frames (frames, FRAME) with the envelopes of their spectra warped."""
    spectra = np.fft.rfft(frames)
    cepstra = np.fft.irfft(np.log(np.abs(spectra) + SILENCE))
    shortest, longest = PERIODS
    periods = shortest + np.argmax(cepstra[:, shortest:longest], axis=1)
    counts = np.minimum(ENVELOPE_SHARE * periods, MOST_COEFFICIENTS)
    quefrencies = np.minimum(np.arange(FRAME), FRAME - np.arange(FRAME))
    envelopes = np.fft.rfft(np.where(quefrencies < counts[:, None], cepstra, 0.0)).real
    # The envelope at f becomes what it was at factor · f; beyond the highest frequency it is that of the highest.
    bins = np.minimum(np.arange(spectra.shape[1]) * factor, spectra.shape[1] - 1)
    lower = np.minimum(bins.astype(int), spectra.shape[1] - 2)
    share = bins - lower
    moved = envelopes[:, lower] * (1 - share) + envelopes[:, lower + 1] * share
    return np.fft.irfft(spectra * np.exp(np.clip(moved - envelopes, -LARGEST_GAIN, LARGEST_GAIN)))


def _fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """The wave cut, or filled up with silence, to a length: rounding makes it a few samples longer or shorter."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def _float32(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32, copy=False)
