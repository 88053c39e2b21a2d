"""Distance of a clip's states from those that a model was trained on: a measure of how strange the clip is to it.

Features are those of a statistics head, whatever the head is: mean and deviation over time of the pooled states that
the head sees. The distance is Mahalanobis' to the nearest class, with one covariance for all classes (Lee et al.,
NeurIPS 2018). Features are as many as clips or more, so the covariance is shrunk towards equal variances as far as the
clips call for (Ledoit and Wolf, 2004), and it is stored as its largest directions and one variance for all others.

A distance by itself says nothing. `Novelty.of` says how many of the clips that a fold held out lie nearer to its own
training clips: 0.99 means that 99 of 100 clips of speakers like those of the corpus are less strange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from affetto.errors import UserError

Floats = NDArray[np.float64]
NOVELTY = "novelty.safetensors"
MOST_CLIPS = 1000
"""Clips that statistics, and clips that quantiles are from, at most: more would tell little more."""
MOST_DIRECTIONS = 64
LEAST_CLIPS = 8
"""Fewest clips beyond the number of classes: from fewer no covariance is known."""
ROUNDING, TINY = 2**-10, 1e-12
"""Step from one number to the next in float16, as a share of it; and a scale above 0 for features that are 0."""
LEAST_SHRINKAGE = 1e-3
"""Least shrinkage of the covariance: with it no direction has a variance of 0."""
STORED_DISTANCES = 1000


@dataclass(frozen=True, kw_only=True)
class Novelty:
    """Statistics of training clips (`fit`), and distances of clips that were held out."""

    centre: Floats
    """Mean of the features, (features,)."""
    scale: Floats
    """Standard deviation of the features, (features,)."""
    means: Floats
    """Mean of each class's standardised features, (classes, features)."""
    directions: Floats
    """Directions of largest variance within classes, (directions, features), orthonormal."""
    variances: Floats
    """Variance of each direction, (directions,)."""
    rest: Floats
    """Variance in all other directions, (1,)."""
    held_out: Floats
    """Distances of held-out clips from the training clips of their fold, sorted: (clips,), or their quantiles."""

    @classmethod
    def fit(cls, features: Floats, classes: NDArray[np.int64]) -> Novelty | None:
        """Statistics of training clips by their features (clips, features) and classes (clips,), no clip held out.

        None for too few clips, and for clips that are all the same.
        """
        features = features.astype(np.float64)
        names, owner = np.unique(classes, return_inverse=True)
        freedom = len(features) - len(names)
        if freedom < LEAST_CLIPS:
            return None
        centre, scale = features.mean(0), features.std(0)
        # Stored states are rounded, and what varies no more than that tells nothing.
        scale = np.maximum(scale, ROUNDING * np.abs(centre)) + TINY
        standard = (features - centre) / scale
        means = np.stack([standard[owner == number].mean(0) for number in range(len(names))])
        inner = standard - means[owner]
        if not inner.any():
            return None
        spectrum, directions = _directions(inner, freedom)
        width, count = features.shape[1], len(directions)
        mean = spectrum.sum() / width
        shrinkage = _shrinkage(inner, spectrum, mean, freedom)
        rest = spectrum[count:].sum() / max(width - count, 1)
        return cls(
            centre=centre,
            scale=scale,
            means=means,
            directions=directions,
            variances=(1 - shrinkage) * spectrum[:count] + shrinkage * mean,
            rest=np.array([(1 - shrinkage) * rest + shrinkage * mean]),
            held_out=np.zeros(0),
        )

    def distances(self, features: Floats) -> Floats:
        """Root of the mean squared distance to the nearest class, (clips,), of features (clips, features).

        About 1 for clips like those of the training."""
        standard = (features.astype(np.float64) - self.centre) / self.scale
        squared = np.full(len(features), np.inf)
        for mean in self.means:
            away = standard - mean
            along = away @ self.directions.T
            beside = np.maximum((away**2).sum(1) - (along**2).sum(1), 0.0)
            squared = np.minimum(squared, (along**2 / self.variances).sum(1) + beside / self.rest)
        return np.sqrt(squared / features.shape[1])

    def with_held_out(self, distances: Floats) -> Novelty:
        """The same statistics with the distances of held-out clips (clips,), of which quantiles are stored."""
        ordered = np.sort(distances)
        if len(ordered) > STORED_DISTANCES:
            ordered = ordered[np.linspace(0, len(ordered) - 1, STORED_DISTANCES).round().astype(int)]
        return replace(self, held_out=ordered)

    def of(self, distance: float) -> float:
        """Share of held-out clips, and of the judged clip, that lie nearer: from 0 to n / (n + 1)."""
        return float(np.searchsorted(self.held_out, distance) / (len(self.held_out) + 1))

    @property
    def highest(self) -> float:
        """Highest value of `of`, that of a clip which is further than all held-out ones."""
        return len(self.held_out) / (len(self.held_out) + 1)

    def check_share(self, share: float) -> None:
        """Raise UserError for a share below 1 that `of` never reaches, since too few clips were held out."""
        if self.highest < share < 1:
            raise UserError(
                f"a novelty of {share:g} refuses nothing: this model knows {len(self.held_out)} held-out clips, and "
                f"its highest novelty is {self.highest:.3f}; give a lower one, or 1 to report the novelty alone"
            )

    def save(self, folder: Path) -> None:
        # safetensors takes an array's memory as it lies, in whatever order.
        tensors = {
            field.name: np.ascontiguousarray(getattr(self, field.name), dtype=np.float32) for field in fields(self)
        }
        save_file(tensors, folder / NOVELTY)

    @classmethod
    def load(cls, folder: Path) -> Novelty | None:
        """The statistics in a model's folder; None for a model without. Raises UserError for a broken file."""
        file = folder / NOVELTY
        if not file.is_file():
            return None
        try:
            stored = load_file(file)
            tensors = {field.name: stored[field.name].astype(np.float64) for field in fields(cls)}
            _check(tensors)
        except (OSError, SafetensorError, ValueError, KeyError) as problem:
            raise UserError(f"{file}: broken ({problem}); copy the model again, or train it again") from None
        return cls(**tensors)


