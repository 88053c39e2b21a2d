"""The judge of `benchmarks/load.py`: what it calls right, and what it does not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
FIRST, SECOND = {"joy": 0.75, "anger": 0.25}, {"joy": 0.25, "anger": 0.75}
SEGMENT = {"start": 0.0, "end": 1.0, "emotion": "joy", "probabilities": FIRST}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Modules of the load test, with a judge of a server on which lora-2 replaced lora-1 at 10 s to 12 s."""
    pytest.importorskip("websockets")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("load_models", "load_requests", "load_swaps", "load_streams", "load_cases")
    modules = {name.removeprefix("load_"): importlib.import_module(name) for name in names}
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(modules["swaps"], "time", clock)
    offline = modules["models"].Offline(Path())
    for version, probabilities in (("lora-1", FIRST), ("lora-2", SECOND)):
        offline.probabilities[version, "clip"] = offline.probabilities[version, "other"] = probabilities
        offline.segments[version, "clip"] = [SEGMENT | {"probabilities": probabilities}]
    timetable = modules["swaps"].Timetable.of({"lora": ["lora-1", "lora-2"], "frozen": ["frozen-1"]})
    clock.now = 10.0
    timetable.begin("lora", "lora-2")
    clock.now = 12.0
    timetable.finish("lora")
    judge = modules["cases"].Judge(offline, timetable)
    return SimpleNamespace(**modules, judge=judge, timetable=timetable, clock=clock)


def problem(
    load: SimpleNamespace, kind: str, body: Any, began: float, ended: float, *, status: int = 200, **facts: Any
) -> str:
    clips = tuple(load.models.Clip(name, b"", "audio/wav") for name in ("clip", "other")[: 1 + (kind == "batch")])
    answer = load.requests.Answer(status, body, began=began, ended=ended, **facts)
    return load.judge.problem(load.requests.Case(kind, clips, "lora"), answer)


def test_an_answer_is_of_a_model_that_served_at_its_time(load: SimpleNamespace) -> None:
    first, second = ({"model": "lora", "notice": "…", "probabilities": p} for p in (FIRST, SECOND))
    assert problem(load, "predict", first, 1, 9) == problem(load, "predict", first, 11, 13) == ""
    assert problem(load, "predict", second, 9, 10.5) == problem(load, "predict", second, 13, 14) == ""
    assert "off the offline prediction" in problem(load, "predict", second, 1, 9)
    assert "off the offline prediction" in problem(load, "predict", first, 13, 14), "it had been replaced"
    assert "answered" in problem(load, "predict", first | {"model": "frozen"}, 1, 9)
    spoilt = first | {"probabilities": {"joy": 0.7501, "anger": 0.2499}}
    assert "off the offline prediction" in problem(load, "predict", spoilt, 1, 9)


def test_a_refusal_is_right_where_there_is_a_reason(load: SimpleNamespace) -> None:
    absent = {"status": 404, "code": "unknown_model"}
    assert problem(load, "predict", {}, 1, 9, **absent)
    load.clock.now = 20.0
    load.timetable.begin("lora", None)
    assert problem(load, "predict", {}, 13, 19, **absent) and not problem(load, "predict", {}, 19, 21, **absent)
    assert load.timetable.names() == ["frozen"]
    load.timetable.withdraw("lora")
    assert problem(load, "predict", {}, 19, 21, **absent) and load.timetable.present("lora") == "lora-2"
    full = {"status": 503, "code": "queue_full"}
    assert problem(load, "predict", {}, 1, 9, **full, retry_after="2") == ""
    assert problem(load, "predict", {}, 1, 9, **full)
    assert problem(load, "predict", {}, 1, 9, status=503, code="timed_out")


def test_a_batch_is_of_one_model_and_whole(load: SimpleNamespace) -> None:
    lines = [{"index": index, "model": "lora", "notice": "…", "probabilities": SECOND} for index in (1, 0)]
    assert problem(load, "batch", lines, 11, 13) == ""
    assert problem(load, "batch", [lines[0], lines[1] | {"probabilities": FIRST}], 11, 13), "a line of another model"
    assert problem(load, "batch", lines[:1], 11, 13) and problem(load, "batch", [lines[0], lines[0]], 11, 13)
    assert problem(load, "batch", [lines[0], {"index": 0, "error": "defect"}], 11, 13)


def test_a_stream_ends_with_the_timeline_that_it_sent(load: SimpleNamespace) -> None:
    end = {"type": "end", "model": "lora", "notice": "…", "segments": [SEGMENT], "complete": True}
    ready, segment = {"type": "ready"}, {"type": "segment"} | SEGMENT
    assert problem(load, "stream", [ready, segment, end], 1, 9, close=1000) == ""
    assert problem(load, "stream", [ready, end], 1, 9, close=1000), "a segment was not sent"
    assert problem(load, "stream", [ready, segment, end], 1, 9, close=1012)
    assert problem(load, "stream", [ready, segment, end | {"complete": False}], 1, 9, close=1000)
    other = SEGMENT | {"end": 1.5}
    assert problem(load, "stream", [ready, segment | other, end | {"segments": [other]}], 1, 9, close=1000)
