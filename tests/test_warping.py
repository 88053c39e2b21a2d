"""Changes of a voice, on a pulse train through two resonances: pitch, formants and duration move as they should."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from affetto.audio import RATE_HZ
from affetto.audio.changes import KINDS, Change

PITCH_HZ, FORMANTS_HZ = 125.0, (800.0, 2400.0)


def voice(seconds: float = 1.5, glide: float = 0.0) -> np.ndarray:
    """Pulses at PITCH_HZ through a resonance at each of FORMANTS_HZ, 80 Hz wide.

    The pitch goes up by the share `glide` from below to above PITCH_HZ, so that its harmonics pass over the resonances.
    """
    frequencies = PITCH_HZ * np.linspace(1 - glide / 2, 1 + glide / 2, int(seconds * RATE_HZ))
    phase = np.cumsum(frequencies) / RATE_HZ
    samples = np.diff(np.floor(phase + 1e-6), prepend=-1.0)
    radius = np.exp(-np.pi * 80.0 / RATE_HZ)
    for formant in FORMANTS_HZ:
        angle = 2 * np.pi * formant / RATE_HZ
        samples = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], samples)
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


def pitch_hz(samples: np.ndarray) -> float:
    """Frequency whose period has the highest autocorrelation, between 60 and 250 Hz."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle, 4 * len(middle))) ** 2
    correlation = np.fft.irfft(spectrum)
    lags = np.arange(RATE_HZ // 250, RATE_HZ // 60)
    shortest = np.flatnonzero(correlation[lags] > 0.9 * correlation[lags].max())[0]  # not two periods
    first = int(lags[shortest])
    return float(RATE_HZ / (first + np.argmax(correlation[first : first + 8])))


def formants_hz(samples: np.ndarray) -> tuple[float, float]:
    """Peaks of the spectrum, smoothed over harmonics, below and above 1,500 Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(samples[2000:-2000], 2048)[::256] * np.hanning(2048)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(0)
    envelope = np.convolve(power, np.hanning(25), "same")
    hz = np.arange(len(envelope)) * RATE_HZ / 2048
    peaks = [hz[band][np.argmax(envelope[band])] for band in ((hz > 300) & (hz < 1500), (hz > 1500) & (hz < 4000))]
    return float(peaks[0]), float(peaks[1])


@pytest.mark.parametrize(
    ("change", "seconds", "pitch", "formants"),
    [
        ("speed:0.8", 1 / 0.8, 0.8, 0.8),
        ("speed:1.25", 1 / 1.25, 1.25, 1.25),
        ("tempo:0.8", 1 / 0.8, 1.0, 1.0),
        ("tempo:1.3", 1 / 1.3, 1.0, 1.0),
        ("pitch:+3", 1.0, 2 ** (3 / 12), 2 ** (3 / 12)),
        ("pitch:-4", 1.0, 2 ** (-4 / 12), 2 ** (-4 / 12)),
        ("tract:1.2", 1.0, 1.0, 1 / 1.2),
        ("tract:0.85", 1.0, 1.0, 1 / 0.85),
    ],
)
def test_duration_pitch_and_formants_move_by_these_factors(
    change: str, seconds: float, pitch: float, formants: float
) -> None:
    wave = voice()
    changed = Change.parse(change).apply(wave)
    assert changed.dtype == np.float32 and np.isfinite(changed).all()
    assert len(changed) == pytest.approx(seconds * len(wave), abs=2)
    assert pitch_hz(changed) == pytest.approx(pitch * PITCH_HZ, rel=0.02)
    gliding = Change.parse(change).apply(voice(glide=0.4))
    assert formants_hz(gliding) == pytest.approx([formants * hz for hz in FORMANTS_HZ], rel=0.05)
    levels = [np.sqrt(np.mean(part**2) / np.mean(wave**2)) for part in np.array_split(changed, 5)]
    assert min(levels) > 0.5 and max(levels) < 2, "about as loud from begin to end"
    assert np.array_equal(Change.parse(change).apply(wave), changed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_hardly_anything_hardly_changes_the_wave(kind: str) -> None:
    wave = voice(0.5)
    changed = KINDS[kind].apply(wave, KINDS[kind].neutral + 1e-9)
    assert len(changed) == len(wave) and np.abs(changed - wave).max() < 0.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [np.zeros(1600, np.float32), voice(0.1), voice(0.1)[:1001]], ids=len)
def test_silence_and_the_shortest_clips_can_be_changed(kind: str, samples: np.ndarray) -> None:
    for amount in (KINDS[kind].lowest, KINDS[kind].highest):
        changed = KINDS[kind].apply(samples, amount)
        expected = len(samples) / amount if KINDS[kind].shortens else len(samples)
        assert len(changed) == pytest.approx(expected, abs=2) and np.isfinite(changed).all()
        assert samples.any() or np.abs(changed).max() < 1e-4


def test_a_tone_keeps_its_phase_where_segments_meet() -> None:
    """Segments that are laid without regard to each other would cancel in part."""
    tone = np.sin(2 * np.pi * 137.0 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    slower = Change.parse("tempo:0.77").apply(tone)[1000:-1000]
    level = np.sqrt(np.convolve(slower.astype(np.float64) ** 2, np.ones(512) / 512, "valid"))
    assert level.min() > 0.6 and level.max() < 0.8


def test_a_long_clip_is_warped_block_by_block_as_in_one_piece() -> None:
    wave, change = np.tile(voice(1.0), 10), Change.parse("tract:1.1")
    changed = change.apply(wave)
    assert np.abs(changed[RATE_HZ : 9 * RATE_HZ] - np.tile(changed[RATE_HZ : 2 * RATE_HZ], 8)).max() < 1e-5


def test_amounts_are_written_with_a_sign_where_they_are_differences() -> None:
    texts = ["pitch:2", "pitch: -1.50", "tract:1.10", " tempo : 0.9"]
    assert [str(Change.parse(text)) for text in texts] == ["pitch:+2", "pitch:-1.5", "tract:1.1", "tempo:0.9"]
