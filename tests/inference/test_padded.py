"""Prediction in padded batches, as on a device, on the CPU: parity with single clips, few shapes, captures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from affetto.audio import RATE_HZ
from affetto.inference.backends import padded
from affetto.inference.backends.padded import ROWS, WIDTHS
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.inference.predictor import Prediction
from affetto.inference.windows import cover
from affetto.models.device import KINDS, Capabilities
from models.systems import FAMILIES, classifier, clips
from targets.test_losses import EVERY

CPU = torch.device("cpu")
CARD: dict[str, Any] = {"audio": {"seconds": 1.0}, "precision": "float32"}
WAVES = clips(0.9, 0.31, 1.0, 0.62, 0.13)
SMALL = ("wav2vec2-mini", "lora", {"head": "paper", "pooling": "mean"})


class Recorder:
    """A recorder whose captures compute anew on the inputs that were captured."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem, self.calls = problem, []  # type: ignore[var-annotated]

    def warm_up(self, function: Callable[[], Tensor]) -> Tensor:
        self.calls.append("eager")
        return function()

    def capture(self, function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        if self.problem is not None:
            raise RuntimeError(self.problem)
        result = function()

        def replay() -> None:
            self.calls.append("replay")
            result.copy_(function())

        return replay, result

    def recover(self) -> None:
        self.calls.append("recover")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`device(recorder)` lets the CPU be a device that takes padded batches, with a recorder or without."""

    def make(recorder: Recorder | None = None) -> None:
        monkeypatch.setitem(KINDS, "cpu", Capabilities(host_memory=True, graphs=recorder is not None))
        monkeypatch.setattr(padded, "recorder_of", lambda _: recorder)

    return make


def predictor(key: str, method: str, options: dict[str, Any], **facts: Any) -> ClassifierPredictor:
    return ClassifierPredictor(classifier(key, method, **({"stir": 0.3} | options)), CARD | facts, CPU)


@pytest.mark.parametrize(
    ("key", "method", "options"),
    [(key, "lora", {"head": "paper", "pooling": "mean"}) for key in FAMILIES]
    + [
        ("wavlm-mini", "frozen", {"head": "statistics", "pooling": "layer"}),
        ("whisper-mini", "adapter", {"head": "short", "pooling": "weighted"}),
        ("xlsr-mini", "full", {"head": "paper", "pooling": "mean"}),
    ],
)
def test_a_padded_batch_gives_the_answers_of_single_clips(
    key: str, method: str, options: dict[str, Any], device: Callable[..., Any]
) -> None:
    alone = predictor(key, method, options)
    expected = np.concatenate([alone.window_probabilities([wave]) for wave in WAVES])
    device(Recorder())
    together = predictor(key, method, options)
    for _ in range(3):  # computed, captured, replayed
        found = together.window_probabilities(WAVES)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
    neighbours = together.window_probabilities([WAVES[0], *[np.zeros_like(WAVES[2])] * 5])
    np.testing.assert_allclose(neighbours[0], expected[0], rtol=1e-4, atol=1e-6)


def test_small_batches_have_few_shapes_which_are_captured_and_large_ones_their_own(
    device: Callable[..., Any],
) -> None:
    recorder = Recorder()
    device(recorder)
    model = predictor(*SMALL)
    assert model.padded is not None and model.padded.captured is not None
    model.warm_up(ROWS[-1])
    assert model.padded.captured.shapes == len(ROWS) * WIDTHS
    recorder.calls.clear()
    rng = np.random.default_rng(0)
    for count in (1, 3, 5, 16):
        lengths = rng.integers(RATE_HZ // 10, RATE_HZ + 1, count)
        assert len(model.window_probabilities([np.full(n, 0.1, np.float32) for n in lengths])) == count
    assert set(recorder.calls) == {"replay"}, "each shape was warmed up"
    recorder.calls.clear()
    assert len(model.window_probabilities([WAVES[0]] * (ROWS[-1] + 1))) == ROWS[-1] + 1
    assert not recorder.calls


def test_where_a_capture_fails_the_answers_are_the_same(device: Callable[..., Any]) -> None:
    expected = predictor(*SMALL).window_probabilities(WAVES)
    recorder = Recorder("operation not permitted when stream is capturing")
    device(recorder)
    model = predictor(*SMALL)
    model.window_probabilities(WAVES)
    with pytest.warns(RuntimeWarning, match=r"not captured as a graph.*not permitted"):
        np.testing.assert_allclose(model.window_probabilities(WAVES), expected, rtol=1e-4, atol=1e-6)
    with warnings.catch_warnings(action="error"):  # it is said once
        np.testing.assert_allclose(model.window_probabilities(WAVES), expected, rtol=1e-4, atol=1e-6)
    assert model.padded is not None and model.padded.captured is not None
    assert model.padded.captured.problem == recorder.problem and "recover" in recorder.calls


def test_files_go_the_same_way_in_their_order(device: Callable[..., Any]) -> None:
    recordings = [wave for seconds in (0.2, 2.4, 0.9, 1.3, 0.4) for wave in clips(seconds)]
    expected = predictor(*SMALL).classify(recordings)
    device()
    model = predictor(*SMALL)
    assert (model.batches_ahead, model.windows_at_once) == (1, padded.MOST_WINDOWS) and model.decoders > 0
    for result, single in zip(model.classify(recordings), expected, strict=True):
        assert (result.emotion, result.windows, result.seconds) == (single.emotion, single.windows, single.seconds)
        assert result.probabilities == pytest.approx(single.probabilities, rel=1e-4, abs=1e-6)


def test_a_speaker_s_clips_go_the_same_way(device: Callable[..., Any]) -> None:
    options = {"head": "statistics", "pooling": "layer"}
    expected = predictor("wavlm-mini", "frozen", options).for_speaker(WAVES).classify(WAVES)
    device(Recorder())
    model = predictor("wavlm-mini", "frozen", options)
    model.warm_up(1)
    adapted = model.for_speaker(WAVES)
    for result, single in zip(adapted.classify(WAVES), expected, strict=True):
        assert result.probabilities == pytest.approx(single.probabilities, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", [name for name, target in EVERY.items() if target.learns_from_annotations])
def test_every_target_goes_the_same_way(name: str, device: Callable[..., Any]) -> None:
    """One by one, beside others, by windows of a long clip, and adapted to a speaker."""
    # Stirred up further, each value would be an end of its range.
    options = {"head": "statistics", "pooling": "layer", "target": EVERY[name], "stir": 0.01}
    long, *short = recordings = [wave for seconds in (2.4, 0.9, 0.4) for wave in clips(seconds)]
    alone = predictor("wavlm-mini", "frozen", options)
    expected = [alone(wave) for wave in recordings]
    windows = list(cover([long], RATE_HZ, RATE_HZ // 2))
    mean = alone.calibrated(alone.window_probabilities(windows).mean(0))
    assert expected[0].windows == len(windows) == 4
    np.testing.assert_allclose(numbers(expected[0]), mean, rtol=1e-6, atol=1e-9)
    own = alone.for_speaker(short)(long)
    assert not np.allclose(numbers(own), mean, atol=1e-5) and len(numbers(own)) == alone.target.outputs
    device(Recorder())
    model = predictor("wavlm-mini", "frozen", options)
    for result, single in zip(model.classify(recordings), expected, strict=True):
        np.testing.assert_allclose(numbers(result), numbers(single), rtol=1e-4, atol=1e-6)
        assert (result.emotion, result.labels) == (single.emotion, single.labels)
    np.testing.assert_allclose(numbers(model.for_speaker(short)(long)), numbers(own), rtol=1e-4, atol=1e-6)


def numbers(answer: Prediction) -> np.ndarray:
    """Probabilities and dimensions of an answer, (outputs,)."""
    return np.array([*answer.probabilities.values(), *answer.dimensions.values()])
