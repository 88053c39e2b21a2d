"""Macro F1, UAR, weighted F1 and accuracy: the values that scikit-learn's defaults give on the same predictions.

    macro_f1      f1_score(truth, predicted, average="macro")     labels in truth or prediction
    uar           balanced_accuracy_score(truth, predicted)       labels in truth
    weighted_f1   f1_score(truth, predicted, average="weighted")
    accuracy      accuracy_score(truth, predicted)

A label that is predicted but never true therefore counts as an F1 of 0 in macro F1, and one that is neither does not
count. All follow from the confusion matrix, so that one vectorised function scores the whole set, every speaker, and
the set without any one of them.
"""

from __future__ import annotations

import numpy as np

from affetto.measures.confusion import Floats, Tally, ratio
from affetto.measures.measure import LabelMeasure


def macro_f1(sums: Tally) -> Floats:
    """Mean F1 over the labels that count: (matrices,)."""
    return np.asarray((sums.f1 * sums.counted).sum(axis=1) / sums.counted.sum(axis=1), dtype=np.float64)


def uar(sums: Tally) -> Floats:
    """Unweighted average recall, over the labels in truth: (matrices,)."""
    return np.asarray(sums.recall.sum(axis=1) / (sums.support > 0).sum(axis=1), dtype=np.float64)


def weighted_f1(sums: Tally) -> Floats:
    """Mean F1, each label weighed by its clips: (matrices,)."""
    return np.asarray((sums.f1 * sums.support).sum(axis=1) / sums.clips, dtype=np.float64)


def accuracy(sums: Tally) -> Floats:
    """Share of the clips that were recognised: (matrices,)."""
    return np.asarray(sums.hits.sum(axis=1) / sums.clips, dtype=np.float64)


def chance_f1(support: Floats) -> Floats:
    """Expected F1 of each label for a guesser that names each of the K labels with probability 1/K: (labels,).

    `support` (labels,) holds the clips n_c of each label, n in all. The number m of clips that the guesser calls c is
    Binomial(n, 1/K), and of those m n_c/n are right on average, so that E[F1_c] = Σ_m P(m) · 2 m n_c / (n (n_c + m)).
    """
    n, k = int(support.sum()), len(support)
    guessed = np.arange(n + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_ways = log_factorial[n] - log_factorial - log_factorial[::-1]
    likely = np.exp(log_ways - guessed * np.log(k) + (n - guessed) * np.log1p(-1 / k))
    expected: Floats = (likely * ratio(2 * guessed * support[:, None], n * (support[:, None] + guessed))).sum(axis=1)
    return expected


MACRO_F1 = LabelMeasure(
    name="macro_f1",
    title="macro F1",
    function=macro_f1,
    order=1,
    hub_type="f1",
    # A label that is never true has F1 0 and is all but surely guessed somewhere.
    chance=lambda support: float(chance_f1(support).mean()),
)
UAR = LabelMeasure(
    name="uar",
    title="UAR",
    function=uar,
    order=2,
    hub_type="recall",
    chance=lambda support: 1 / len(support),
)
WEIGHTED_F1 = LabelMeasure(
    name="weighted_f1",
    title="weighted F1",
    function=weighted_f1,
    order=3,
    hub_type="f1",
    chance=lambda support: float(chance_f1(support) @ support / int(support.sum())),
)
ACCURACY = LabelMeasure(
    name="accuracy",
    title="accuracy",
    function=accuracy,
    order=4,
    chance=lambda support: 1 / len(support),
)
