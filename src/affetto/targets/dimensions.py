"""Numbers such as arousal and valence: the concordance correlation coefficient as loss and score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.measures.regression import CCC, RMSE
from affetto.measures.target_scores import dimension_scores
from affetto.targets.conformal import conformal
from affetto.targets.linear import ridge
from affetto.targets.scored import Scored, of_dimensions
from affetto.targets.target import (
    AnnotatedClip,
    AnnotatedClips,
    Floats,
    LinearMap,
    LossSettings,
    Rows,
    Scale,
    Target,
    TargetSettings,
    rounded,
)

if TYPE_CHECKING:
    from torch import Tensor

    from affetto.targets.losses import DimensionLoss

LOSSES = {"ccc": (1.0, 0.0), "mse": (0.0, 1.0), "ccc+mse": (1.0, 1.0)}
"""Weights of 1 - CCC and of the squared error, by the names that `target.dimension_loss` takes. The default is their
sum: where outputs have run off by far, the CCC alone has next to no gradient, and nothing brings them back."""
BINNED = 2
"""Dimensions whose thirds make the groups of a split: 9 groups; with three dimensions there would be 27."""
THIRDS = ("low", "middle", "high")


@dataclass(frozen=True)
class Interval:
    """Least and largest value of a dimension."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"{self.low} to {self.high} is no range")


