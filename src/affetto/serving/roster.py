"""Changes of the models that a server serves, while it serves them: by requests of its admin, or by a file.

A model is loaded and warmed up beside those that serve. Then it takes its name at once: a request that has begun ends
with the model with which it began, and the former model's memory is free after the last of these.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from affetto.errors import UserError
from affetto.inference.predictor import Predictor
from affetto.serving import logs
from affetto.serving.batching import ClosedError, Kind, Owner
from affetto.serving.catalogue import Model, model_of
from affetto.serving.model_list import Changes, Stamp, read_models, stamp
from affetto.serving.refusals import RefusalError, ending
from affetto.serving.schemas import ModelAnswer
from affetto.serving.service import Service

Load = Callable[[Mapping[str, Path]], dict[str, Predictor]]
"""Loads models by name. Raises UserError for one that cannot be loaded."""
PINNED = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*@[\w.-]+", re.ASCII)
"""Model of the hub in a state that does not change."""
COLLECTING_SECONDS = 3600.0
"""Longest time that a removed model's memory is waited for."""


class Roster:
    """Models of a service, which may change. Each method is called in a thread, and is alone at work."""

    def __init__(self, service: Service, load: Load, changes: Changes) -> None:
        self._service, self._load, self._changes = service, load, changes
        self._lock = threading.Lock()
        self._listed: dict[str, tuple[Path, Stamp]] = {}

    def note_listed(self, folders: Mapping[str, Path]) -> None:
        """Note the state of the models of the file, before they are loaded."""
        self._listed = {name: (path, stamp(path)) for name, path in folders.items()}

    def add(self, name: str, path: str) -> tuple[ModelAnswer, bool]:
        """Load a model and serve it. Returns its description, and True if it replaces one of that name.

        Raises RefusalError: 403 for a path that is not allowed, 409 while another change is at work, 422 for a model
        that cannot be loaded; the models are as before then.
        """
        with self._changing(waits=False):
            models = self._service.catalogue.models
            (model,) = self._loaded({name: self._permitted(path)}).values()
            self._use({**models, name: model})
            self._listed.pop(name, None)  # the file's model of that name serves no more
            # Before another change may remove it.
            description = self._service.catalogue.description(model)
        logs.event("model_added", model=name, replaces=name in models)
        return description, name in models

    def remove(self, name: str) -> None:
        """Serve a model no more. Raises RefusalError: 404 for an unknown one, 409 for the last, or during a change."""
        with self._changing(waits=False):
            self._service.catalogue.find(name)
            models = {key: model for key, model in self._service.catalogue.models.items() if key != name}
            if not models:
                raise RefusalError(409, "last_model", f"{name!r} is the only model: add another before")
            self._use(models)
        logs.event("model_removed", model=name)

    def reload(self) -> None:
        """Read the file again and serve its models, those that have changed anew. An error in the log changes none."""
        file = self._changes.file
        assert file is not None
        try:
            with self._changing(waits=True):
                folders = read_models(file)
                listed = {name: (path, stamp(path)) for name, path in folders.items()}
                models = self._service.catalogue.models
                unchanged = {
                    name for name, facts in listed.items() if self._listed.get(name) == facts and name in models
                }
                loaded = self._loaded({name: path for name, path in folders.items() if name not in unchanged})
                self._use({name: models[name] if name in unchanged else loaded[name] for name in folders})
                self._listed = listed
        except (UserError, RefusalError) as problem:
            logs.event("models_unreadable", logging.ERROR, message=str(problem))
        except Exception as problem:
            logs.failure("models_unreadable", problem)
        else:
            logs.event("models_read", models=list(folders), loaded=sorted(loaded))

    @contextlib.contextmanager
    def _changing(self, *, waits: bool) -> Iterator[None]:
        if not self._lock.acquire(blocking=waits):
            raise RefusalError(409, "changing", "another change of the models is at work: try again later")
        try:
            yield
        finally:
            self._lock.release()

    def _permitted(self, path: str) -> Path:
        """The path of a model that may be added. Raises RefusalError (403); it tells nothing of other paths."""
        root = None if self._changes.folder is None else self._changes.folder.resolve()
        with contextlib.suppress(OSError, ValueError):
            if root is not None:
                place = (root / path).resolve()
                if place.is_relative_to(root) and place.exists():
                    links = (file.resolve() for file in place.rglob("*") if file.is_symlink())
                    if all(link.is_relative_to(root) for link in links):
                        return place
            if self._changes.allows_hub and PINNED.fullmatch(path) and not Path(path).exists():
                return Path(path)
        allowed = [] if root is None else ["a path below --models-folder, without links that lead out of it"]
        allowed += ["a model of the hub as owner/name@revision"] * self._changes.allows_hub
        hint = "give " + ", or ".join(allowed) if allowed else "the server has no --models-folder"
        raise RefusalError(403, "path_not_allowed", f"path: not a model that may be served; {hint}")

    def _loaded(self, folders: Mapping[str, Path]) -> dict[str, Model]:
        """Load models and warm them up in the computing thread. Raises RefusalError (422)."""
        try:
            models = {name: model_of(name, predictor) for name, predictor in self._load(folders).items()}
        except UserError as problem:
            raise RefusalError(422, "unusable_model", str(problem)) from None
        for model in models.values():
            self._warm_up(model.predictor)
        return models

    def _warm_up(self, predictor: Predictor) -> None:
        batcher = self._service.batcher

        def work(items: Sequence[int]) -> Sequence[int]:
            for clips in items:
                predictor.warm_up(clips)
            return items

        try:
            (warm,) = batcher.submit(Owner(Kind(work)), [batcher.most])
        except ClosedError:
            raise ending() from None
        warm.result()

    def _use(self, models: dict[str, Model]) -> None:
        """Serve these models from now on, and free the memory of others once no request has them."""
        former = self._service.catalogue.models
        self._service.catalogue.models = models
        gone = [weakref.ref(model.predictor) for model in former.values() if model not in models.values()]
        if gone:
            threading.Thread(target=_collect, args=(gone,), name="affetto-collect", daemon=True).start()


def _collect(gone: Sequence[weakref.ref[Predictor]]) -> None:
    """Collect garbage until these are free: a model has circles of references, which the collector sees late."""
    pause, end = 0.1, time.monotonic() + COLLECTING_SECONDS
    while any(reference() is not None for reference in gone) and time.monotonic() < end:
        gc.collect()
        time.sleep(pause)
        pause = min(30.0, 2 * pause)
