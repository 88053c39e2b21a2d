"""Sets of labels that hold the true one as often as was promised: split conformal prediction of classes.

A score says how strange a label is for a clip. A set has all labels whose score is no higher than a limit: the quantile
of the true labels' scores on clips that the model had not learned from, at ceil((n + 1) level) / n (Vovk et al., 2005).
`lac` takes 1 - p of the label (Sadinle, Lei and Wasserman, JASA 2019), `aps` the probability of all likelier labels and
half of its own (Romano, Sesia and Candès, NeurIPS 2020, whose random share is its mean here, so that equal clips get
equal sets). By class, each label has a limit of its own, from the clips that are truly of it. The most probable label
is always in the set.

The promise would hold exactly for clips that are exchangeable. Clips of new speakers are not, so `measured` says what
the sets hold of speakers that had no part in their limit. Probabilities are those before the temperature, as
predictions files have them: a temperature that was fitted on the same clips could bend the promise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError, unknown
from affetto.measures.units import Units, speaker_numbers, units_of
from affetto.targets.target import Floats, Rows

LEVEL = 0.9
"""Level at which the sets' coverage is measured."""
LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
"""Levels for which a model has limits."""
ALL = 1.0
"""Limit that every label is within."""
DECIMALS = 6
NO_SETS = "this model has no sets of labels"
DEFAULT_KIND, BY_CLASS = "lac", "-by-class"


@dataclass(frozen=True)
class Kind:
    """A kind of sets: a score, and whose clips its limits are from."""

    name: str
    by_class: bool = False
    """True if each label has a limit of its own."""
    is_cumulative: bool = False
    """True if the score is the probability of the likelier labels, and half of the label's own."""

    def scores(self, probabilities: Floats) -> Floats:
        """Score of each label, (clips, labels) from 0 to 1, from probabilities (clips, labels)."""
        if not self.is_cumulative:
            return 1 - probabilities
        order = np.argsort(-probabilities, axis=1, kind="stable")
        ranked = np.take_along_axis(probabilities, order, axis=1)
        scores = np.empty_like(probabilities)
        np.put_along_axis(scores, order, np.cumsum(ranked, axis=1) - ranked / 2, axis=1)
        return np.minimum(scores, ALL)

    def groups(self, truth: NDArray[np.intp], labels: int) -> list[NDArray[np.bool_]]:
        """Clips (clips,) that the limit of each label is from."""
        everything = np.ones(len(truth), dtype=bool)
        return [truth == label for label in range(labels)] if self.by_class else [everything]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("lac"),
        Kind("aps", is_cumulative=True),
        Kind(f"lac{BY_CLASS}", by_class=True),
        Kind(f"aps{BY_CLASS}", by_class=True, is_cumulative=True),
    )
}


@dataclass(frozen=True)
class LabelSets:
    """Sets of one kind and level: `limits` (labels,) that the score of each label may reach."""

    labels: tuple[str, ...]
    kind: Kind
    level: float
    limits: Floats

    @classmethod
    def of(
        cls, confidence: Mapping[str, Any], labels: Sequence[str], level: float, kind: str = DEFAULT_KIND
    ) -> LabelSets:
        """The sets that a model's card has limits for.

        Raises UserError for a card without them, an unknown kind and a level that the card lacks."""
        facts = confidence.get("sets")
        if facts is None:
            raise UserError(
                f"{NO_SETS}: it names no single emotion, is of others or of an earlier version, or is the mean of "
                "several models; ask for no coverage, or train it again"
            )
        if kind not in facts["limits"]:
            raise unknown("kind of sets", kind, [name for name in KINDS if name in facts["limits"]])
        if level not in facts["levels"]:
            levels = ", ".join(f"{stored:g}" for stored in facts["levels"])
            raise UserError(f"a coverage of {level:g}: this model has sets for {levels}")
        limits = facts["limits"][kind]
        rows = [limits[label] for label in labels] if KINDS[kind].by_class else [limits] * len(labels)
        column = facts["levels"].index(level)
        return cls(tuple(labels), KINDS[kind], level, np.array([row[column] for row in rows]))

    def holds(self, probabilities: Floats) -> NDArray[np.bool_]:
        """True for each label in the set of each clip, (clips, labels), by probabilities (clips, labels)."""
        return _holds(self.kind.scores(probabilities), probabilities, self.limits)

    def of_clip(self, probabilities: Floats) -> tuple[str, ...]:
        """The set of one clip, the most probable label first, by probabilities (labels,) without a temperature."""
        (row,) = self.holds(probabilities[None])
        return tuple(self.labels[label] for label in np.argsort(-probabilities, kind="stable") if row[label])


