"""Scores of parts of the test clips: each class, each speaker, each gender with the gap between women and men.

All are means over the seeds. Scores within a part are computed on that part's clips alone, so they do not add up to
the whole's macro F1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from affetto.reporting.stats.estimation import Estimate, estimate, left_out, sampled, sizes
from affetto.reporting.stats.paired import NONE
from affetto.reporting.stats.systems import System
from affetto.training import intervals
from affetto.training.evaluate import Floats, measures, per_class

FEMALE, MALE = "female", "male"


@dataclass(frozen=True)
class ClassScore:
    label: str
    precision: float
    recall: float
    f1: float
    clips: int


@dataclass(frozen=True)
class SpeakerScore:
    speaker: str
    gender: str | None
    macro_f1: float
    uar: float
    accuracy: float
    clips: int


@dataclass(frozen=True)
class GenderScore:
    gender: str
    estimates: Mapping[str, Estimate]
    """By measure."""
    speakers: int
    clips: int


@dataclass(frozen=True)
class Gap:
    """Women minus men. The two are different people, so nothing is paired."""

    measure: str
    difference: float
    interval: tuple[float, float] | None
    """Student's over the speakers of each, and the seeds of several; None where either has too few speakers."""
    interval_by: str
    """`t`, or `none`."""
    women: int
    men: int


def by_class(system: System) -> tuple[ClassScore, ...]:
    """Each label's precision, recall and F1, in the order of the labels."""
    of_seeds = [per_class(matrix, system.labels) for matrix in system.by_speaker(system.seeds).sum(axis=0)]

    def mean(label: str, name: str) -> float:
        return float(np.mean([scored[label][name] for scored in of_seeds]))

    return tuple(
        ClassScore(label, mean(label, "precision"), mean(label, "recall"), mean(label, "f1"), int(clips))
        for label, clips in zip(system.labels, system.support, strict=True)
    )


def by_speaker(system: System) -> tuple[SpeakerScore, ...]:
    """Each speaker's scores, in the order of their names."""
    scored = {name: _within(system, name) for name in ("macro_f1", "uar", "accuracy")}
    clips = system.by_speaker(system.seeds[:1]).sum(axis=(1, 2, 3))
    return tuple(
        SpeakerScore(
            speaker,
            system.genders.get(speaker),
            **{name: float(values[row]) for name, values in scored.items()},
            clips=int(clips[row]),
        )
        for row, speaker in enumerate(system.speakers)
    )


def by_gender(system: System, names: tuple[str, ...] = ("macro_f1", "uar", "accuracy")) -> tuple[GenderScore, ...]:
    """Each gender's scores with their intervals, sorted by name; () where the corpus tells no gender."""
    parts = {gender: _of_gender(system, gender) for gender in sorted(set(system.genders.values()))}
    return tuple(
        GenderScore(gender, {name: estimate([part], name) for name in names}, len(part.speakers), part.clips)
        for gender, part in parts.items()
    )


def gender_gap(system: System, measure: str = "uar") -> Gap | None:
    """The score with women minus that with men, with an interval; None where there are not both."""
    if not {FEMALE, MALE} <= set(system.genders.values()):
        return None
    parts, by_seed, counts = [], [], []
    for part in (_of_gender(system, gender) for gender in (FEMALE, MALE)):
        matrices = part.by_speaker(part.seeds)
        scores, without = left_out(matrices, part.support, measure)
        parts.append(sampled(scores, without, sizes(matrices)))
        by_seed.append(scores)
        counts.append(sizes(matrices))
    gap = intervals.over_seeds(intervals.total(parts, [1, -1]), by_seed[0] - by_seed[1])
    enough = all(intervals.can_be_drawn(clips) for clips in counts) and gap.variance > 0
    interval, by = (gap.interval(least=-1.0, most=1.0), intervals.BY) if enough else (None, NONE)
    return Gap(measure, gap.value, interval, by, *map(len, counts))


def _within(system: System, measure: str) -> Floats:
    """The score within each speaker, averaged over seeds: (speakers,)."""
    matrices = system.by_speaker(system.seeds)
    values = measures(matrices.reshape(-1, *matrices.shape[2:]))[measure]
    return values.reshape(len(matrices), -1).mean(axis=1)


def _of_gender(system: System, gender: str) -> System:
    speakers = system.runs[system.seeds[0]].speakers
    return system.only([system.genders.get(speaker) == gender for speaker in speakers])
