"""Raters' shares of each label: Kullback–Leibler divergence, softmax; scored by the shares and by the one label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.measures.classification import MACRO_F1, UAR
from affetto.measures.distribution import KL
from affetto.measures.registry import distribution_measures
from affetto.measures.target_scores import distribution_scores
from affetto.targets.classes import OneLabel, checked_labels
from affetto.targets.linear import of_shares
from affetto.targets.scored import Scored, of_measures
from affetto.targets.target import (
    AnnotatedClip,
    AnnotatedClips,
    Floats,
    LinearMap,
    Loss,
    LossSettings,
    Rows,
    TargetSettings,
    rounded,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


@dataclass(frozen=True)
class Distribution(OneLabel):
    """Shares of the raters who name each label.

    The truth of the one label is the corpus's (`emotion`), so that its scores compare with those of `classes`.
    """

    name: ClassVar[str] = "distribution"
    title: ClassVar[str] = "raters' shares"
    order: ClassVar[int] = 10
    has_shares: ClassVar[bool] = True  # type: ignore[misc]

    @classmethod
    def of_clips(cls, clips: AnnotatedClips, settings: TargetSettings) -> Self:
        target = cls(checked_labels(clips))
        target.check(clips)
        return target

    def check(self, clips: AnnotatedClips) -> None:
        """Raise UserError for clips without ratings, and where no clip has two."""
        bare = [clip.name for clip in clips.clips if not any(rating.labels for rating in clip.ratings)]
        if bare:
            raise UserError(
                f"{clips.corpus}: {len(bare)} of {len(clips.clips)} clips have no ratings (first: {bare[0]}), and "
                "--target distribution learns the raters' shares; give a table with a ratings or a rater column, or "
                "use --target classes"
            )
        if all(len(clip.ratings) < 2 for clip in clips.clips):
            raise UserError(
                f"{clips.corpus}: every clip has one rating, so there are no shares to learn; use --target classes"
            )
        for clip in clips.clips:
            try:
                clip.shares(self.labels)
            except ValueError as problem:
                raise UserError(
                    f"{clips.corpus}: clip {clip.name}: {problem}; map its labels with --label, or leave it out"
                ) from None

    def encode(self, clip: AnnotatedClip) -> NDArray[np.float32]:
        return clip.shares(self.labels).astype(np.float32)

    def loss(self, truth: Tensor, settings: LossSettings, factors: Tensor | None = None) -> Loss:
        from affetto.targets.losses import SoftCrossEntropy

        return SoftCrossEntropy.fitted(truth, settings, factors)

    def validation_scores(self, values: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
        majority = self.called(truth)
        return {
            "loss": KL.of_predictions(values, truth),
            "macro_f1": MACRO_F1.of_predictions(values, majority),
            "uar": UAR.of_predictions(values, majority),
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
        return of_shares(features, truth, strength, weighted=weighted, clip_weights=clip_weights, originals=originals)

    def called(self, truth: NDArray[Any]) -> NDArray[np.int64]:
        return truth.argmax(1).astype(np.int64)

    def truth_fields(self, clip: AnnotatedClip) -> dict[str, Any]:
        return {"truth": clip.emotion, "shares": dict(zip(self.labels, rounded(clip.shares(self.labels)), strict=True))}

    def check_test(self, clips: AnnotatedClips) -> None:
        super().check_test(clips)
        if not any(rating.labels for clip in clips.clips for rating in clip.ratings):
            raise UserError(
                f"{clips.corpus} has no ratings, and the model is tested by the raters' shares: give a table with a "
                "ratings or a rater column"
            )

    def obstacle(self, clip: AnnotatedClip) -> str:
        if reason := super().obstacle(clip):
            return reason
        try:
            clip.shares(self.labels)
        except ValueError:
            return "no rating of an emotion that the model knows"
        return ""

    def scores(self, rows: Rows) -> dict[str, Any]:
        return super().scores(rows) | {"distribution": self.share_scores(rows)}

    def share_scores(self, rows: Rows) -> dict[str, Any]:
        """Scores of the predicted shares beside the raters'."""
        truth = np.array([[row["shares"][label] for label in self.labels] for row in rows])
        values = np.array([[row["probabilities"][label] for label in self.labels] for row in rows])
        speakers = [row["speaker"] for row in rows]
        return distribution_scores(truth, values / values.sum(axis=1, keepdims=True), self.labels, speakers)

    def scored(self, scores: Mapping[str, Any]) -> list[Scored]:
        return super().scored(scores) + of_measures(distribution_measures(), scores["distribution"])

    def headline(self, scores: Mapping[str, Any]) -> dict[str, float]:
        shares = scores["distribution"]
        return super().headline(scores) | {measure.name: shares[measure.name] for measure in distribution_measures()}

    def summary(self, scores: Mapping[str, Any]) -> str:
        return f"{super().summary(scores)}, {KL.title} {KL.text(scores['distribution']['kl'])}"
