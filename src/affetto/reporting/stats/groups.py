"""Scores of parts of the test clips: by class, by speaker and by gender, with the gap between women and men.

All are means over the seeds. Scores within a part are computed on that part's clips alone, so they do not average to
the macro F1 of all clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from affetto.measures import intervals
from affetto.measures.confusion import Floats, per_class
from affetto.measures.registry import label_measure
from affetto.reporting.stats.estimation import Estimate, estimate, jackknife_mean, leave_one_out, sizes
from affetto.reporting.stats.paired import NONE
from affetto.reporting.stats.systems import System

FEMALE, MALE = "female", "male"


@dataclass(frozen=True)
class ClassScore:
    """Scores of one label."""

    label: str
    precision: float
    recall: float
    f1: float
    clips: int


@dataclass(frozen=True)
class SpeakerScore:
    """Scores within the clips of one speaker."""

    speaker: str
    gender: str | None
    macro_f1: float
    uar: float
    accuracy: float
    clips: int


@dataclass(frozen=True)
class GenderScore:
    """Scores within the clips of one gender."""

    gender: str
    estimates: Mapping[str, Estimate]
    """{measure: score with its interval}."""
    speakers: int
    clips: int


@dataclass(frozen=True)
class Gap:
    """Score with women minus score with men. The two are different people, so nothing is paired."""

    measure: str
    difference: float
    interval: tuple[float, float] | None
    """Student's interval over the speakers of both, and the seeds; None where either has too few speakers."""
    interval_by: str
    """`t`, or `none`."""
    women: int
    men: int


def by_class(system: System) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each label, in the order of the labels."""
    by_seed = [per_class(matrix, system.labels) for matrix in system.by_speaker(system.seeds).sum(axis=0)]

    def mean(label: str, name: str) -> float:
        return float(np.mean([scores[label][name] for scores in by_seed]))

    return tuple(
        ClassScore(
            label=label,
            precision=mean(label, "precision"),
            recall=mean(label, "recall"),
            f1=mean(label, "f1"),
            clips=int(clips),
        )
        for label, clips in zip(system.labels, system.support, strict=True)
    )


def by_speaker(system: System) -> tuple[SpeakerScore, ...]:
    """Scores of each speaker, in the order of their names."""
    scores = {name: _within_speakers(system, name) for name in ("macro_f1", "uar", "accuracy")}
    clips = system.by_speaker(system.seeds[:1]).sum(axis=(1, 2, 3))
    return tuple(
        SpeakerScore(
            speaker=speaker,
            gender=system.genders.get(speaker),
            **{name: float(values[row]) for name, values in scores.items()},
            clips=int(clips[row]),
        )
        for row, speaker in enumerate(system.speakers)
    )


def by_gender(system: System, names: tuple[str, ...] = ("macro_f1", "uar", "accuracy")) -> tuple[GenderScore, ...]:
    """Scores of each gender with their intervals, sorted by gender; () where no gender is known."""
    parts = {gender: _select_gender(system, gender) for gender in sorted(set(system.genders.values()))}
    return tuple(
        GenderScore(
            gender=gender,
            estimates={name: estimate([part], name) for name in names},
            speakers=len(part.speakers),
            clips=part.clips,
        )
        for gender, part in parts.items()
    )


def gender_gap(system: System, measure: str = "uar") -> Gap | None:
    """Score with women minus score with men, with an interval; None where there are not both."""
    if not {FEMALE, MALE} <= set(system.genders.values()):
        return None
    parts, by_seed, counts = [], [], []
    for part in (_select_gender(system, gender) for gender in (FEMALE, MALE)):
        matrices = part.by_speaker(part.seeds)
        scores, without = leave_one_out(matrices, part.support, measure)
        parts.append(jackknife_mean(scores, without, sizes(matrices)))
        by_seed.append(scores)
        counts.append(sizes(matrices))
    gap = intervals.over_seeds(intervals.total(parts, [1, -1]), by_seed[0] - by_seed[1])
    has_interval = all(intervals.can_be_drawn(clips) for clips in counts) and gap.variance > 0
    return Gap(
        measure=measure,
        difference=gap.value,
        interval=gap.interval(least=-1.0, most=1.0) if has_interval else None,
        interval_by=intervals.BY if has_interval else NONE,
        women=len(counts[0]),
        men=len(counts[1]),
    )


def _within_speakers(system: System, measure: str) -> Floats:
    """Score within each speaker, averaged over seeds: (speakers,)."""
    matrices = system.by_speaker(system.seeds)
    values = label_measure(measure).of_confusions(matrices.reshape(-1, *matrices.shape[2:]))
    return values.reshape(len(matrices), -1).mean(axis=1)


def _select_gender(system: System, gender: str) -> System:
    speakers = system.runs[system.seeds[0]].speakers
    return system.select([system.genders.get(speaker) == gender for speaker in speakers])
