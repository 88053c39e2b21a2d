"""Models of every target over HTTP: answers, descriptions and timelines; those of classes as they have always been."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import BaseModel

from affetto.inference import timeline
from affetto.inference.decision import answer_fields
from affetto.inference.loading import load
from affetto.inference.notices import SHORT_NOTICE
from affetto.inference.predictor import Predictor
from affetto.serving import schemas
from affetto.serving.catalogue import Catalogue
from affetto.serving.launch import greeting
from affetto.serving.limits import Limits
from affetto.targets.registry import TARGETS
from serving.served import RATE_HZ, Serving, Stub, wav
from training.corpora import sound

CLIP = sound(1, 0, 0)


@pytest.fixture(scope="module")
def predictors(target_run: Callable[[str], Path]) -> dict[str, Predictor]:
    return {name: load(target_run(name), device="cpu") for name in TARGETS}


@pytest.fixture(scope="module")
def url(predictors: dict[str, Predictor]) -> Iterator[str]:
    with Serving(predictors) as url:
        yield url


def ask(url: str, model: str, path: str = "/v1/predict", wave: np.ndarray = CLIP) -> httpx.Response:
    return httpx.post(f"{url}{path}", params={"model": model}, files={"file": wav(wave)}, timeout=60)


@pytest.mark.parametrize("name", TARGETS)
def test_an_answer_has_what_the_target_has(name: str, url: str, predictors: dict[str, Predictor]) -> None:
    body, offline = ask(url, name).json(), predictors[name](CLIP)
    target = predictors[name].target
    assert body["model"] == name and body["windows"] == offline.windows
    assert ("emotion" in body) == target.has_classes and body.get("emotion") == offline.emotion
    assert ("probabilities" in body) == bool(target.labels)
    assert body.get("probabilities", {}) == pytest.approx(offline.probabilities, abs=1e-5)
    assert ("labels" in body) == (offline.labels is not None)
    assert body.get("labels") == (None if offline.labels is None else list(offline.labels))
    assert ("dimensions" in body) == ("intervals" in body) == target.has_dimensions
    assert body.get("dimensions", {}) == pytest.approx(offline.dimensions, abs=1e-4)
    for dimension, (low, high) in body.get("intervals", {}).items():
        assert 1 <= low <= body["dimensions"][dimension] <= high <= 5
    schemas.PredictionAnswer.model_validate(body, extra="forbid")


def test_a_model_tells_its_target(url: str) -> None:
    models = {model["name"]: model for model in httpx.get(f"{url}/v1/models").json()["models"]}
    ranges = {"arousal": [1.0, 5.0], "valence": [1.0, 5.0]}
    assert "target" not in models["classes"] and len(models["classes"]["labels"]) == 7
    assert models["distribution"]["target"] == {"kind": "distribution"}
    assert models["multilabel"]["target"] == {"kind": "multilabel"}
    numbers = {"kind": "dimensions", "dimensions": ranges, "interval_level": 0.9}
    assert models["dimensions"]["target"] == numbers and models["dimensions"]["labels"] == []
    assert models["joint"]["target"] == {**numbers, "kind": "joint"} and models["joint"]["labels"]


def test_a_timeline_has_the_dimensions_of_each_segment(
    url: str, predictors: dict[str, Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
    loud = np.concatenate([np.tile(sound(number, 0, 0), 8)[: 2 * RATE_HZ] for number in (0, 5)])
    for name in ("classes", "dimensions", "joint"):
        body = ask(url, name, "/v1/timeline", loud).json()
        expected = list(timeline.Timeline(predictors[name])(loud))
        assert len(expected) >= 1
        for segment, offline in zip(body["segments"], expected, strict=True):
            assert list(segment) == ["start", "end", *answer_fields(offline)]
            assert segment.get("dimensions", {}) == pytest.approx(offline.dimensions, abs=1e-4)
    for refused in (
        ask(url, "multilabel", "/v1/timeline", loud),
        httpx.post(f"{url}/v1/timeline", files={"file": wav(loud)}, data={"model": "multilabel"}, timeout=60),
    ):
        assert refused.status_code == 501 and refused.json()["error"] == "no_timeline"
        assert "/v1/predict" in refused.json()["message"]


def test_answers_of_classes_are_byte_for_byte_what_they_were() -> None:
    with Serving({"first": Stub()}) as url:
        answer = ask(url, "first", wave=np.full(RATE_HZ, 0.1, np.float32)).text
        models = httpx.get(f"{url}/v1/models").text
    assert answer == (
        '{"model":"first","emotion":"joy","probabilities":{"joy":0.75,"anger":0.25},"seconds":1.0,'
        f'"seconds_heard":1.0,"windows":1,"synthetic":true,"notice":"{SHORT_NOTICE}"}}'
    )
    assert models == (
        '{"models":[{"name":"first","default":true,"labels":["joy","anger"],"method":null,"backbone":null,'
        '"precision":null,"window_seconds":4.0,"shares_backbone_with":[],"synthetic":true,'
        '"licences":[{"corpus":"unknown","licence":"","commercial_use":null,"synthetic":true,"role":"tested"}]}]}'
    )


def test_a_request_says_below_which_probability_no_emotion_is_named(url: str) -> None:
    clip = {"file": wav(np.full(RATE_HZ, 0.1, np.float32))}
    with Serving({"first": Stub()}) as stub:

        def emotion(query: dict[str, str], form: dict[str, str]) -> object:
            answer = httpx.post(f"{stub}/v1/predict", params=query, data=form, files=clip, timeout=60)
            return answer.json()["emotion"] if answer.status_code == 200 else answer.json()["error"]

        limit = "abstain_below"
        assert emotion({limit: "0.75"}, {}) == emotion({}, {limit: "0.75"}) == "joy"
        assert emotion({limit: "0.76"}, {}) is None and emotion({}, {limit: "0.76"}) is None
        assert emotion({}, {}) == "joy", "no request changes another"
        assert emotion({limit: "0"}, {limit: "1"}) == "joy", "the query comes first"
        for wrong in ("1.01", "-0.1", "nan", "much", ""):
            assert emotion({}, {limit: wrong}) == "invalid_parameter", wrong
            assert emotion({limit: wrong}, {}) == "invalid_parameter", wrong
    for name in ("dimensions", "multilabel"):
        answer = httpx.post(f"{url}/v1/predict", params={"model": name, limit: "0.5"}, files={"file": wav(CLIP)})
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_parameter")
    described = httpx.get(f"{url}/openapi.json").json()["paths"]["/v1/predict"]["post"]
    names = [parameter["name"] for parameter in described["parameters"]]
    assert names == ["model", limit, "coverage", "sets", "refuse_novel", "require_speech", "timeout"]


def test_a_request_asks_for_a_set_of_labels(url: str, predictors: dict[str, Predictor]) -> None:
    def answer(query: dict[str, str], form: dict[str, str]) -> httpx.Response:
        return httpx.post(f"{url}/v1/predict", params=query, data=form, files={"file": wav(CLIP)}, timeout=60)

    for query, form in (
        ({"model": "classes", "coverage": "0.9", "sets": "aps"}, {}),
        ({}, {"model": "classes", "coverage": "0.9", "sets": "aps"}),
    ):
        offline = copy.copy(predictors["classes"])
        offline.cover(0.9, "aps")
        assert tuple(answer(query, form).json()["set"]) == offline(CLIP).label_set
    assert "set" not in answer({"model": "classes"}, {}).json(), "no request changes another"
    for model, level, kind in (("dimensions", "0.9", "lac"), ("classes", "0.92", "lac"), ("classes", "0.9", "abs")):
        options = {"model": model, "coverage": level, "sets": kind}
        for refused in (answer(options, {}), answer({}, options)):
            assert (refused.status_code, refused.json()["error"]) == (422, "invalid_parameter")
            assert refused.json()["message"].startswith(f"coverage: the model {model!r}: ")
    for refused in (answer({"model": "classes", "sets": "aps"}, {}), answer({}, {"model": "classes", "sets": "aps"})):
        assert refused.status_code == 422 and "give coverage too" in refused.json()["message"]
    assert answer({}, {"coverage": "much"}).json()["message"] == "form.coverage: give a number from 0 to 1"


@pytest.mark.parametrize("record", [schemas.PredictionAnswer, schemas.TimelineAnswer, schemas.ModelAnswer])
def test_examples_of_the_description_are_answers(record: type[BaseModel]) -> None:
    extra = record.model_config["json_schema_extra"]
    assert isinstance(extra, dict)
    for example in extra["examples"]:  # type: ignore[union-attr]
        assert record.model_validate(example, extra="forbid").model_dump(mode="json", exclude_unset=True) == example


def test_the_terminal_tells_dimensions_with_their_ranges(predictors: dict[str, Predictor]) -> None:
    lines = greeting("http://127.0.0.1", Catalogue(predictors), Limits(), page=False, is_open=False)
    (line,) = [line for line in lines if "model dimensions:" in line]
    assert "(arousal 1 to 5, valence 1 to 5)" in line
