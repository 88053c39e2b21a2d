"""The models that are served, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affetto.errors import unknown
from affetto.inference.predictor import Predictor
from affetto.inference.shared_weights import shared_bytes
from affetto.serving.answers import ModelAnswer
from affetto.serving.refusals import RefusalError


class Catalogue:
    """Names → predictors, in the order given; the first is the default."""

    def __init__(self, predictors: Mapping[str, Predictor]) -> None:
        assert predictors
        self.predictors = dict(predictors)
        self.default = next(iter(self.predictors))

    def resolve(self, name: str | None) -> str:
        """The name of a model that is there. Raises RefusalError (404) for one that is not."""
        if not name:
            return self.default
        if name not in self.predictors:
            raise RefusalError(404, "unknown_model", str(unknown("model", name[:80], self.predictors)))
        return name

    def describe(self) -> list[ModelAnswer]:
        return [self._describe(name, predictor) for name, predictor in self.predictors.items()]

    def _describe(self, name: str, predictor: Predictor) -> ModelAnswer:
        card: dict[str, Any] = predictor.card
        backbone = card.get("backbone", {}).get("name")
        return ModelAnswer(
            name=name, default=name == self.default, labels=list(predictor.labels),
            method=card.get("blueprint", {}).get("method", {}).get("name"),
            # A folder is told by its last name: where it lies is nobody's business.
            backbone=Path(backbone).name if backbone and Path(backbone).is_dir() else backbone,
            precision=getattr(predictor, "precision", None), window_seconds=predictor.window_seconds,
            shares_backbone_with=[
                other for other, its in self.predictors.items()
                if other != name and shared_bytes(predictor, its)
            ],
            synthetic=bool(card.get("synthetic")),
        )  # fmt: skip
