"""Small model folders to serve, and a server on the loopback interface to serve them."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from affetto.inference.predictor import Predictor
from affetto.models.classifier import Classifier
from affetto.models.saved import save_classifier
from affetto.serving import process
from affetto.serving.app import create_app
from affetto.serving.catalogue import Catalogue
from affetto.serving.disclosure import Disclosure
from affetto.serving.endpoint import Endpoint
from affetto.serving.limits import Limits
from affetto.serving.model_list import Changes
from affetto.serving.roster import Load, Roster
from affetto.serving.service import Service
from affetto.serving.shelf import Shelf
from models.systems import blueprint, classifier

KEY, RATE_HZ = "whisper-mini", 16_000


def card(made: Classifier, plan: dict[str, Any], key: str, digest: str, **facts: Any) -> dict[str, Any]:
    return {
        "blueprint": plan,
        "audio": {"seconds": 1.0},
        "precision": "float32",
        "backbone": {"name": key, "digest": digest, "random_weights": True, "weights_seed": 0},
        "synthetic": True,
    } | facts


def write_model(folder: Path, method: str, key: str = KEY, **options: Any) -> Path:
    """A model folder with stirred weights, as a run leaves one."""
    from affetto.backbones.checkpoints import load_backbone

    made = classifier(key, method, stir=0.2, **options)
    plan = blueprint(method, **options)
    digest = load_backbone(key, random_weights=True).weights_digest()
    save_classifier(made, folder, card(made, plan, key, digest))
    return folder


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what another thread does; an answer may be there before the line of the log that tells of it."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


class Serving:
    """`with Serving(predictors, limits) as url:` — the real server, on a free port, in a thread."""

    def __init__(
        self,
        predictors: Mapping[str, Any],
        limits: Limits | None = None,
        *,
        page: bool = False,
        names: Collection[str] | None = None,
        root_path: str = "",
        proxies: Sequence[str] = (),
        disclosure: Disclosure | None = None,
        changes: Changes | None = None,
        load: Load = lambda folders: {},
        transcriber: Any = None,
        endpoint: Endpoint | None = None,
    ) -> None:
        self.endpoint = endpoint or Endpoint(port=0)
        self._stack = contextlib.ExitStack()
        self.service = Service(Catalogue(predictors), limits or Limits(), disclosure, transcriber)
        self.roster = Roster(self.service, load, changes or Changes())
        app, self.guard = create_app(self.service, names, root_path, self.roster)
        self.shelf: Shelf | None = None
        if page:
            from affetto.serving.page import mount

            self.shelf = self._stack.enter_context(Shelf.opened(self.service.limits))
            mount(app, self.guard, self.service, self.shelf)
        self.app = app
        self.listening = self._stack.enter_context(self.endpoint.listen())
        up = threading.Event()
        self.server = process.server(
            self.guard,
            head_seconds=self.service.limits.head_seconds,
            is_busy=self.service.is_busy,
            on_start=up.set,
            proxies=proxies,
            certificate=self.endpoint.certificate,
            key=self.endpoint.key,
        )
        self._up = up
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]}, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        assert self._up.wait(60)
        return self.endpoint.url(self.listening)

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(60)
        assert self.service.close()
        self._stack.close()
        assert not self._thread.is_alive()


class Stub(Predictor):
    """A predictor that answers at once, or when it is let."""

    def __init__(self, seconds: float = 4.0) -> None:
        super().__init__(("joy", "anger"), {"audio": {"seconds": seconds}, "synthetic": True})
        self.let, self.entered = threading.Event(), threading.Event()
        self.let.set()
        self.batches: list[int] = []

    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        self.entered.set()
        self.batches.append(len(waves))
        assert self.let.wait(60)
        return np.tile([0.75, 0.25], (len(waves), 1))


def wav(wave: np.ndarray, rate_hz: int = RATE_HZ, **options: Any) -> bytes:
    made = io.BytesIO()
    soundfile.write(made, wave, rate_hz, **{"format": "WAV", "subtype": "FLOAT"} | options)
    return made.getvalue()