def fit_sets(folds: Sequence[Mapping[str, Rows]], labels: Sequence[str]) -> dict[str, Any]:
    """Limits of all kinds and levels, and the coverage at LEVEL, for a model's card: {"sets": …}; {} without clips.

    Of each fold: `validation` and `test`, its predictions. Of several folds the limits are from their test clips, which
    are all clips, each predicted by a model that does not know its speaker; its coverage is measured on each speaker by
    the limits of all other speakers. Of one fold they are from its validation clips, and measured on its test clips.
    """
    is_crossed = len(folds) > 1
    fitted = [row for fold in folds for row in fold["test" if is_crossed else "validation"]]
    if not fitted:
        return {}
    clips = Clips.of(fitted, labels)
    tested = None if is_crossed else Clips.of(folds[0]["test"], labels)
    limits = {}
    for name, kind in KINDS.items():
        rows = [[rounded_up(limit(scores, level)) for level in LEVELS] for scores in clips.true_scores(kind)]
        limits[name] = dict(zip(labels, rows, strict=True)) if kind.by_class else rows[0]
    sets = {
        "levels": list(LEVELS),
        "fitted_on": "held-out speakers of all folds" if is_crossed else "validation speakers",
        "clips": len(fitted),
        "speakers": len(clips.speakers),
        "limits": limits,
        "measured": {"level": LEVEL, **measure_sets(clips, tested)},
    }
    return {"sets": sets}


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Predictions of clips as arrays."""

    probabilities: Floats
    """(clips, labels)"""
    truth: NDArray[np.intp]
    """Column of the true label, (clips,)."""
    speakers: list[str]
    owner: NDArray[np.intp]
    """Number of each clip's speaker, (clips,)."""

    @classmethod
    def of(cls, rows: Rows, labels: Sequence[str]) -> Clips:
        """Clips of a predictions file."""
        columns = {label: column for column, label in enumerate(labels)}
        speakers, owner = speaker_numbers([row["speaker"] for row in rows])
        return cls(
            probabilities=np.array([[row["probabilities"][label] for label in labels] for row in rows]),
            truth=np.array([columns[row["truth"]] for row in rows]),
            speakers=speakers,
            owner=owner,
        )

    def true_scores(self, kind: Kind) -> list[Floats]:
        """Scores of the true labels that each limit is from."""
        true = kind.scores(self.probabilities)[np.arange(len(self.truth)), self.truth]
        return [true[group] for group in kind.groups(self.truth, self.probabilities.shape[1])]


def limit(scores: Floats, level: float) -> float:
    """Least limit that a score of another clip like these (clips,) is within, at this level; ALL for too few clips.

    >>> limit(np.arange(1.0, 20.0) / 20, 0.9), limit(np.array([0.1, 0.2]), 0.9)
    (0.9, 1.0)
    """
    place = _place(len(scores), level)
    return ALL if place > len(scores) else float(np.sort(scores)[place - 1])


def rounded_up(value: float) -> float:
    """Value with DECIMALS decimals that is no lower.

    >>> rounded_up(0.1234561), rounded_up(0.3)
    (0.123457, 0.3)
    """
    return min(ALL, math.ceil(round(value * 10**DECIMALS, 3)) / 10**DECIMALS)


