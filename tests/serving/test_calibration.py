"""Batches that are calibrated to a speaker: answers of the command line, in the turns of all."""

from __future__ import annotations

import csv
import io
import threading
from typing import Any

import httpx
import numpy as np
import pytest

from affetto.inference.backends.trained import ClassifierPredictor
from affetto.inference.loading import load
from affetto.serving.limits import Limits
from models.systems import clips
from serving.served import Serving, Stub, until, wav, write_model
from serving.test_batches import lines
from serving.test_server import post, refused

RECORDINGS, SPEAKER = clips(0.8, 2.1, 0.5), [2 * wave for wave in clips(0.6, 2.4, 0.9)]
STATISTICS = {"head": "statistics", "pooling": "layer", "layer": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ClassifierPredictor:
    made = load(write_model(tmp_path_factory.mktemp("models") / "m", "frozen", **STATISTICS), device="cpu")
    assert isinstance(made, ClassifierPredictor)
    return made


@pytest.fixture(scope="module")
def serving(model: ClassifierPredictor) -> Any:
    serving = Serving({"m": model, "other": Stub()}, Limits(max_seconds=5))
    with serving as serving.url:
        yield serving


def send(url: str, *more: tuple[str, bytes], **fields: str) -> httpx.Response:
    files = [("file", (f"{n}.wav", wav(wave))) for n, wave in enumerate(RECORDINGS)]
    return httpx.post(f"{url}/v1/batch", files=[*files, *more], data=fields, timeout=60)


def speaker(*waves: np.ndarray) -> list[tuple[str, bytes]]:
    return [("calibrate", wav(wave)) for wave in waves]


def test_answers_are_those_of_the_command_line_and_say_their_protocol(
    serving: Any, model: ClassifierPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, plain = model.for_speaker(SPEAKER).classify(RECORDINGS), model.classify(RECORDINGS)
    threads: set[str] = set()
    prefixes = ClassifierPredictor.prefixes

    def watched(self: ClassifierPredictor, waves: Any) -> Any:
        threads.add(threading.current_thread().name)
        return prefixes(self, waves)

    monkeypatch.setattr(ClassifierPredictor, "prefixes", watched)
    answers = lines(send(serving.url, *speaker(*SPEAKER)))
    for answer, prediction, other in zip(answers, expected, plain, strict=True):
        assert answer["protocol"] == "speaker-calibrated (3 clips)" and answer["windows"] == prediction.windows
        assert answer["probabilities"] == pytest.approx(prediction.probabilities, abs=1e-5)
        assert answer["probabilities"] != pytest.approx(other.probabilities, abs=1e-4)
    assert threads == {"affetto-batches"}, "all takes turns"
    rows = list(csv.DictReader(io.StringIO(send(serving.url, *speaker(*SPEAKER), format="csv").text)))
    assert [row["protocol"] for row in rows] == ["speaker-calibrated (3 clips)"] * 3
    assert [float(row[label]) for row, answer in zip(rows, expected, strict=True) for label in model.labels] == (
        pytest.approx([answer.probabilities[label] for answer in expected for label in model.labels], abs=1e-5)
    )


def test_nobody_else_s_answers_change(serving: Any, model: ClassifierPredictor) -> None:
    lines(send(serving.url, *speaker(*SPEAKER)))
    (answer,) = model.classify(RECORDINGS[:1])
    assert post(serving.url, wav(RECORDINGS[0])).json()["probabilities"] == pytest.approx(answer.probabilities)
    assert "protocol" not in lines(send(serving.url))[0]


def test_what_cannot_calibrate_is_refused_as_a_whole(serving: Any) -> None:
    bad = [*speaker(SPEAKER[0]), ("calibrate", b"text")]
    response = send(serving.url, *bad)
    assert refused(response) == (415, "not_audio") and "clip 2 of 2 cannot be used" in response.json()["message"]
    response = send(serving.url, *speaker(*SPEAKER), model="other")
    assert refused(response) == (422, "invalid_parameter") and "head=statistics" in response.json()["message"]
    response = send(serving.url, ("calibrat", wav(SPEAKER[0])))
    assert refused(response) == (422, "invalid_parameter") and "did you mean 'calibrate'" in response.json()["message"]
    assert refused(send(serving.url, *speaker(*SPEAKER), timeout="0.000001")) == (503, "timed_out")
    until(lambda: serving.service.places == 0)


def test_a_client_that_leaves_while_its_speaker_is_computed_is_given_up(
    serving: Any, model: ClassifierPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    let, entered, count = threading.Event(), threading.Event(), 0

    def held(waves: Any) -> np.ndarray:
        nonlocal count
        count += len(waves)
        entered.set()
        assert let.wait(60)
        return model.window_statistics(waves)

    monkeypatch.setattr(serving.service.catalogue.models["m"].statistics, "work", held)
    files = [("file", wav(RECORDINGS[0])), *speaker(*SPEAKER * 3)]
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{serving.url}/v1/batch", files=files, timeout=httpx.Timeout(60, read=0.3))
    assert entered.wait(60)
    let.set()
    until(lambda: serving.service.places == 0)
    assert count < 9
