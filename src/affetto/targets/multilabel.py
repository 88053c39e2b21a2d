"""Several labels a clip: binary cross-entropy, a sigmoid for each label, thresholds tuned on validation speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.measures.multilabel import MACRO_F1, MEAN_AVERAGE_PRECISION
from affetto.measures.registry import multilabel_measures
from affetto.measures.target_scores import multilabel_scores
from affetto.targets.linear import of_marks
from affetto.targets.scored import Scored, of_measures
from affetto.targets.target import (
    AnnotatedClip,
    AnnotatedClips,
    Floats,
    LinearMap,
    Loss,
    LossSettings,
    Rows,
    Target,
    TargetSettings,
    rounded,
)

if TYPE_CHECKING:
    from torch import Tensor

CHANCE = "1/K"
TUNED = "tuned"
GRID = np.round(np.arange(0.05, 0.951, 0.05), 2)
"""Thresholds that are tried; few, since validation speakers are few."""


@dataclass(frozen=True)
class Multilabel(Target):
    """Any number of labels a clip. `threshold`: a number, 1/K, or tuned for each label on validation clips."""

    labels: tuple[str, ...]
    threshold: float | str = TUNED

    name: ClassVar[str] = "multilabel"
    title: ClassVar[str] = "several labels"
    order: ClassVar[int] = 20
    uses: ClassVar[frozenset[str]] = frozenset({"threshold"})
    main_measure: ClassVar[str] = "multilabel_macro_f1"
    probe_measure: ClassVar[str] = "mean_average_precision"
    is_tuned: ClassVar[bool] = True
    has_marks: ClassVar[bool] = True
    mixes: ClassVar[bool] = True

    @classmethod
    def of_clips(cls, clips: AnnotatedClips, settings: TargetSettings) -> Self:
        labels = clips.every_label
        bare = [clip.name for clip in clips.clips if not (clip.labels or clip.emotion)]
        if bare:
            raise UserError(
                f"{clips.corpus}: {len(bare)} of {len(clips.clips)} clips have no label (first: {bare[0]}), and "
                "--target multilabel needs one or more for each; fill the emotion column in, as in joy|surprise"
            )
        if not any(clip.labels for clip in clips.clips):
            raise UserError(
                f"{clips.corpus}: no clip has several labels; write them as joy|surprise in the emotion column, or use "
                "--target classes"
            )
        return cls(labels, settings.threshold)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        return cls(tuple(fields["labels"]), fields["threshold"])

    def to_json(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "threshold": self.threshold}

    def encode(self, clip: AnnotatedClip) -> NDArray[np.float32]:
        present = clip.labels or (clip.emotion,)
        return np.array([label in present for label in self.labels], dtype=np.float32)

    def loss(self, truth: Tensor, settings: LossSettings, factors: Tensor | None = None) -> Loss:
        from affetto.targets.losses import BinaryCrossEntropy

        return BinaryCrossEntropy.fitted(truth, settings)

    def activate(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid()

    def validation_scores(self, values: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
        clipped = np.clip(values, 1e-7, 1 - 1e-7)
        likelihood = truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped)
        limits = self._limits(values, truth)
        return {
            "loss": float(-likelihood.mean()),
            "multilabel_macro_f1": MACRO_F1.of_predictions(values, truth, limits),
            "mean_average_precision": MEAN_AVERAGE_PRECISION.of_predictions(values, truth),
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
        return of_marks(features, truth, strength, weighted=weighted, clip_weights=clip_weights, originals=originals)

    def probe_score(self, outputs: Floats, truth: NDArray[Any]) -> float:
        return MEAN_AVERAGE_PRECISION.of_predictions(outputs, truth)

    def strata(self, clips: Sequence[AnnotatedClip]) -> list[str] | None:
        return None  # the label that a clip names first: sets of labels are too many to keep in proportion

    def truth_fields(self, clip: AnnotatedClip) -> dict[str, Any]:
        return {"truth": list(clip.labels or (clip.emotion,))}

    def fields(self, values: NDArray[Any], decision: Any = None) -> dict[str, Any]:
        numbers = rounded(values)
        limits = self._fixed() if decision is None else decision
        called = [label for label, p in zip(self.labels, numbers, strict=True) if p >= limits[label]]
        return {"probabilities": dict(zip(self.labels, numbers, strict=True)), "prediction": called}

    def decision(self, rows: Rows) -> dict[str, float]:
        """Threshold of each label."""
        limits = self._limits(self._values(rows), self._marks(rows, "truth"))
        return dict(zip(self.labels, (float(limit) for limit in limits), strict=True))

    def check_test(self, clips: AnnotatedClips) -> None:
        if not clips.every_label:
            raise UserError(
                f"{clips.corpus} has no emotions, and the model is tested by them (it knows {', '.join(self.labels)}): "
                "give a table with an emotion column, as in joy|surprise"
            )

    def obstacle(self, clip: AnnotatedClip) -> str:
        present = clip.labels or (clip.emotion,)
        return "" if set(present) & set(self.labels) else "|".join(present) or "no emotion"

    def scores(self, rows: Rows) -> dict[str, Any]:
        return multilabel_scores(
            self._marks(rows, "truth"),
            self._values(rows),
            self.labels,
            [row["speaker"] for row in rows],
            called=self._marks(rows, "prediction").astype(bool),
        )

    def scored(self, scores: Mapping[str, Any]) -> list[Scored]:
        main = sorted(multilabel_measures(), key=lambda measure: measure is not MACRO_F1)
        return of_measures(main, scores)

    def headline(self, scores: Mapping[str, Any]) -> dict[str, float]:
        return {measure.name: scores[measure.name] for measure in multilabel_measures()}

    def summary(self, scores: Mapping[str, Any]) -> str:
        return f"{MACRO_F1.title} {MACRO_F1.text(scores[MACRO_F1.name])}"

    def confidence(self, folds: Sequence[Mapping[str, Rows]]) -> dict[str, Any]:
        rows = [row for fold in folds for row in fold["validation"]]
        return {
            "thresholds": self.decision(rows),
            "fitted_on": "validation speakers" if len(folds) == 1 else f"validation speakers of {len(folds)} folds",
            "clips": len(rows),
            "speakers": len({row["speaker"] for row in rows}),
        }

    def _fixed(self) -> dict[str, float]:
        """The thresholds without validation clips: the number that was set, else 1/K."""
        limit = self.threshold if isinstance(self.threshold, float) else 1 / len(self.labels)
        return dict.fromkeys(self.labels, limit)

    def _limits(self, values: NDArray[Any], marks: NDArray[Any]) -> Floats:
        """Threshold of each label (labels,), tuned by F1 on these clips where it is to be; of equal ones the middle."""
        limits = np.array(list(self._fixed().values()))
        if self.threshold != TUNED:
            return limits
        called = values[None] >= GRID[:, None, None]
        hits = (called & (marks > 0)).sum(axis=1)
        f1 = 2 * hits / np.maximum(called.sum(axis=1) + marks.sum(axis=0), 1)
        for column in np.flatnonzero(marks.sum(axis=0)):
            best = np.flatnonzero(f1[:, column] >= f1[:, column].max() - 1e-12)
            limits[column] = GRID[best[len(best) // 2]]
        return limits

    def _marks(self, rows: Rows, field: str) -> NDArray[np.float64]:
        return np.array([[label in row[field] for label in self.labels] for row in rows], dtype=np.float64)

    def _values(self, rows: Rows) -> Floats:
        return np.array([[row["probabilities"][label] for label in self.labels] for row in rows])