@dataclass(frozen=True)
class Dimensions(Target):
    """Any number of dimensions, each with its range. Outputs from -1 to 1 are the range; values never leave it."""

    names: tuple[str, ...]
    ranges: tuple[Interval, ...]
    dimension_loss: str = "ccc+mse"

    name: ClassVar[str] = "dimensions"
    title: ClassVar[str] = "dimensions"
    order: ClassVar[int] = 30
    uses: ClassVar[frozenset[str]] = frozenset({"dimension_loss"})
    has_dimensions: ClassVar[bool] = True
    main_measure: ClassVar[str] = "mean_ccc"
    main_title: ClassVar[str] = "CCC"
    probe_title: ClassVar[str] = "ridge regression"
    probe_measure: ClassVar[str] = "mean_ccc"

    @classmethod
    def of_clips(cls, clips: AnnotatedClips, settings: TargetSettings) -> Self:
        ranges = checked_dimensions(clips, cls.name)
        return cls(tuple(ranges), tuple(ranges.values()), settings.dimension_loss)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        ranges = fields["dimensions"]
        return cls(tuple(ranges), tuple(Interval(*ends) for ends in ranges.values()), fields["dimension_loss"])

    def to_json(self) -> dict[str, Any]:
        ranges = {name: [ends.low, ends.high] for name, ends in zip(self.names, self.ranges, strict=True)}
        return {"dimensions": ranges, "dimension_loss": self.dimension_loss}

    @property
    def dimensions(self) -> dict[str, Scale]:
        return dict(zip(self.names, self.ranges, strict=True))

    @property
    def middle(self) -> Floats:
        """Middle of each range, (dimensions,)."""
        return np.array([(ends.low + ends.high) / 2 for ends in self.ranges])

    @property
    def half(self) -> Floats:
        """Half of the length of each range, (dimensions,)."""
        return np.array([(ends.high - ends.low) / 2 for ends in self.ranges])

    def encode(self, clip: AnnotatedClip) -> NDArray[np.float32]:
        values = dict(clip.dimensions)
        return (([values[name] for name in self.names] - self.middle) / self.half).astype(np.float32)

    def encode_labels(self, labels: Tensor) -> Tensor:
        return (labels - labels.new_tensor(self.middle)) / labels.new_tensor(self.half)

    def loss(self, truth: Tensor, settings: LossSettings, factors: Tensor | None = None) -> DimensionLoss:
        return self.scaled_loss()

    def scaled_loss(self) -> DimensionLoss:
        """The loss of values in units in which each range is -1 to 1."""
        from affetto.targets.losses import DimensionLoss

        return DimensionLoss(*LOSSES[self.dimension_loss], middle=tuple(self.middle), half=tuple(self.half))

    def activate(self, outputs: Tensor) -> Tensor:
        import torch

        # Column by column: a tensor of constants would be a copy from the CPU, which a captured graph cannot hold.
        columns = zip(outputs.clamp(-1, 1).unbind(1), self.middle.tolist(), self.half.tolist(), strict=True)
        return torch.stack([column * half + middle for column, middle, half in columns], dim=1)

    def validation_scores(self, values: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
        scaled = (values - self.middle) / self.half
        return {
            "loss": float(np.mean((scaled - truth) ** 2)),
            "mean_ccc": float(CCC.of_predictions(scaled, truth).mean()),
        }

    def main_text(self, scores: Mapping[str, float]) -> str:
        return CCC.text(scores[self.main_measure])

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
        return ridge(features, truth.astype(np.float64), strength, clip_weights=clip_weights)

    def probe_score(self, outputs: Floats, truth: NDArray[Any]) -> float:
        return float(CCC.of_predictions(np.clip(outputs, -1, 1), truth).mean())

    def strata(self, clips: Sequence[AnnotatedClip]) -> list[str] | None:
        """Thirds of the first dimensions, over all clips."""
        columns = []
        for name in self.names[:BINNED]:
            values = np.array([dict(clip.dimensions)[name] for clip in clips])
            thirds = np.searchsorted(np.quantile(values, (1 / 3, 2 / 3)), values, side="left")
            columns.append([f"{name} {THIRDS[third]}" for third in thirds])
        return [", ".join(parts) for parts in zip(*columns, strict=True)]

    def truth_fields(self, clip: AnnotatedClip) -> dict[str, Any]:
        values = dict(clip.dimensions)
        fields = {"truth": dict(zip(self.names, rounded(np.array([values[n] for n in self.names])), strict=True))}
        return fields | self.raters_fields(clip) | ({"emotion": clip.emotion} if clip.emotion else {})

    def raters_fields(self, clip: AnnotatedClip) -> dict[str, Any]:
        """Standard deviation (ddof 1) of the raters' values, as `deviation`, where two or more rated each dimension."""
        of_raters = [dict(rating.dimensions) for rating in clip.ratings]
        columns = [[values[name] for values in of_raters if name in values] for name in self.names]
        if any(len(column) < 2 for column in columns):
            return {}
        deviations = np.array([np.std(column, ddof=1) for column in columns])
        return {"deviation": dict(zip(self.names, rounded(deviations), strict=True))}

    def fields(self, values: NDArray[Any], decision: Any = None) -> dict[str, Any]:
        return {"prediction": dict(zip(self.names, rounded(values), strict=True))}

    def check_test(self, clips: AnnotatedClips) -> None:
        for name, ends in self.dimensions.items():
            if name in clips.unequal_dimensions:
                raise UserError(
                    f"{clips.corpus}: the corpora do not share {name} with one range, {ends.low:g} to {ends.high:g} as "
                    "the model has it; test on one at a time"
                )
            if name not in clips.dimensions:
                raise UserError(
                    f"{clips.corpus} has no {name}, which the model predicts: give a table with that column, or name "
                    f"it with --dimension {name}=COLUMN:{ends.low:g}:{ends.high:g}"
                )
            scale = clips.dimensions[name]
            if (scale.low, scale.high) != (ends.low, ends.high):
                raise UserError(
                    f"{clips.corpus}: {name} goes from {scale.low:g} to {scale.high:g}, and the model predicts "
                    f"{ends.low:g} to {ends.high:g}: convert the column, and give its range with "
                    f"--dimension {name}=COLUMN:{ends.low:g}:{ends.high:g}"
                )

    def obstacle(self, clip: AnnotatedClip) -> str:
        values = dict(clip.dimensions)
        return next((f"no {name}" for name in self.names if name not in values), "")

    def scores(self, rows: Rows) -> dict[str, Any]:
        truth, prediction = (
            np.array([[row[k][n] for n in self.names] for row in rows]) for k in ("truth", "prediction")
        )
        return dimension_scores(truth, prediction, self.names, [row["speaker"] for row in rows])

    def scored(self, scores: Mapping[str, Any]) -> list[Scored]:
        return of_dimensions(scores)

    def headline(self, scores: Mapping[str, Any]) -> dict[str, float]:
        of_each = scores["dimensions"]
        values = {f"{m.name}_{name}": of_each[name][m.name] for m in (CCC, RMSE) for name in self.names}
        return {"mean_ccc": scores["mean_ccc"], **values}

    def summary(self, scores: Mapping[str, Any]) -> str:
        each = ", ".join(f"{name} {CCC.text(scores['dimensions'][name]['ccc'])}" for name in self.names)
        return f"mean CCC {CCC.text(scores['mean_ccc'])}" + (f" ({each})" if len(self.names) > 1 else "")

    def confidence(self, folds: Sequence[Mapping[str, Rows]]) -> dict[str, Any]:
        return conformal(folds, self.names)


def checked_dimensions(clips: AnnotatedClips, target: str) -> dict[str, Interval]:
    """Range of each dimension of the clips. Raises UserError where there is none, or not for every clip."""
    if clips.unequal_dimensions:
        raise UserError(
            f"{clips.corpus}: the corpora do not share {', '.join(clips.unequal_dimensions)} with one range, and "
            f"--target {target} trains on them together: give each the same dimensions and ranges (--dimension "
            "NAME=COLUMN:LOW:HIGH), or train on one"
        )
    if not clips.dimensions:
        raise UserError(
            f"{clips.corpus} has no dimensions, which --target {target} needs: give a table with columns such as "
            "arousal and valence, or name them with --dimension NAME=COLUMN:LOW:HIGH"
        )
    for name in clips.dimensions:
        bare = [clip.name for clip in clips.clips if name not in dict(clip.dimensions)]
        if bare:
            raise UserError(
                f"{clips.corpus}: {len(bare)} of {len(clips.clips)} clips have no {name} (first: {bare[0]}), and "
                f"--target {target} needs a value for each; fill it in, or leave these clips out"
            )
    return {name: Interval(ends.low, ends.high) for name, ends in clips.dimensions.items()}
