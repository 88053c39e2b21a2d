"""The predictor around any model: windows, averages, order, errors in their place, confidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from affetto.audio import RATE_HZ, AudioError
from affetto.errors import UserError
from affetto.inference.predictor import BATCH, Prediction, Predictor
from affetto.inference.windows import cover

LABELS = ("anger", "joy", "sadness")


class Loudness(Predictor):
    """A model worked out by hand: the share of samples above 0 is joy's, that below anger's, that at 0 sadness's."""

    def __init__(self, seconds: float | None = 1.0, **options: Any) -> None:
        confidence = {"confidence": {"temperature": options.pop("temperature")}} if "temperature" in options else {}
        self.decoders, self.batches_ahead = options.pop("decoders", 0), options.pop("ahead", 0)
        super().__init__(LABELS, {"audio": {"seconds": seconds}} | confidence, **options)
        self.batches: list[int] = []
        self.begun = self.most_begun = 0

    def begin(self, waves):
        self.begun += 1
        self.most_begun = max(self.most_begun, self.begun)

        def rows():
            self.begun -= 1
            return self.window_probabilities(waves)

        return rows

    def window_probabilities(self, waves):
        self.batches.append(len(waves))
        assert all(len(wave) <= (self.window_seconds or 1e9) * RATE_HZ for wave in waves)
        return np.array([[(w < 0).mean(), (w > 0).mean(), (w == 0).mean()] for w in waves], dtype=np.float64)


def wave(*parts: tuple[float, float]) -> np.ndarray:
    """Constant stretches: (level, seconds) each."""
    return np.concatenate([np.full(round(seconds * RATE_HZ), level, np.float32) for level, seconds in parts])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(1, 12), st.data())
def test_windows_cover_every_sample_however_the_wave_comes(samples: int, window: int, data: st.DataObject) -> None:
    hop = data.draw(st.integers(1, window))
    cuts = sorted(data.draw(st.lists(st.integers(0, samples), max_size=6)))
    whole = np.arange(samples)
    made = [w.tolist() for w in cover(np.split(whole, cuts), window, hop)]
    assert made == [w.tolist() for w in cover([whole], window, hop)]
    assert set().union(*made) == set(range(samples))
    if samples > window:
        starts = [w[0] for w in made]
        assert all(len(w) == window for w in made) and starts[:-1] == [hop * i for i in range(len(starts) - 1)]
        assert made[-1][-1] == samples - 1 and starts == sorted(set(starts))
    else:
        assert made == ([whole.tolist()] if samples else [])


def test_a_clip_longer_than_the_window_is_averaged_over_windows() -> None:
    # Windows at 0, 0.5, 1.0 and, ending with the clip, 1.25 s: 1, ½, 0 and 0 of them joy, the rest anger.
    found = Loudness()(wave((0.5, 1.0), (-0.5, 1.25)))
    assert found.probabilities == pytest.approx({"joy": 1.5 / 4, "anger": 2.5 / 4, "sadness": 0})
    assert (found.emotion, found.windows, found.seconds, found.seconds_heard) == ("anger", 4, 2.25, 2.25)
    cropped = Loudness(long_clips="cropped")(wave((0.5, 1.0), (-0.5, 1.25)))
    assert (cropped.emotion, cropped.windows, cropped.seconds_heard, cropped.cropped) == ("joy", 1, 1.0, True)


def test_a_model_of_whole_clips_hears_windows_of_what_its_backbone_takes() -> None:
    assert Loudness(None).window_seconds == 30.0
    assert Loudness(None, longest_seconds=1.0)(wave((0.5, 3.0))).windows == 5
    assert Loudness(None, long_clips="cropped").window_seconds is None
    with pytest.raises(UserError, match=r"long clips.*'windows'"):
        Loudness(long_clips="window")


