"""Distortions of a wave: gain, clipping, tilt, companding, lower rates, lost packets, codecs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from affetto.audio.channels import PACKET, at_rate, without_packets
from affetto.audio.companding import a_law, mu_law
from affetto.audio.compression import MP3, OPUS, Codec
from affetto.audio.distortions import amplified, clipped, tilted

Tone = Callable[..., np.ndarray]


def level(wave: np.ndarray) -> float:
    return float(np.sqrt(np.mean(wave.astype(np.float64) ** 2)))


def noise(seconds: float = 1.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(16_000 * seconds))).astype(np.float32)


def test_gain_is_in_decibels(tone: Tone) -> None:
    assert level(amplified(tone(), -20)) == pytest.approx(level(tone()) / 10, rel=1e-5)


def test_clipping_cuts_the_given_share_of_the_samples_at_one_level() -> None:
    wave = noise()
    cut = clipped(wave, 0.1)
    assert np.mean(cut != wave) == pytest.approx(0.1, abs=2e-3)
    assert len(np.unique(np.abs(cut[cut != wave]))) == 1


@pytest.mark.parametrize("octave_db", [3.0, -3.0])
def test_a_tilt_is_steady_over_the_octaves_and_keeps_the_loudness(tone: Tone, octave_db: float) -> None:
    mixed = tone(hz=500) + tone(hz=4000)
    changed = tilted(mixed, octave_db)
    low, high = (np.abs(np.fft.rfft(changed))[hz] for hz in (500, 4000))
    assert 20 * np.log10(high / low) == pytest.approx(3 * octave_db, abs=0.2)
    assert level(changed) == pytest.approx(level(mixed), rel=1e-4)


@pytest.mark.parametrize("law", [mu_law, a_law])
def test_both_laws_have_eight_bits_and_keep_quiet_sounds(law: Callable[[np.ndarray], np.ndarray]) -> None:
    wave = np.linspace(-1, 1, 20_001)
    changed = law(wave)
    assert len(np.unique(changed)) == 255
    assert changed[[0, 10_000, 20_000]] == pytest.approx([-1, 0, 1])
    steps = np.diff(np.unique(changed)[127:])
    assert steps[0] < 1e-3 and steps[-1] > 0.03 and np.abs(changed - wave).max() < steps[-1]
    assert not law(np.zeros(9)).any()


def test_a_lower_rate_takes_what_lies_above_it(tone: Tone) -> None:
    low, high = (at_rate(tone(hz=hz), 8_000) for hz in (1_000, 6_000))
    assert level(low - tone(hz=1_000)) < 0.02 and level(high) < 0.02
    assert len(at_rate(noise()[:12_345], 8_000)) == 12_345


def test_lost_packets_are_whole_and_as_many_as_the_share_says() -> None:
    wave = np.ones(500 * PACKET + 7, np.float32)
    changed = without_packets(wave, 0.15, np.random.default_rng(1))
    lost = changed[: 500 * PACKET].reshape(500, PACKET)
    assert set(lost.mean(axis=1)) == {0.0, 1.0} and len(changed) == len(wave)
    assert 1 - lost.mean() == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize(("codec", "kbps"), [(MP3, 24.0), (MP3, 40.0), (OPUS, 12.0)])
def test_a_codec_changes_a_wave_and_does_not_delay_it(codec: Codec, kbps: float, tone: Tone) -> None:
    if not codec.is_available:
        pytest.skip("this libsndfile lacks the codec")
    swell = np.interp(np.arange(16_000), [0, 8_000, 16_000], [0, 1, 0])
    wave = (tone(hz=300) * swell).astype(np.float32)
    changed = codec.through(wave, kbps)
    assert len(changed) == len(wave) and not np.array_equal(changed, wave)
    lags = range(-1200, 1201, 4)
    products = [float(np.dot(wave[2000:-2000], changed[2000 + lag : len(wave) - 2000 + lag])) for lag in lags]
    assert abs(lags[int(np.argmax(products))]) <= 60
    assert np.array_equal(changed, codec.through(wave, kbps))
