"""Models that are served, by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from affetto.errors import unknown
from affetto.inference.adaptation import parts_of
from affetto.inference.identity import identity_of
from affetto.inference.predictor import Predictor
from affetto.inference.shared_weights import shared_bytes
from affetto.models.licences import read_licences
from affetto.serving.batching import MOST, Kind
from affetto.serving.refusals import RefusalError
from affetto.serving.schemas import LicenceAnswer, ModelAnswer, TargetAnswer
from affetto.targets.registry import target_fields


@dataclass(frozen=True, eq=False)
class Model:
    """A model that is served. A request keeps to the model with which it began."""

    name: str
    predictor: Predictor
    kind: Kind
    """Its windows in the batcher."""
    watched: Kind | None = None
    """Its windows with their distance from the training clips; None for a model without statistics of those."""
    statistics: Kind | None = None
    """Its windows up to a head that speakers may have of their own; None for a model that cannot be adapted so."""
    version: str | None = None
    """Identity of what was loaded (`inference/identity.py`); None for a model of another package."""

    @property
    def version_field(self) -> dict[str, str]:
        """The field `model_version` of its answers; none without a version."""
        return {} if self.version is None else {"model_version": self.version}

    def adapted(self, statistics: np.ndarray) -> Model:
        """Adapt to the speaker whose clips have these statistics, (clips, 2 width).

        Windows of all speakers go together, since they differ in what comes after them.
        """
        assert self.statistics is not None
        predictor = parts_of(self.predictor).adapted(statistics)
        return replace(self, predictor=predictor, kind=self.statistics, watched=self.statistics)


def model_of(name: str, predictor: Predictor) -> Model:
    """Make a model of a predictor.

    On a CPU a long recording has one window in a batch, so that whoever comes meanwhile waits for one window. A device
    computes a whole batch in the time of a few windows. Raises UserError where its files are gone.
    """
    watching = copy.copy(predictor)
    if watching.novelty is not None:
        watching.watch()
    return Model(
        name=name,
        predictor=predictor,
        kind=_kind(predictor),
        watched=_kind(watching) if watching.watches else None,
        statistics=_statistics_kind(predictor) if predictor.adapts else None,
        version=identity_of(predictor.files),
    )


def _kind(predictor: Predictor) -> Kind:
    work = predictor.begin if predictor.batches_ahead else predictor.window_probabilities
    return Kind(work, turn=_turn(predictor))


def _statistics_kind(predictor: Predictor) -> Kind:
    parts = parts_of(predictor)
    work = parts.begin_statistics if predictor.batches_ahead else parts.window_statistics
    return Kind(work, turn=_turn(predictor))


def _turn(predictor: Predictor) -> int:
    return MOST if predictor.decoders else 1


class Catalogue:
    """Models by name, in their order; the first is the default."""

    def __init__(self, predictors: Mapping[str, Predictor]) -> None:
        self._models: dict[str, Model] = {}
        self._watchers: list[Callable[[], None]] = []
        self.use(predictors)

    @property
    def models(self) -> dict[str, Model]:
        """The models that are served now."""
        return self._models

    @models.setter
    def models(self, models: dict[str, Model]) -> None:
        self._models = models
        for tell in self._watchers:
            tell()

    def watch(self, tell: Callable[[], None]) -> None:
        """Call `tell`, in whatever thread, whenever other models are served."""
        self._watchers.append(tell)

    def use(self, predictors: Mapping[str, Predictor]) -> None:
        """Serve these; a server serves one at least."""
        self.models = {name: model_of(name, predictor) for name, predictor in predictors.items()}

    @property
    def predictors(self) -> dict[str, Predictor]:
        """The models' predictors by name."""
        return {name: model.predictor for name, model in self.models.items()}

    @property
    def default(self) -> str:
        """Name of the model that answers where a request names none."""
        return next(iter(self.models))

    def find(self, name: str | None) -> Model:
        """The model of a name; None or "": the default. Raises RefusalError (404) for an unknown one."""
        models = self.models
        name = name or next(iter(models))
        if name not in models:
            raise RefusalError(404, "unknown_model", str(unknown("model", name[:80], models)))
        return models[name]

    def describe(self) -> list[ModelAnswer]:
        return [self.description(model) for model in self.models.values()]

    def description(self, model: Model) -> ModelAnswer:
        """Describe a model, which may have been removed since."""
        name, predictor = model.name, model.predictor
        card: dict[str, Any] = predictor.card
        backbone = card.get("backbone", {}).get("name")
        return ModelAnswer(
            name=name,
            default=name == self.default,
            labels=list(predictor.labels),
            method=_method(card),
            # Of a folder only the last name is shown: its place on the server is private.
            backbone=Path(backbone).name if backbone and Path(backbone).is_dir() else backbone,
            precision=getattr(predictor, "precision", None),
            window_seconds=predictor.window_seconds,
            shares_backbone_with=[
                neighbour
                for neighbour, its in self.predictors.items()
                if neighbour != name and shared_bytes(predictor, its)
            ],
            synthetic=bool(card.get("synthetic")),
            licences=[LicenceAnswer(**licence.fields()) for licence in read_licences(card)],
            **_target(predictor),
            **_label_table(card),
            **({} if model.version is None else {"version": model.version}),
        )


def _method(card: dict[str, Any]) -> str | None:
    """The method of a model, the number of models in an ensemble, the class of an outside model; None for others."""
    name: str | None = card.get("blueprint", {}).get("method", {}).get("name")
    if name is None and "members" in card:
        return f"ensemble of {len(card['members'])} models"
    return name or card.get("outside", {}).get("class")


def _label_table(card: dict[str, Any]) -> dict[str, dict[str, str | None]]:
    """The field `label_table` of an outside model; none for affetto's own."""
    if "outside" not in card:
        return {}
    return {"label_table": card["outside"]["labels"] | dict.fromkeys(card["outside"]["left_out"])}


def _target(predictor: Predictor) -> dict[str, TargetAnswer]:
    """The field `target` of a model; none for a model of classes, whose labels say all."""
    fields = target_fields(predictor.target).get("target", {})
    level = predictor.card.get("confidence", {}).get("conformal", {}).get("level")
    if not fields:
        return {}
    answer = {name: fields[name] for name in ("kind", "dimensions") if name in fields}
    return {"target": TargetAnswer(**answer, **({} if level is None else {"interval_level": level}))}
