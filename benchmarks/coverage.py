"""How often a 95 % interval holds the truth: two systems that are alike, compared over and over.

    python benchmarks/coverage.py [--comparisons 600] [--measure macro_f1]

For each number of speakers: the share of comparisons whose interval holds 0, in percent, and its mean width in points,
of the bootstrap over speakers and of the t interval. `affetto.reporting.paired.FEW_SPEAKERS` rests on it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from affetto.reporting.paired import bootstrap_interval, matched, t_interval
from affetto.reporting.systems import Predictions, System

SPEAKERS = (4, 6, 8, 10, 12, 20, 43)
LABELS = ("anger", "joy", "sadness")
CLIPS = 28
ACCURACY, DEVIATION = 0.6, 0.15
"""Share of a speaker's clips that are right: mean and standard deviation over speakers."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--comparisons", type=int, default=600)
    options.add_argument("--measure", default="macro_f1")
    chosen = options.parse_args()
    print("speakers  bootstrap        t")
    for speakers in SPEAKERS:
        intervals = np.array(list(_intervals(speakers, chosen.comparisons, chosen.measure)))
        held = 100 * ((intervals[..., 0] <= 0) & (intervals[..., 1] >= 0)).mean(axis=0)
        wide = 100 * (intervals[..., 1] - intervals[..., 0]).mean(axis=0)
        print(f"{speakers:8}  {held[0]:.0f} % ({wide[0]:.0f})  {held[1]:.0f} % ({wide[1]:.0f})", flush=True)


def _intervals(speakers: int, comparisons: int, measure: str) -> Iterator[tuple[tuple[float, float], ...]]:
    truth = np.random.default_rng(0).integers(0, len(LABELS), speakers * CLIPS)
    for number in range(comparisons):
        generator = np.random.default_rng((speakers, number))
        pairs = matched([(_system(speakers, generator, truth), _system(speakers, generator, truth))], measure)
        yield bootstrap_interval(pairs, resamples=1000), t_interval([pairs[0].gaps])


def _system(speakers: int, generator: np.random.Generator, truth: np.ndarray) -> System:
    ease = np.clip(ACCURACY + DEVIATION * generator.standard_normal(speakers), 0, 1).repeat(CLIPS)
    wrong = generator.random(len(truth)) > ease
    called = np.where(wrong, (truth + generator.integers(1, len(LABELS), len(truth))) % len(LABELS), truth)
    names = tuple(f"s{n:03d}" for n in range(speakers) for _ in range(CLIPS))
    clips = tuple(f"{n:05d}" for n in range(len(truth)))
    return System("system", "corpus", {0: Predictions(clips, names, truth, np.eye(len(LABELS))[called], LABELS)})


if __name__ == "__main__":
    main()
