"""Answers of several systems clip by clip: which clips all get wrong, and which mistakes are confident.

Every system has the same weight, however many seeds it was run with; a seed's answer is the label with the largest
probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from affetto.measures import intervals
from affetto.measures.confusion import Floats
from affetto.measures.registry import label_measure
from affetto.reporting.stats.systems import System

DIGITS = 12
"""Digits to which shares are compared: sums over systems differ in their last bits."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answers of all systems to one clip."""

    clip: str
    speaker: str
    prompt: str | None
    truth: str
    right: float
    """Share of the systems that name the truth, 0 to 1; of several seeds a system counts in part."""
    answer: str
    """Label that most systems name: of several the one with the larger mean probability."""
    agreement: float
    """Share of the systems that name `answer`."""
    confidence: float
    """Mean probability of `answer` over all systems."""
    raters: float | None = None
    """Share of the human raters who named the truth; None for a clip that nobody rated."""


@dataclass(frozen=True, kw_only=True)
class RaterAgreement:
    """One system beside the human raters, clip by clip: shares of the rated clips, which sum to 1."""

    both: float
    """Share of the clips whose truth most raters and the system name; of several seeds a clip counts in part."""
    raters_alone: float
    system_alone: float
    neither: float
    correlation: float | None
    """Pearson's r of the share of raters and the system's probability of the truth; None where one does not vary."""
    interval: tuple[float, float] | None
    """95 % interval of `correlation` over speakers; None where these are too few."""
    clips: int


def same_clips(systems: Mapping[str, System]) -> dict[str, System]:
    """Systems on the same clips with the same truths and labels as the first."""
    first = next(iter(systems.values()))
    reference = first.runs[first.seeds[0]]
    return {
        name: system
        for name, system in systems.items()
        if (run := system.runs[system.seeds[0]]).clips == reference.clips
        and run.labels == reference.labels
        and np.array_equal(run.truth, reference.truth)
    }


def answers(systems: Sequence[System]) -> list[Answer]:
    """Answers to each clip, in the order of the clips, of systems on the same clips."""
    first = systems[0]
    run = first.runs[first.seeds[0]]
    votes = np.mean([_votes(system) for system in systems], axis=0)
    probabilities = np.mean([_probabilities(system) for system in systems], axis=0)
    # Labels are ranked by votes, and among equal votes by probability.
    called = np.lexsort((probabilities, votes.round(DIGITS)))[:, -1]
    clips = np.arange(len(run.clips))
    return [
        Answer(
            clip=run.clips[n],
            speaker=run.speakers[n],
            prompt=first.prompts[n] if first.prompts else None,
            truth=run.labels[run.truth[n]],
            right=round(float(votes[n, run.truth[n]]), DIGITS),
            answer=run.labels[called[n]],
            agreement=float(votes[n, called[n]]),
            confidence=float(probabilities[n, called[n]]),
            raters=_rater_share(run.ratings[n] if run.ratings else None, run.labels[run.truth[n]]),
        )
        for n in clips
    ]


def by_sentence(system: System) -> dict[str, float]:
    """{sentence: UAR of its clips, mean over seeds}, where all clips name theirs; else {}."""
    if not system.prompts or not all(system.prompts):
        return {}
    return by_kind(system, [str(prompt) for prompt in system.prompts])


def by_kind(system: System, kinds: Sequence[str]) -> dict[str, float]:
    """{kind: UAR of its clips, mean over seeds}; `kinds` has that of each clip, in the order of the clips."""
    names, owners = np.unique(np.array(kinds), return_inverse=True)
    matrices = system.by_owner(owners, len(names), system.seeds)
    flat = matrices.reshape(-1, *matrices.shape[2:])
    scores = label_measure("uar").of_confusions(flat).reshape(len(names), -1).mean(axis=1)
    return dict(zip(names.tolist(), scores.tolist(), strict=True))


def beside_raters(system: System) -> RaterAgreement | None:
    """Compare a system with the raters of each clip; None where nobody rated a clip."""
    is_rated = np.array([bool(ratings) for ratings in system.ratings], dtype=bool)
    if not is_rated.any():
        return None
    part = system.select(is_rated)
    people, probability = truth_shares(part)
    truth = part.runs[part.seeds[0]].truth
    right = _votes(part)[np.arange(part.clips), truth]
    most = _most_named(part)
    return RaterAgreement(
        both=float((most * right).mean()),
        raters_alone=float((most * (1 - right)).mean()),
        system_alone=float(((1 - most) * right).mean()),
        neither=float(((1 - most) * (1 - right)).mean()),
        correlation=_correlation(people, probability),
        interval=_correlation_interval(part, people, probability),
        clips=part.clips,
    )


def truth_shares(system: System) -> tuple[Floats, Floats]:
    """Share of raters who named the truth, and its probability (mean over seeds), of each clip: both (clips,)."""
    run = system.runs[system.seeds[0]]
    names = [run.labels[label] for label in run.truth]
    people = np.array([_rater_share(ratings, name) or 0.0 for ratings, name in zip(run.ratings, names, strict=True)])
    return people, _probabilities(system)[np.arange(system.clips), run.truth]


def count_by_systems(clips: Sequence[Answer], systems: int) -> list[int]:
    """Number of clips that 0, 1, … all systems get right, (systems + 1,).

    A system of several seeds counts in part and the sum is rounded, but only clips that no seed gets right, or every
    seed, stand at the ends.
    """
    counts = [0] * (systems + 1)
    for clip in clips:
        if clip.right in (0.0, 1.0):
            counts[systems if clip.right else 0] += 1
        else:
            counts[min(max(round(clip.right * systems), 1), systems - 1)] += 1
    return counts


def _votes(system: System) -> Floats:
    """Share of the seeds that name each label: (clips, labels)."""
    labels = np.eye(len(system.labels))
    return np.asarray(np.mean([labels[system.runs[seed].predicted] for seed in system.seeds], axis=0))


def _probabilities(system: System) -> Floats:
    """Mean probabilities over seeds: (clips, labels)."""
    return np.asarray(np.mean([system.runs[seed].probabilities for seed in system.seeds], axis=0))


def _rater_share(ratings: Mapping[str, int] | None, truth: str) -> float | None:
    return ratings.get(truth, 0) / sum(ratings.values()) if ratings else None


def _most_named(system: System) -> Floats:
    """1 where no other label was named by more raters than the truth, else 0: (clips,)."""
    run = system.runs[system.seeds[0]]
    pairs = zip(run.ratings, run.truth, strict=True)
    return np.array(
        [float(ratings.get(run.labels[n], 0) == max(ratings.values())) if ratings else 0.0 for ratings, n in pairs]
    )


def _correlation(first: Floats, second: Floats) -> float | None:
    if len(first) < 2 or not first.std() or not second.std():
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _correlation_interval(system: System, people: Floats, probability: Floats) -> tuple[float, float] | None:
    """Interval of the correlation by leaving out each speaker."""
    owners = system.speaker_numbers
    clips = np.bincount(owners)
    value = _correlation(people, probability)
    if value is None or not intervals.can_be_drawn(clips):
        return None
    without = [_correlation(people[owners != n], probability[owners != n]) for n in range(len(clips))]
    if any(rest is None for rest in without):
        return None
    spread = intervals.jackknife(value, np.array(without, dtype=np.float64), clips.astype(np.int64))
    return spread.interval(least=-1.0, most=1.0)