@pytest.mark.parametrize(("decoders", "ahead"), [(0, 0), (2, 0), (3, 2)])
def test_batches_span_recordings_and_results_keep_their_order(tmp_path: Path, decoders: int, ahead: int) -> None:
    lengths = [0.5, 9.0, 0.3, 0.0, 20.0, 0.4, 1.0]  # of the fourth nothing is there
    files = []
    for n, seconds in enumerate(lengths):
        files.append(tmp_path / f"{n}.wav")
        soundfile.write(files[-1], wave((0.1 * (n + 1), seconds)), RATE_HZ)
    model = Loudness(decoders=decoders, ahead=ahead)
    results = list(model.stream(files))
    assert isinstance(results[3], AudioError) and "3.wav" in str(results[3])
    good = [r for r in results if isinstance(r, Prediction)]
    assert [r.file for r in good] == [str(file) for n, file in enumerate(files) if n != 3]
    assert [r.windows for r in good] == [1, 17, 1, 39, 1, 1]
    assert max(model.batches) == BATCH and sum(model.batches) == 60
    assert [Loudness()(r.file) for r in good] == good
    assert model.most_begun == ahead + 1


@pytest.mark.parametrize(("decoders", "ahead"), [(0, 0), (2, 2)])
def test_a_recording_that_breaks_off_late_counts_for_nothing(tmp_path: Path, decoders: int, ahead: int) -> None:
    bad = wave((0.5, 40.0))
    bad[-1] = np.nan
    soundfile.write(tmp_path / "bad.wav", bad, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "good.wav", wave((0.5, 0.5)), RATE_HZ)
    model = Loudness(decoders=decoders, ahead=ahead)
    first, second, third = model.stream([tmp_path / name for name in ("good.wav", "bad.wav", "good.wav")])
    assert isinstance(second, AudioError) and "not finite" in str(second)
    assert first == third and isinstance(first, Prediction)
    with pytest.raises(AudioError, match=r"bad\.wav"):
        Loudness()(tmp_path / "bad.wav")


def test_temperature_makes_modest_and_changes_no_label() -> None:
    plain, modest = Loudness(), Loudness(temperature=2.0)
    sound = wave((0.5, 0.8), (-0.5, 0.2))
    assert plain(sound).probabilities == pytest.approx({"joy": 0.8, "anger": 0.2, "sadness": 0})
    # √0.8 : √0.2 = 2 : 1
    assert modest(sound).probabilities == pytest.approx({"joy": 2 / 3, "anger": 1 / 3, "sadness": 0}, abs=1e-6)
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    for temperature in (0.3, 5.0):
        calibrated = Loudness(temperature=temperature).calibrated(rows)
        np.testing.assert_array_equal(calibrated.argmax(1), rows.argmax(1))
        np.testing.assert_allclose(calibrated.sum(1), 1)
        logits = np.log(rows) / temperature
        np.testing.assert_allclose(calibrated, np.exp(logits) / np.exp(logits).sum(1, keepdims=True))


def test_a_set_does_not_depend_on_the_temperature() -> None:
    clip = wave((0.5, 0.7), (-0.5, 0.3))
    for temperature in (0.3, 1.0, 5.0):
        model = Loudness(temperature=temperature)
        assert model(clip).label_set is None
        model.card["confidence"]["sets"] = {"levels": [0.5, 0.9], "limits": {"lac": [0.2, 0.75]}}
        model.cover(0.9)
        assert model(clip).label_set == ("joy", "anger")
        model.cover(0.5)
        assert model(clip).label_set == ("joy",), "the most probable label is in every set"


def test_it_abstains_below_what_is_asked_and_tells_every_probability() -> None:
    model = Loudness()
    model.abstain_below = 0.8
    assert model(wave((0.5, 0.8), (-0.5, 0.2))).emotion == "joy"
    unsure = model(wave((0.5, 0.7), (-0.5, 0.3)))
    assert unsure.emotion is None and unsure.abstained
    assert unsure.probabilities == pytest.approx({"joy": 0.7, "anger": 0.3, "sadness": 0})
