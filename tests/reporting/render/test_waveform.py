"""The figure of a recording over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from affetto.reporting.render.waveform import COLUMNS, Envelope, column_shares, draw_waveform

RATE_HZ = 16_000


def test_the_envelope_does_not_depend_on_the_blocks() -> None:
    wave = np.random.default_rng(0).standard_normal(RATE_HZ + 7).astype(np.float32)
    whole, parts = Envelope(RATE_HZ), Envelope(RATE_HZ)
    whole.add(wave)
    for part in np.split(wave, [1, 500, 4000, 4001]):
        parts.add(part)
    assert np.array_equal(whole.peaks, parts.peaks)
    assert (
        len(whole.peaks) == 21
        and whole.peaks[0] == np.abs(wave[:800]).max()
        and whole.peaks[-1] == np.abs(wave[-7:]).max()
    )
    assert whole.seconds == parts.seconds == len(wave) / RATE_HZ
    assert len(Envelope(RATE_HZ).peaks) == 0


def test_the_picture_shows_what_was_heard(tmp_path: Path) -> None:
    envelope = Envelope(RATE_HZ)
    envelope.add(np.sin(np.arange(4 * RATE_HZ)).astype(np.float32))
    segments = [
        {"start": 0.5, "end": 2.0, "emotion": "joy", "probabilities": {"joy": 0.9, "sadness": 0.1}},
        {"start": 2.0, "end": 3.0, "emotion": None, "probabilities": {"joy": 0.5, "sadness": 0.5}},
    ]
    labels, title = ("joy", "sadness"), "talk.wav"
    first = draw_waveform(envelope, segments, labels, tmp_path / "a.svg", title).read_bytes()
    assert first == draw_waveform(envelope, segments, labels, tmp_path / "b.svg", title).read_bytes()
    assert first != draw_waveform(envelope, segments[1:], labels, tmp_path / "c.svg", title).read_bytes()
    silence = draw_waveform(Envelope(RATE_HZ), [], ("joy",), tmp_path / "none.png", "silence.wav", synthetic=True)
    assert silence.stat().st_size > 1000


def test_columns_by_hand() -> None:
    segments = [
        {"start": 0.5, "end": 2.0, "emotion": "joy", "probabilities": {"joy": 0.8, "sadness": 0.2}},
        {"start": 2.0, "end": 2.25, "emotion": "joy", "probabilities": {"joy": 0.4, "sadness": 0.6}},
        {"start": COLUMNS - 0.1, "end": COLUMNS + 0.01, "emotion": "sadness", "probabilities": {"sadness": 1.0}},
    ]
    shares = column_shares(segments, ("joy", "sadness"), COLUMNS)  # a second each
    assert shares.shape == (2, COLUMNS)
    np.testing.assert_allclose(shares[0, :4], [0.4, 0.8, 0.1, 0])
    np.testing.assert_allclose(shares[1, -2:], [0, 0.1])
    assert shares.sum() == np.float64(0.4 + 0.8 + 0.1) + shares[1, -1]


def test_ten_hours_are_drawn_and_no_segment_vanishes(tmp_path: Path) -> None:
    envelope = Envelope(100)
    for _ in range(10):
        envelope.add(np.ones(3600 * 100, np.float32))
    segments = [{"start": 7000.0, "end": 7002.0, "emotion": "joy", "probabilities": {"joy": 0.9}}]
    empty = draw_waveform(envelope, [], ("joy",), tmp_path / "a.png", "long.wav").read_bytes()
    assert draw_waveform(envelope, segments, ("joy",), tmp_path / "b.png", "long.wav").read_bytes() != empty
    drawn = draw_waveform(envelope, segments, ("joy",), tmp_path / "c.svg", "long.wav").read_bytes()
    assert drawn == draw_waveform(envelope, segments, ("joy",), tmp_path / "d.svg", "long.wav").read_bytes()
    assert len(drawn) < 1_000_000
