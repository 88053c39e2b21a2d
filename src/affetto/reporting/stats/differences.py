"""Difference of two systems by any measure, with its interval over speakers and seeds.

The interval is that of `paired.compare`. Measures of probabilities, for which exchanges are not counted, have it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affetto.measures import intervals
from affetto.measures.confusion import Counts, Floats
from affetto.measures.intervals import Sampled
from affetto.measures.measure import LabelMeasure, Measure
from affetto.measures.registry import class_measure
from affetto.reporting.stats import outcomes, systems
from affetto.reporting.stats.estimation import jackknife_mean, leave_clips_out, leave_one_out, sizes
from affetto.reporting.stats.judged import Judged
from affetto.reporting.stats.outcomes import Outcomes
from affetto.reporting.stats.paired import sampled_difference
from affetto.reporting.stats.systems import System


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Scores of two systems on the same clips, averaged over the seeds of both."""

    name: str
    """Key of the measure, as in `Scored`."""
    title: str
    measure: Measure
    first: float
    second: float
    interval: tuple[float, float] | None
    """95 % interval of `value`; None where too few speakers were tested, or where all differ by the same amount."""

    @property
    def value(self) -> float:
        """Second score minus first score."""
        return self.second - self.first

    @property
    def points(self) -> float:
        """Number of points in one unit of the measure: 100 for scores that end at 1, else 1."""
        low, high = self.measure.range
        return 100.0 if low >= -1 and high == 1 else 1.0

    @property
    def fall(self) -> float:
        """Points by which the second score is worse; negative where it is better."""
        return self.points * (-self.value if self.measure.higher_is_better else self.value)


@dataclass(frozen=True)
class Scores:
    """Scores of one system: of its seeds (seeds,), and without each speaker (speakers, seeds)."""

    by_seed: Floats
    without: Floats


@dataclass(frozen=True)
class ScorePair:
    """Scores of two systems on the same clips; `clips` (speakers,) counts those of each speaker."""

    first: Scores
    second: Scores
    clips: Counts

    @property
    def sampled(self) -> tuple[Sampled, Floats]:
        """Second minus first with its variance over speakers, and the difference of each seed (seeds,)."""
        by_seed = self.second.by_seed - self.first.by_seed
        return jackknife_mean(by_seed, self.second.without - self.first.without, self.clips), by_seed

    def difference(self, name: str, title: str, measure: Measure) -> Difference:
        """The difference by a measure."""
        spread, (low, high) = sampled_difference([self]), measure.range
        most = high - low
        return Difference(
            name=name,
            title=title,
            measure=measure,
            first=float(self.first.by_seed.mean()),
            second=float(self.second.by_seed.mean()),
            interval=spread.interval(least=-most, most=most) if spread else None,
        )


def of_classes(first: System, second: System, seeds: Sequence[int], names: Sequence[str]) -> list[Difference]:
    """Differences by measures of classes. Raises UserError where the systems were not tested on the same clips."""
    systems.check_same_clips(first.runs[seeds[0]], second.runs[seeds[0]], first.name, second.name)
    clips = sizes(first.by_speaker(seeds[:1]))
    differences = []
    for name in names:
        pair = ScorePair(_class_scores(first, seeds, name), _class_scores(second, seeds, name), clips)
        differences.append(pair.difference(name, class_measure(name).title, class_measure(name)))
    return differences


def of_parts(first: Outcomes, second: Outcomes, seeds: Sequence[int], measures: Sequence[Judged]) -> list[Difference]:
    """Differences by measures of numbers, shares or several labels; raises as `of_classes`."""
    outcomes.check_same_clips(first.runs[seeds[0]], second.runs[seeds[0]], first.name, second.name, first.target)
    differences = []
    for judged in measures:
        scores = [Scores(*system.values(judged, seeds)) for system in (first, second)]
        pair = ScorePair(scores[0], scores[1], first.speaker_clips)
        differences.append(pair.difference(judged.name, judged.title, judged.measure))
    return differences


def _class_scores(system: System, seeds: Sequence[int], name: str) -> Scores:
    matrices = system.by_speaker(seeds)
    if isinstance(class_measure(name), LabelMeasure):
        return Scores(*leave_one_out(matrices, system.support, name))
    has_speakers = intervals.can_be_drawn(sizes(matrices))
    if has_speakers:
        return Scores(*leave_clips_out(system, seeds, by_speakers=True, measure=name))
    record, runs = class_measure(name), [system.runs[seed] for seed in seeds]
    by_seed = np.array([record.of_predictions(run.probabilities, run.truth) for run in runs])
    return Scores(by_seed, np.empty((0, len(runs))))
