"""Labels and dimensions on one encoder: the sum of both losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from affetto.targets.classes import Classes, OneLabel
from affetto.targets.dimensions import Dimensions
from affetto.targets.distribution import Distribution
from affetto.targets.linear import stacked
from affetto.targets.scored import MEAN_CCC, Scored
from affetto.targets.target import (
    AnnotatedClip,
    AnnotatedClips,
    Floats,
    LinearMap,
    Loss,
    LossSettings,
    Rows,
    Scale,
    Target,
    TargetSettings,
)

if TYPE_CHECKING:
    from torch import Tensor

OF_LABELS: dict[str, type[OneLabel]] = {kind.name: kind for kind in (Classes, Distribution)}
"""Targets that can be joined with dimensions, by the names that `target.joint` takes."""


@dataclass(frozen=True)
class Joint(Target):
    """Outputs of `of_labels`, then those of `numbers`. A prediction is one of classes with `dimensions` beside it."""

    of_labels: OneLabel
    numbers: Dimensions
    dimension_weight: float = 1.0

    name: ClassVar[str] = "joint"
    title: ClassVar[str] = "classes and dimensions"
    order: ClassVar[int] = 40
    uses: ClassVar[frozenset[str]] = frozenset({"joint", "dimension_loss", "dimension_weight"})
    has_classes: ClassVar[bool] = True
    has_dimensions: ClassVar[bool] = True
    main_measure: ClassVar[str] = "macro_f1"
    probe_title: ClassVar[str] = "logistic and ridge regression"

    @classmethod
    def of_clips(cls, clips: AnnotatedClips, settings: TargetSettings) -> Self:
        numbers = Dimensions.of_clips(clips, settings)
        return cls(OF_LABELS[settings.joint].of_clips(clips, settings), numbers, settings.dimension_weight)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        of_labels = OF_LABELS[fields["joint"]].from_json(fields)
        return cls(of_labels, Dimensions.from_json(fields), fields["dimension_weight"])

    def to_json(self) -> dict[str, Any]:
        own = {"joint": self.of_labels.name, "dimension_weight": self.dimension_weight}
        return {**self.of_labels.to_json(), **self.numbers.to_json(), **own}

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.of_labels.labels

    @property
    def has_shares(self) -> bool:  # type: ignore[override]
        return self.of_labels.has_shares

    @property
    def dimensions(self) -> dict[str, Scale]:
        return self.numbers.dimensions

    def encode(self, clip: AnnotatedClip) -> NDArray[np.float32]:
        return np.concatenate([np.atleast_1d(self.of_labels.encode(clip)), self.numbers.encode(clip)], dtype=np.float32)

    @property
    def label_shape(self) -> tuple[int, ...]:
        return (self.columns + len(self.dimensions),)

    def encode_labels(self, labels: Tensor) -> Tensor:
        import torch

        numbers = self.numbers.encode_labels(labels[:, self.columns :])
        return torch.cat([labels[:, : self.columns], numbers], dim=1)

    def loss(self, truth: Tensor, settings: LossSettings, factors: Tensor | None = None) -> Loss:
        from affetto.targets.losses import JointLoss

        of_labels, _ = self._parts(truth)
        return JointLoss(
            labels=self.of_labels.loss(of_labels, settings, factors),
            dimensions=self.numbers.scaled_loss(),
            outputs=len(self.labels),
            columns=self.columns,
            weight=self.dimension_weight,
        )

    @property
    def columns(self) -> int:
        """Columns of the labels' truth; 1: the index of a class."""
        return len(self.labels) if self.of_labels.learns_from_annotations else 1

    def activate(self, outputs: Tensor) -> Tensor:
        import torch

        count = len(self.labels)
        return torch.cat([self.of_labels.activate(outputs[:, :count]), self.numbers.activate(outputs[:, count:])], 1)

    def validation_scores(self, values: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
        of_labels, numbers = self._parts(truth)
        first = self.of_labels.validation_scores(values[:, : len(self.labels)], of_labels)
        second = self.numbers.validation_scores(values[:, len(self.labels) :], numbers)
        return first | {
            "loss": first["loss"] + self.dimension_weight * second["loss"],
            "mean_ccc": second["mean_ccc"],
        }

    def solve(
        self,
        features: Floats,
        truth: NDArray[Any],
        strength: float,
        *,
        weighted: bool,
        clip_weights: Floats | None = None,
        originals: NDArray[np.bool_] | None = None,
    ) -> LinearMap:
        of_labels, numbers = self._parts(truth)
        # Targets of plug-ins may not know copies of clips.
        copies = {} if originals is None else {"originals": originals}
        options: dict[str, Any] = {"weighted": weighted, "clip_weights": clip_weights, **copies}
        return stacked(
            self.of_labels.solve(features, of_labels, strength, **options),
            self.numbers.solve(features, numbers, strength, **options),
        )

    def called(self, truth: NDArray[Any]) -> NDArray[np.int64]:
        return self.of_labels.called(self._parts(truth)[0])

    def probe_score(self, outputs: Floats, truth: NDArray[Any]) -> float:
        return self.of_labels.probe_score(outputs[:, : len(self.labels)], self._parts(truth)[0])

    def strata(self, clips: Sequence[AnnotatedClip]) -> list[str] | None:
        return self.of_labels.strata(clips)

    def truth_fields(self, clip: AnnotatedClip) -> dict[str, Any]:
        numbers = self.numbers.truth_fields(clip)["truth"]
        return self.of_labels.truth_fields(clip) | {"dimension_truth": numbers} | self.numbers.raters_fields(clip)

    def fields(self, values: NDArray[Any], decision: Any = None) -> dict[str, Any]:
        count = len(self.labels)
        return {**self.of_labels.fields(values[:count]), **self.numbers.fields(values[count:])}

    def check_test(self, clips: AnnotatedClips) -> None:
        self.of_labels.check_test(clips)
        self.numbers.check_test(clips)

    def obstacle(self, clip: AnnotatedClip) -> str:
        return self.of_labels.obstacle(clip) or self.numbers.obstacle(clip)

    def scores(self, rows: Rows) -> dict[str, Any]:
        scores, numbers = self.of_labels.scores(rows), self.numbers.scores(self._number_rows(rows))
        # The units of both intervals are the same speakers.
        scores["interval"][MEAN_CCC] = numbers["interval"][MEAN_CCC]
        return scores | {name: numbers[name] for name in ("dimensions", MEAN_CCC)}

    def scored(self, scores: Mapping[str, Any]) -> list[Scored]:
        return self.of_labels.scored(scores) + self.numbers.scored(scores)

    def headline(self, scores: Mapping[str, Any]) -> dict[str, float]:
        return self.of_labels.headline(scores) | self.numbers.headline(scores)

    def summary(self, scores: Mapping[str, Any]) -> str:
        return f"{self.of_labels.summary(scores)}, {self.numbers.summary(scores)}"

    def confidence(self, folds: Sequence[Mapping[str, Rows]]) -> dict[str, Any]:
        numbers = [{part: self._number_rows(fold[part]) for part in ("validation", "test")} for fold in folds]
        return self.of_labels.confidence(folds) | {"conformal": self.numbers.confidence(numbers)["conformal"]}

    def label_sets(self, folds: Sequence[Mapping[str, Rows]]) -> dict[str, Any]:
        return self.of_labels.label_sets(folds)

    def number_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**row, "truth": row["dimension_truth"]}

    def _number_rows(self, rows: Rows) -> Rows:
        return [self.number_row(row) for row in rows]

    def _parts(self, truth: Any) -> tuple[Any, Any]:
        """Truth (clips, columns + dimensions) of the labels and of the dimensions, as their targets take it."""
        of_labels, numbers = truth[:, : self.columns], truth[:, self.columns :]
        if self.columns > 1:
            return of_labels, numbers
        index = of_labels[:, 0]
        return (index.astype(np.int64) if isinstance(index, np.ndarray) else index.long()), numbers
