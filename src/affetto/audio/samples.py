"""Samples of any kind as mono float32 at 16 kHz: one rule for arrays, files and streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from affetto.audio.problems import AudioError

RATE_HZ = 16_000
SHORTEST_SECONDS = 0.1
"""Shorter clips are refused: no backbone here makes more than a few frames of them."""
TOLERATED_SECONDS = 0.05
"""Sound that may be missing at a file's end: an MP3's frame, by which encoders and taggers miscount."""
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 384_000
"""No recording of speech lies outside; a header that says so is damaged, and resampling by it would fill the memory."""
MOST_CHANNELS = 32
MOST_SAMPLES_HZ = 16 * 48_000
"""Samples of all channels in a second of sound: 16 channels at 48 kHz, 2 at 384 kHz. A few kB of silence in 255
channels would take minutes to decode; with `longest_seconds` this bounds how much work a small file can ask for."""


def check_shape(rate_hz: int, channels: int, name: str) -> None:
    """Raise AudioError for rates and channels that are no recording of speech, before anything is decoded."""
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        allowed = f"{LOWEST_RATE_HZ:,} to {HIGHEST_RATE_HZ:,} Hz"
        raise AudioError(f"{name}: {rate_hz} Hz is no rate of a recording ({allowed}); export it again")
    if channels > MOST_CHANNELS or rate_hz * channels > MOST_SAMPLES_HZ:
        most = max(1, min(MOST_CHANNELS, MOST_SAMPLES_HZ // rate_hz))
        raise AudioError(f"{name}: {channels} channels at {rate_hz} Hz, at most {most} are allowed; mix it to mono")


def at_16k(blocks: Iterable[np.ndarray], rate_hz: int, *, name: str = "audio") -> Iterator[np.ndarray]:
    """Blocks (samples,) or (samples, channels) at any rate → blocks of float32 (samples,) at 16 kHz.

    The same samples, bit for bit, as of all blocks joined. Floats are taken as they are, whole numbers (int16 or int32)
    scaled to ±1 by their width. Raises AudioError, calling the recording `name`, where a block has another type or
    shape, or all of it is too short or not finite.
    """
    check_shape(rate_hz, 1, name)
    return resampled(((rate_hz, block) for block in blocks), name=name)


def resampled(blocks: Iterable[tuple[int, np.ndarray]], *, name: str) -> Iterator[np.ndarray]:
    """`at_16k`, of blocks that each come with their rate; it may change from one to the next."""
    rate_hz, frames, before = RATE_HZ, 0, 0.0  # of the blocks that go on at one rate; seconds at earlier ones
    resampler: soxr.ResampleStream | None = None
    for rate, block in blocks:
        if rate != rate_hz:
            yield from _rest(resampler)
            before, frames, rate_hz = before + frames / rate_hz, 0, rate
            resampler = _resampler(rate)
        wave = np.ascontiguousarray(_mixed(_floats(block, rate, name)))
        frames += len(wave)
        _check_finite(wave, name)
        if resampler is not None:
            wave = resampler.resample_chunk(wave)
        if len(wave):
            yield wave
    seconds = before + frames / rate_hz
    if seconds < SHORTEST_SECONDS:
        needed = f"a clip needs at least {SHORTEST_SECONDS} s: leave it out"
        raise AudioError(f"{name}: only {seconds:.3f} s long; {needed}")
    yield from _rest(resampler)


def joined(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Blocks (samples,) as one wave."""
    waves = list(blocks)
    return waves[0] if len(waves) == 1 else np.concatenate([np.zeros(0, np.float32), *waves])


def to_mono_16k(samples: np.ndarray, rate_hz: int, *, name: str = "audio") -> np.ndarray:
    """Samples of shape (samples,) or (samples, channels) at any rate → float32 (samples,) at 16 kHz.

    The rules are those of `at_16k`.
    """
    samples = np.asarray(samples)
    channels = samples.shape[1] if samples.ndim == 2 else 1
    if not 1 <= channels <= max(len(samples) if samples.ndim else 0, 1):
        raise _no_audio(samples, name)
    return joined(at_16k([samples], rate_hz, name=name))


def crop(wave: np.ndarray, seconds: float | None) -> np.ndarray:
    """The first `seconds` of a 16 kHz wave (samples,); all of it for None (paper, IV-B: 4 s)."""
    return wave if seconds is None else wave[: round(seconds * RATE_HZ)]


def _resampler(rate_hz: int) -> soxr.ResampleStream | None:
    return soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ") if rate_hz != RATE_HZ else None


def _rest(resampler: soxr.ResampleStream | None) -> Iterator[np.ndarray]:
    """The samples that a resampler still holds at the end of its stream."""
    if resampler is not None:
        rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if len(rest):
            yield rest


def _floats(samples: np.ndarray, rate_hz: int, name: str) -> np.ndarray:
    """A block as float32 within ±1, (samples,) or (samples, channels)."""
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not samples.shape[1]):
        raise _no_audio(samples, name)
    check_shape(rate_hz, samples.shape[1] if samples.ndim == 2 else 1, name)
    if samples.dtype.kind != "f" and samples.dtype not in (np.int16, np.int32):
        # Wider ones are Python's own whole numbers more often than 64-bit sound, which would come out silent.
        raise AudioError(f"{name}: samples of type {samples.dtype} are no audio; give floats within ±1, int16 or int32")
    if samples.dtype.kind == "i":
        samples = samples / np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    return samples.astype(np.float32, copy=False)


def _no_audio(samples: np.ndarray, name: str) -> AudioError:
    return AudioError(f"{name}: shape {samples.shape} is no audio; give (samples,) or (samples, channels)")


def _check_finite(wave: np.ndarray, name: str) -> None:
    if not np.isfinite(wave).all():
        wrong = int((~np.isfinite(wave)).sum())
        raise AudioError(f"{name}: {wrong} samples are not finite (NaN or infinite); export it again")


def _mixed(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels: float32 (samples,) or (samples, channels) → (samples,)."""
    if samples.ndim == 1:
        return samples
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
