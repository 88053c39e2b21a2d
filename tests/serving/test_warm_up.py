"""What a server has done before it is ready, and what it does beside a batch that is computed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from affetto.inference import shared_weights
from affetto.serving import launch
from affetto.serving.batching import MOST
from affetto.serving.catalogue import model_of
from affetto.serving.endpoint import Endpoint
from affetto.serving.limits import Limits
from affetto.serving.service import Service
from serving.served import RATE_HZ, Serving, Stub, until, wav


def test_every_model_has_computed_before_the_server_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models = {"a": Stub(), "b": Stub()}
    warm: list[int] = []
    monkeypatch.setattr(Stub, "warm_up", lambda self, clips: warm.append(clips))
    monkeypatch.setattr(shared_weights, "load_together", lambda *_, **__: models)

    def answer(made: Service, _listening: socket.socket, _names: Collection[str] | None, **_options: Any) -> None:
        assert warm == [made.batcher.most] * 2

    monkeypatch.setattr(launch, "_serve", answer)
    launch.serve([f"a={tmp_path}", f"b={tmp_path}"], Limits(), endpoint=Endpoint(port=0))
    assert warm


def test_a_model_is_warm_after_one_short_batch() -> None:
    model = Stub()
    model.warm_up(16)
    assert model.batches == [1]


def test_work_is_begun_where_a_device_does_it_and_else_computed() -> None:
    model = Stub()
    kind = model_of("a", model).kind
    assert kind.work == model.window_probabilities and kind.turn == 1
    model.batches_ahead = model.decoders = 1
    kind = model_of("a", model).kind
    assert kind.work == model.begin and kind.turn == MOST


def test_a_recording_is_decoded_while_another_is_computed() -> None:
    model = Stub()
    model.let.clear()
    serving = Serving({"stub": model})
    content = wav(np.full(RATE_HZ, 0.1, np.float32))
    with serving as url:
        requests = [
            threading.Thread(target=httpx.post, args=(f"{url}/v1/predict",), kwargs={"files": {"file": content}})
            for _ in range(2)
        ]
        requests[0].start()
        assert model.entered.wait(60)
        requests[1].start()
        until(lambda: serving.service.batcher.waiting == 1)
        assert model.batches == [1], "the first is still computed"
        model.let.set()
        for request in requests:
            request.join(60)
    assert model.batches == [1, 1]
