"""Measures of predicted shares of labels beside the raters' shares, both (clips, labels) with rows that sum to 1.

    kl                  mean over clips of KL(truth ‖ prediction), in nats
    js                  mean over clips of the Jensen-Shannon divergence, in bits: 0 to 1
    cross_entropy       mean over clips of -Σ truth log prediction, in nats; its least value is the truth's entropy
    majority_macro_f1   macro F1 of the largest predicted share against the raters' majority
    any_rater_macro_f1  as that, where a prediction that some rater named counts as the clip's true label

No predicted share counts as less than `FLOOR` inside a logarithm. On a tie the first label is the largest. A hit with
any rater is right in the annotator-aware accuracy of arXiv 2509.24187; here it is right in macro F1: the true label of
a clip is the called one where a rater named it, else the raters' majority.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.measures.classification import MACRO_F1, chance_f1
from affetto.measures.confusion import Counts, Floats, confusions
from affetto.measures.measure import DistributionMeasure

FLOOR = 1e-12
"""Least predicted share in a logarithm: 0 would be an infinite divergence."""


@dataclass(frozen=True, kw_only=True)
class ClipMeasure(DistributionMeasure):
    """Mean over clips of a value that each clip has by itself."""

    function: Callable[[Floats, Floats], Floats]
    """Function from predicted and true shares (clips, labels) to a value for each clip: (clips,)."""

    def of_predictions(self, prediction: NDArray[Any], truth: NDArray[Any]) -> float:
        return float(self.function(np.asarray(prediction, np.float64), np.asarray(truth, np.float64)).mean())

    def without_each(
        self, prediction: NDArray[Any], truth: NDArray[Any], owner: NDArray[np.intp], owners: int
    ) -> Floats:
        values = self.function(np.asarray(prediction, np.float64), np.asarray(truth, np.float64))
        sums = np.bincount(owner, weights=values, minlength=owners)
        clips = np.bincount(owner, minlength=owners)
        return np.asarray((sums.sum() - sums) / (len(values) - clips))


@dataclass(frozen=True, kw_only=True)
class CalledMeasure(DistributionMeasure):
    """Macro F1 of the called label, which has the largest predicted share."""

    function: Callable[[Counts, Floats], Counts]
    """Function from the called labels (clips,) and the true shares (clips, labels) to the true labels (clips,)."""

    def of_predictions(self, prediction: NDArray[Any], truth: NDArray[Any]) -> float:
        owner = np.zeros(len(truth), dtype=np.intp)
        return float(MACRO_F1.of_confusions(self._confusions(prediction, truth, owner, 1))[0])

    def without_each(
        self, prediction: NDArray[Any], truth: NDArray[Any], owner: NDArray[np.intp], owners: int
    ) -> Floats:
        matrices = self._confusions(prediction, truth, owner, owners)
        confusion = matrices.sum(axis=0)
        return MACRO_F1.of_confusions(confusion - matrices, never_true=confusion.sum(axis=1) == 0)

    def _confusions(
        self, prediction: NDArray[Any], truth: NDArray[Any], owner: NDArray[np.intp], owners: int
    ) -> Counts:
        called = np.asarray(prediction).argmax(axis=1).astype(np.int64)
        true = self.function(called, np.asarray(truth, dtype=np.float64))
        return confusions(true, called, owner, owners, truth.shape[1])


def cross_entropy(prediction: Floats, truth: Floats) -> Floats:
    """Cross-entropy of each clip, in nats: (clips,)."""
    return np.asarray(-(truth * np.log(np.maximum(prediction, FLOOR))).sum(axis=1))


def divergence(prediction: Floats, truth: Floats) -> Floats:
    """KL(truth ‖ prediction) of each clip, in nats: (clips,)."""
    # The floor may exceed a prediction; the divergence is never negative.
    return np.maximum(cross_entropy(prediction, truth) - entropy(truth), 0.0)


def entropy(shares: Floats) -> Floats:
    """Entropy of each row of shares (clips, labels), in nats: (clips,)."""
    return np.asarray(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1))


def jensen_shannon(prediction: Floats, truth: Floats) -> Floats:
    """Jensen-Shannon divergence of each clip, in bits: (clips,)."""
    nats = entropy((prediction + truth) / 2) - (entropy(prediction) + entropy(truth)) / 2
    return (nats / np.log(2)).clip(0.0, 1.0)


def majority(called: Counts, truth: Floats) -> Counts:
    """The label with the largest true share, the first on a tie: (clips,)."""
    return truth.argmax(axis=1).astype(np.int64)


def any_rater(called: Counts, truth: Floats) -> Counts:
    """The called label where some rater named it, else the majority: (clips,)."""
    return np.where(truth[np.arange(len(truth)), called] > 0, called, majority(called, truth))


def _of_equal_shares(function: Callable[[Floats, Floats], Floats]) -> Callable[[Floats], float]:
    """The score of a guesser who gives every label the same share."""
    return lambda truth: float(function(np.full_like(truth, 1 / truth.shape[1]), truth).mean())


def _chance_of_majority(truth: Floats) -> float:
    """Expected macro F1 of a guesser who names each label equally often."""
    support = np.bincount(truth.argmax(axis=1), minlength=truth.shape[1]).astype(np.float64)
    return float(chance_f1(support).mean())


KL = ClipMeasure(
    name="kl",
    title="KL divergence",
    function=divergence,
    range=(0.0, np.inf),
    higher_is_better=False,
    order=30,
    chance=_of_equal_shares(divergence),
)
JS = ClipMeasure(
    name="js",
    title="Jensen-Shannon",
    function=jensen_shannon,
    higher_is_better=False,
    order=31,
    chance=_of_equal_shares(jensen_shannon),
)
CROSS_ENTROPY = ClipMeasure(
    name="cross_entropy",
    title="cross-entropy",
    function=cross_entropy,
    range=(0.0, np.inf),
    higher_is_better=False,
    order=32,
    chance=_of_equal_shares(cross_entropy),
)
MAJORITY_F1 = CalledMeasure(
    name="majority_macro_f1",
    title="macro F1 of the majority",
    function=majority,
    order=33,
    hub_type="f1",
    chance=_chance_of_majority,
)
ANY_RATER_F1 = CalledMeasure(
    name="any_rater_macro_f1",
    title="macro F1 of any rater",
    function=any_rater,
    order=34,
    hub_type="f1",
)