def measure_sets(clips: Clips, tested: Clips | None = None, level: float = LEVEL) -> dict[str, Any]:
    """Coverage of the sets of each kind, with the units of its interval: {"interval": …, "kinds": {kind: …}}.

    Sets are those of `tested` by limits from `clips`; None: those of each speaker of `clips` by limits from all the
    others. {} of one speaker alone, beside whom there is nobody.
    """
    if tested is None and len(clips.speakers) < 2:
        return {}
    judged = clips if tested is None else tested
    units = units_of(judged.owner, len(judged.speakers))
    kinds = {}
    for name, kind in KINDS.items():
        within = _held_out(clips, kind, level) if tested is None else _held(clips, tested, kind, level)
        kinds[name] = _measured(judged, within, units)
        if not kind.by_class:
            kinds[name]["per_speaker"] = _by_speaker(judged, within)
    return {"interval": units.facts(), "kinds": kinds}


def _measured(clips: Clips, within: NDArray[np.bool_], units: Units) -> dict[str, Any]:
    """Coverage with its interval, mean number of labels in a set, and share of sets with one label."""
    covered = within[np.arange(len(clips.truth)), clips.truth]
    sums = np.bincount(units.owner, weights=covered, minlength=len(units))
    without = (covered.sum() - sums) / np.maximum(len(covered) - units.clips, 1)
    coverage, sizes = float(covered.mean()), within.sum(1)
    return {
        "coverage": coverage,
        "interval": units.ends(coverage, without, 0.0, 1.0),
        "size": float(sizes.mean()),
        "single": float((sizes == 1).mean()),
    }


def _by_speaker(clips: Clips, within: NDArray[np.bool_]) -> dict[str, float]:
    """Share of each speaker's clips whose true label is in the set."""
    covered = within[np.arange(len(clips.truth)), clips.truth]
    shares = np.bincount(clips.owner, weights=covered) / np.bincount(clips.owner)
    return dict(zip(clips.speakers, map(float, shares), strict=True))


def _held(clips: Clips, tested: Clips, kind: Kind, level: float) -> NDArray[np.bool_]:
    """Sets (clips, labels) of the tested clips by limits from `clips`."""
    limits = np.array([limit(scores, level) for scores in clips.true_scores(kind)])
    return _holds(kind.scores(tested.probabilities), tested.probabilities, limits)


def _held_out(clips: Clips, kind: Kind, level: float) -> NDArray[np.bool_]:
    """Sets (clips, labels) of each speaker by limits from the clips of all other speakers."""
    scores = kind.scores(clips.probabilities)
    columns = [
        list(_limits_without(clips, scores, group, level)) for group in kind.groups(clips.truth, scores.shape[1])
    ]
    return _holds(scores, clips.probabilities, np.array(columns).T[clips.owner])


def _limits_without(clips: Clips, scores: Floats, group: NDArray[np.bool_], level: float) -> Iterator[float]:
    """Limit of a group of clips without each speaker's, in the order of the speakers. Sorts once for all of them."""
    true, owner = scores[np.arange(len(scores)), clips.truth][group], clips.owner[group]
    order = np.argsort(true)
    true, owner = true[order], owner[order]
    for speaker in range(len(clips.speakers)):
        rest = true[owner != speaker]
        place = _place(len(rest), level)
        yield ALL if place > len(rest) else float(rest[place - 1])


def _holds(scores: Floats, probabilities: Floats, limits: Floats) -> NDArray[np.bool_]:
    """Sets (clips, labels) by scores; limits broadcast to them. The most probable label is in each."""
    within = np.asarray(scores <= limits, dtype=bool)
    within[np.arange(len(within)), probabilities.argmax(1)] = True
    return within


def _place(clips: int, level: float) -> int:
    """Place of the limit among the sorted scores of this number of clips, from 1; beyond them for too few."""
    return math.ceil(round((clips + 1) * level, 9))
