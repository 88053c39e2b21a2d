"""The probe: logistic regression on a state's statistics, its state and strength chosen by inner speaker folds.

It is the baseline that every result stands beside, and what the recommended recipe's head starts from
(linear probing before fine-tuning: Kumar et al., ICLR 2022).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from affetto.splits import inner_folds

MOST_CLIPS = 2_000
"""So many clips, of whole speakers, are enough to choose a state and a strength by; all of them train the probe."""


@dataclass(frozen=True)
class Choice:
    """A state, a strength C, and the UAR over the inner folds that they were chosen for."""

    layer: int
    strength: float
    uar: float


def choose(
    statistics: np.ndarray,
    target: np.ndarray,
    speakers: Sequence[str],
    layers: Sequence[int],
    strengths: Sequence[float],
    folds: int,
) -> Choice:
    """The best of `layers` × `strengths` by UAR over speaker-disjoint inner folds.

    `statistics` (clips, states, features), `target` (clips,) class indices, `speakers` one a clip. On a tie
    the lower state and the stronger regularisation win. Only non-test clips may be passed in.
    """
    some = _whole_speakers(speakers)
    statistics, target = statistics[some], target[some]
    splits = inner_folds([speakers[i] for i in some], folds)
    best: Choice | None = None
    for layer in layers:
        for strength in sorted(strengths):
            hits = np.zeros(len(target), dtype=bool)
            for fit, held_out in splits:
                probe = Probe.fit(statistics[fit, layer], target[fit], strength)
                hits[held_out] = probe.predict(statistics[held_out, layer]) == target[held_out]
            uar = float(np.mean([hits[target == c].mean() for c in np.unique(target)]))
            if best is None or uar > best.uar + 1e-12:
                best = Choice(layer, strength, uar)
    assert best is not None
    return best


@dataclass(frozen=True)
class Probe:
    """Standardisation and a linear map: logits = ((x - centre) / scale) · weightᵀ + bias."""

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, target: np.ndarray, strength: float, classes: int | None = None) -> Probe:
        """L2-regularised multinomial logistic regression on (clips, features); deterministic.

        Classes that do not occur in `target` get a bias of minus infinity's stand-in, -30.
        """
        features = features.astype(np.float64)
        centre, scale = features.mean(0), features.std(0)
        scale = np.where(scale > 1e-6, scale, 1.0)
        with warnings.catch_warnings():
            # At weak regularisation a separable set has no optimum to converge to; where it stands then is good enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit((features - centre) / scale, target)
        present = model.classes_.astype(int)
        count = classes or int(target.max()) + 1
        weight, bias = np.zeros((count, features.shape[1])), np.full(count, -30.0)
        if len(present) == 2:  # scikit-learn gives one row, for the second class
            weight[present] = np.concatenate([-model.coef_ / 2, model.coef_ / 2])
            bias[present] = np.concatenate([-model.intercept_ / 2, model.intercept_ / 2])
        else:
            weight[present], bias[present] = model.coef_, model.intercept_
        return cls(centre, scale, weight, bias)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(clips, features) → (clips, classes)."""
        return ((features - self.centre) / self.scale) @ self.weight.T + self.bias

    def predict(self, features: np.ndarray) -> np.ndarray:
        return self.logits(features).argmax(1)


def _whole_speakers(speakers: Sequence[str]) -> np.ndarray:
    """Indices of at most MOST_CLIPS clips, of whole speakers, drawn the same way every time; at least three speakers."""
    if len(speakers) <= MOST_CLIPS:
        return np.arange(len(speakers))
    of = np.asarray(speakers)
    chosen: list[str] = []
    clips = 0
    for name in np.random.default_rng(0).permutation(np.unique(of)):
        if len(chosen) >= 3 and clips + int((of == name).sum()) > MOST_CLIPS:
            continue
        chosen.append(name)
        clips += int((of == name).sum())
    return np.flatnonzero(np.isin(of, chosen))