def evenly(ids: Sequence[str]) -> list[str]:
    """At most MOST_CLIPS of these clips, spread evenly over their order."""
    if len(ids) <= MOST_CLIPS:
        return list(ids)
    return [ids[row] for row in np.linspace(0, len(ids) - 1, MOST_CLIPS).round().astype(int)]


def _directions(inner: Floats, freedom: int) -> tuple[Floats, Floats]:
    """Variances in all directions, descending, and the largest directions (directions, features), of deviations.

    By the smaller of the products of the deviations (clips, features) with themselves."""
    clips, width = inner.shape
    values, vectors = np.linalg.eigh(inner @ inner.T if clips <= width else inner.T @ inner)
    order = np.argsort(-values)
    spectrum = np.maximum(values[order], 0.0) / freedom
    count = min(MOST_DIRECTIONS, int((spectrum > 1e-9 * spectrum[0]).sum()))
    vectors = vectors[:, order[:count]]
    directions = (inner.T @ vectors if clips <= width else vectors).T
    return spectrum, directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _shrinkage(inner: Floats, spectrum: Floats, mean: float, freedom: int) -> float:
    """Weight, 0 to 1, of equal variances beside the covariance of deviations from class means (clips, features)."""
    clips, width = inner.shape
    squared = float((spectrum**2).sum())
    spread = squared - width * mean**2
    # In deviations whose mean square is the variance, as the estimate supposes.
    fourth = float(((inner**2).sum(1) ** 2).mean()) * (clips / freedom) ** 2
    error = (fourth - squared) / clips
    return 1.0 if spread <= 0 else float(np.clip(error / spread, LEAST_SHRINKAGE, 1.0))


def _check(tensors: dict[str, Any]) -> None:
    """Raise ValueError for tensors whose shapes or values contradict each other."""
    features, directions = len(tensors["centre"]), len(tensors["variances"])
    shapes = {
        "centre": (features,),
        "scale": (features,),
        "means": (len(tensors["means"]), features),
        "directions": (directions, features),
        "variances": (directions,),
        "rest": (1,),
        "held_out": (len(tensors["held_out"]),),
    }
    for name, shape in shapes.items():
        if tensors[name].shape != shape or not (features and len(tensors["means"])):
            raise ValueError(f"{name} has the shape {tensors[name].shape}")
        if not np.isfinite(tensors[name]).all():
            raise ValueError(f"{name} has values that are no numbers")
    if min(tensors[name].min(initial=1.0) for name in ("scale", "variances", "rest")) <= 0:
        raise ValueError("a variance is not above 0")
