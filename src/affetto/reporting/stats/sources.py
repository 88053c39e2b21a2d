"""Sources of a score's spread: other speakers, other sentences, other seeds.

Each is the standard error that drawing this source anew would give the score: of speakers and of sentences by the
jackknife of `affetto.measures.intervals`, of seeds by their deviation. They show what more data would help: more
speakers, more sentences, or more trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from affetto.measures import intervals
from affetto.reporting.stats.estimation import jackknife_mean, leave_one_out, sizes
from affetto.reporting.stats.systems import System


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Standard error of a score by source; None where there are too few of it, or where it is unknown."""

    speakers: float | None
    sentences: float | None
    seeds: float | None

    def shares(self) -> dict[str, float]:
        """{source: share of the sum of the known variances}; {} where all are 0."""
        variances = {name: error**2 for name, error in vars(self).items() if error is not None}
        total = sum(variances.values())
        return {name: variance / total for name, variance in variances.items()} if total else {}


def sources(system: System, measure: str = "macro_f1") -> Sources:
    """Standard errors of a system's score, mean over seeds."""
    seeds = system.seeds
    by_seed, _ = leave_one_out(system.by_speaker(seeds), system.support, measure)
    prompts = np.array([prompt or "" for prompt in system.prompts])
    has_prompts = bool(len(prompts)) and all(prompts)
    return Sources(
        speakers=_error_over(system, system.speaker_numbers, measure),
        sentences=_error_over(system, np.unique(prompts, return_inverse=True)[1], measure) if has_prompts else None,
        seeds=float(by_seed.std(ddof=1) / len(seeds) ** 0.5) if len(seeds) > 1 else None,
    )


def _error_over(system: System, owners: np.ndarray, measure: str) -> float | None:
    """Standard error over owners (clips,), numbers from 0; None where they are too few."""
    matrices = system.by_owner(owners, int(owners.max()) + 1, system.seeds)
    if not intervals.can_be_drawn(sizes(matrices)):
        return None
    scores, without = leave_one_out(matrices, system.support, measure)
    return jackknife_mean(scores, without, sizes(matrices)).error
