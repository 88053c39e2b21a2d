"""Whether a system's probabilities mean what they say: of clips called with 70 %, are 70 % right?

The expected calibration error is that of Guo et al. ("On Calibration of Modern Neural Networks", ICML 2017): 15 bins
of equal width over the confidence (the largest probability), the gap between mean confidence and accuracy in each,
weighed by clips. It tends to come out too large where clips are few, so that systems are best compared on the same
clips. Brier's score and the log loss judge the probabilities of all labels and reward being right as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affetto.measures.probability import brier, confidence_bins, expected_calibration_error, log_loss
from affetto.reporting.stats.systems import Predictions, System

BINS = 15
FLOOR = 5e-7
"""Half of the last digit that a predictions file keeps: what a probability written as 0 may have been."""


@dataclass(frozen=True)
class Bin:
    """One bin of the reliability curve, open below and closed above; means are None where it holds no clip."""

    low: float
    high: float
    clips: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Scores are means over the seeds; the curve's bins hold the clips of all seeds."""

    ece: float
    """0 to 1; 0 is calibrated."""
    log_loss: float
    """Mean of -ln of the true label's probability, in nats; ln K is that of a guesser."""
    brier: float
    """Mean over clips of the squared error summed over labels (Brier 1950): 0 to 2; 1 - 1/K is that of a guesser."""
    confidence: float
    accuracy: float
    bins: tuple[Bin, ...]
    seeds: tuple[int, ...]
    clips: int

    @property
    def over_confident(self) -> float:
        """Mean confidence minus accuracy: above 0 where the system promises too much."""
        return self.confidence - self.accuracy


def calibration(system: System, bins: int = BINS) -> Calibration:
    """The calibration of a system on its test clips."""
    runs = [system.runs[seed] for seed in system.seeds]
    return Calibration(
        ece=_mean([expected_calibration_error(run.probabilities, run.truth, bins) for run in runs]),
        log_loss=_mean([log_loss(run.probabilities, run.truth, FLOOR) for run in runs]),
        brier=_mean([brier(run.probabilities, run.truth) for run in runs]),
        confidence=_mean([float(run.probabilities.max(axis=1).mean()) for run in runs]),
        accuracy=_mean([float((run.predicted == run.truth).mean()) for run in runs]),
        bins=reliability(runs, bins),
        seeds=system.seeds,
        clips=system.clips,
    )


def reliability(runs: Sequence[Predictions], bins: int = BINS) -> tuple[Bin, ...]:
    """The reliability curve of all runs' clips together."""
    of_runs = [confidence_bins(run.probabilities, run.truth, bins) for run in runs]
    clips, confidence, right = (np.sum(part, axis=0) for part in zip(*of_runs, strict=True))
    return tuple(
        Bin(n / bins, (n + 1) / bins, int(clips[n]), *_means(confidence[n], right[n], clips[n])) for n in range(bins)
    )


def _means(confidence: float, right: float, clips: int) -> tuple[float | None, float | None]:
    return (float(confidence / clips), float(right / clips)) if clips else (None, None)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
