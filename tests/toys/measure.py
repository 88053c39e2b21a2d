"""Two measures: agreement beyond chance, from the called labels; and surprise, from the probabilities."""

from __future__ import annotations

import numpy as np

from affetto.measures.confusion import Counts, Floats, Tally
from affetto.measures.measure import LabelMeasure, ProbabilityMeasure


def kappa(sums: Tally) -> Floats:
    agreement = sums.hits.sum(axis=1) / sums.clips
    by_chance = (sums.support * sums.called).sum(axis=1) / sums.clips**2
    return np.asarray((agreement - by_chance) / (1 - by_chance))


def surprise(probabilities: Floats, truth: Counts) -> float:
    likelihoods = probabilities[np.arange(len(truth)), truth]
    return float(-np.log2(np.maximum(likelihoods, 1e-6)).mean())


KAPPA = LabelMeasure(
    name="kappa",
    title="Cohen's kappa",
    function=kappa,
    range=(-1.0, 1.0),
    chance=lambda support: 0.0,
)
SURPRISE = ProbabilityMeasure(
    name="surprise",
    title="surprise (bits)",
    function=surprise,
    range=(0.0, np.inf),
    higher_is_better=False,
)
MEASURES = (KAPPA, SURPRISE)
