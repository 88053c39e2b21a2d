"""The probe: logistic regression on a state's statistics, its state and strength chosen by inner speaker folds.

It is the baseline that every result stands beside, and what the recommended recipe's head starts from
(linear probing before fine-tuning: Kumar et al., ICLR 2022).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from affetto.measures.classification import UAR
from affetto.measures.probability import softmax
from affetto.splits import inner_folds

MOST_CLIPS = 2_000
"""Clips, of whole speakers, that are enough to choose a state and a strength by; all of them train the probe."""
SHORT_LIST = 3
"""Number of states, the best under the middle strength, that are tried under every strength."""
NEVER = -30.0
"""The bias, in logits, of a class that no training clip has."""


@dataclass(frozen=True)
class Choice:
    """A state, a strength C, and the UAR over the inner folds that they were chosen for.

    `share` of the clips that the choice is for were looked at. scikit-learn's C multiplies a sum over clips: what is
    as strong on all of them is `strength_on_all`.
    """

    layer: int
    strength: float
    uar: float
    share: float = 1.0

    @property
    def strength_on_all(self) -> float:
        """C for fits on the clips that the choice is for: `strength` times `share`."""
        return self.strength * self.share


def choose(
    features: Callable[[int], np.ndarray],
    target: np.ndarray,
    speakers: Sequence[str],
    layers: Sequence[int],
    strengths: Sequence[float],
    folds: int,
    *,
    balanced: bool = True,
) -> Choice:
    """The best state and strength by UAR over speaker-disjoint inner folds.

    `features(layer)` (clips, features), `target` (clips,) class indices, `speakers` one a clip: of non-test clips
    only. Every state is tried under the middle strength, the best few under all. On a tie the lower state and
    the smaller C win. Raises UserError where there are fewer than two speakers.
    """
    splits = inner_folds(speakers, folds)

    def uar(layer: int, strength: float) -> float:
        x = features(layer)
        predicted = np.zeros(len(target), dtype=np.int64)
        for fit, held_out in splits:
            probe = Probe.fit(x[fit], target[fit], strength, balanced=balanced)
            predicted[held_out] = probe.predict(x[held_out])
        return UAR.of_labels(target, predicted, int(max(target.max(), predicted.max())) + 1)

    middle = sorted(strengths)[len(strengths) // 2]
    tried = [Choice(layer, middle, uar(layer, middle)) for layer in layers]
    short_list = sorted(tried, key=lambda choice: (-round(choice.uar, 12), choice.layer))[:SHORT_LIST]
    tried = short_list + [
        Choice(choice.layer, strength, uar(choice.layer, strength))
        for choice in short_list
        for strength in strengths
        if strength != middle
    ]
    return min(tried, key=lambda choice: (-round(choice.uar, 12), choice.layer, choice.strength))


@dataclass(frozen=True)
class Probe:
    """Standardisation and a linear map: logits = ((x - centre) / scale) · weightᵀ + bias."""

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        target: np.ndarray,
        strength: float,
        *,
        classes: int | None = None,
        balanced: bool = True,
    ) -> Probe:
        """L2-regularised multinomial logistic regression on (clips, features); deterministic.

        `balanced` weighs clips by inverse class frequency. A class that no clip has is never predicted.
        """
        features = features.astype(np.float64)
        centre, scale = features.mean(0), features.std(0)
        scale = np.where(scale > 1e-6, scale, 1.0)
        present = np.unique(target).astype(int)
        count = classes or int(present[-1]) + 1
        weight, bias = np.zeros((count, features.shape[1])), np.full(count, NEVER)
        if len(present) == 1:
            bias[present] = 0.0
            return cls(centre, scale, weight, bias)
        # On one thread: these products are small, and many threads made them eight times as slow.
        with warnings.catch_warnings(), threadpool_limits(1, "blas"):
            # At weak regularisation a separable set has no optimum to converge to; where it stands then is good enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(
                C=strength, max_iter=300, tol=1e-3, class_weight="balanced" if balanced else None
            ).fit((features - centre) / scale, target)
        if len(present) == 2:  # scikit-learn gives one row, for the second class
            weight[present] = np.concatenate([-model.coef_ / 2, model.coef_ / 2])
            bias[present] = np.concatenate([-model.intercept_ / 2, model.intercept_ / 2])
        else:
            weight[present], bias[present] = model.coef_, model.intercept_
        return cls(centre, scale, weight, bias)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(clips, features) → (clips, classes)."""
        return ((features - self.centre) / self.scale) @ self.weight.T + self.bias

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(clips, features) → (clips, classes), rows that sum to one."""
        return softmax(self.logits(features))

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(clips, features) → (clips,) class indices."""
        return self.logits(features).argmax(1)


def whole_speakers(speakers: Sequence[str], most: int = MOST_CLIPS) -> np.ndarray:
    """Indices of at most `most` clips, of whole speakers, drawn the same way every time; at least three speakers'."""
    if len(speakers) <= most:
        return np.arange(len(speakers))
    of = np.asarray(speakers)
    drawn: list[str] = []
    clips = 0
    for name in np.random.default_rng(0).permutation(np.unique(of)):
        size = int((of == name).sum())
        if len(drawn) >= 3 and clips + size > most:
            continue
        drawn.append(name)
        clips += size
    return np.flatnonzero(np.isin(of, drawn))
