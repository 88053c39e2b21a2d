"""One label a clip: cross-entropy, softmax, macro F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.measures.classification import MACRO_F1, UAR
from affetto.measures.measure import ClassMeasure
from affetto.measures.probability import LOG_LOSS
from affetto.measures.registry import shown_measures
from affetto.measures.scores import scores as class_scores
from affetto.targets.label_sets import fit_sets
from affetto.targets.linear import logistic
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
from affetto.targets.temperature import confidence

if TYPE_CHECKING:
    from torch import Tensor

VALIDATED: dict[str, ClassMeasure] = {"loss": LOG_LOSS, "macro_f1": MACRO_F1, "uar": UAR}
"""Measures of the validation clips after an epoch, by their names in the log and in `training.select`."""


@dataclass(frozen=True)
class OneLabel(Target):
    """Base of targets whose prediction is one label: softmax over `labels`, and the scores of classes."""

    labels: tuple[str, ...]
    has_classes: ClassVar[bool] = True
    mixes: ClassVar[bool] = True
    main_measure: ClassVar[str] = "macro_f1"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        return cls(labels=tuple(fields["labels"]))

    def to_json(self) -> dict[str, Any]:
        return {"labels": list(self.labels)}

    def activate(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(dim=1)

    def strata(self, clips: Sequence[AnnotatedClip]) -> list[str] | None:
        return None

    def truth_fields(self, clip: AnnotatedClip) -> dict[str, Any]:
        return {"truth": clip.emotion}

    def fields(self, values: NDArray[Any], decision: Any = None) -> dict[str, Any]:
        return {"probabilities": dict(zip(self.labels, rounded(values), strict=True))}

    def check_test(self, clips: AnnotatedClips) -> None:
        if not clips.labels:
            raise UserError(
                f"{clips.corpus} has no emotions, and the model is tested by them (it knows {', '.join(self.labels)}): "
                "give a table with an emotion column, or with ratings of emotions"
            )

    def obstacle(self, clip: AnnotatedClip) -> str:
        return "" if clip.emotion in self.labels else clip.emotion or "no emotion"

    def scores(self, rows: Rows) -> dict[str, Any]:
        return class_scores(
            [row["truth"] for row in rows],
            np.array([list(row["probabilities"].values()) for row in rows]),
            self.labels,
            [row["speaker"] for row in rows],
        )

    def scored(self, scores: Mapping[str, Any]) -> list[Scored]:
        return of_measures(shown_measures(), scores)

    def headline(self, scores: Mapping[str, Any]) -> dict[str, float]:
        return {measure.name: scores[measure.name] for measure in shown_measures() if measure.name in scores}

    def summary(self, scores: Mapping[str, Any]) -> str:
        return f"{MACRO_F1.title} {MACRO_F1.text(scores['macro_f1'])}"

    def confidence(self, folds: Sequence[Mapping[str, Rows]]) -> dict[str, Any]:
        return confidence(folds)

    def label_sets(self, folds: Sequence[Mapping[str, Rows]]) -> dict[str, Any]:
        return fit_sets(folds, self.labels)

    def probe_score(self, outputs: Floats, truth: NDArray[Any]) -> float:
        called, true = outputs.argmax(1), self.called(truth)
        return UAR.of_labels(true, called, int(max(true.max(), called.max())) + 1)

    def called(self, truth: NDArray[Any]) -> NDArray[np.int64]:
        return truth.astype(np.int64)


@dataclass(frozen=True)
class Classes(OneLabel):
    """One label a clip."""

    name: ClassVar[str] = "classes"
    title: ClassVar[str] = "classes"
    order: ClassVar[int] = 0
    learns_from_annotations: ClassVar[bool] = False

    @classmethod
    def of_clips(cls, clips: AnnotatedClips, settings: TargetSettings) -> Self:
        return cls(checked_labels(clips))

    @property
    def label_shape(self) -> tuple[int, ...]:
        return ()

    def encode(self, clip: AnnotatedClip) -> int:
        return self.labels.index(clip.emotion)

    def loss(self, truth: Tensor, settings: LossSettings, factors: Tensor | None = None) -> Loss:
        from affetto.targets.losses import CrossEntropy

        return CrossEntropy.fitted(truth, len(self.labels), settings, factors)

    def validation_scores(self, values: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
        return {name: measure.of_predictions(values, truth) for name, measure in VALIDATED.items()}

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
        return logistic(
            features,
            truth,
            strength,
            outputs=len(self.labels),
            weighted=weighted,
            clip_weights=clip_weights,
            originals=originals,
        )


def checked_labels(clips: AnnotatedClips) -> tuple[str, ...]:
    """The emotions of the clips. Raises UserError unless every clip has one, and they are two or more."""
    bare = [clip.name for clip in clips.clips if not clip.emotion]
    if bare:
        raise UserError(
            f"{clips.corpus}: {len(bare)} of {len(clips.clips)} clips have no emotion (first: {bare[0]}), and "
            "training needs one for each; give a table with an emotion column, or with ratings of emotions"
        )
    if len(clips.labels) < 2:
        raise UserError(
            f"{clips.corpus}: all {len(clips.clips)} clips show {clips.labels[0]!r}, and a classifier needs "
            "two emotions or more: check the column of emotions, and --label"
        )
    return clips.labels
