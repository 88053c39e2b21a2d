"""Groups of clips by gender, age or another column, and the gaps of the scores between each group and the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.corpora.manifest import Clip
from affetto.errors import UserError, unknown
from affetto.evaluation.stress.random_models import UNDECIDED, gap_threshold
from affetto.evaluation.stress.scoring import MainScore, Places
from affetto.measures import intervals
from affetto.measures.intervals import Sampled, can_be_drawn, effective, jackknife, settled
from affetto.measures.units import speaker_numbers

MOST_GROUPS = 10
"""Most values of a column that make a group each; numbers beyond them are divided into thirds of the speakers."""
OF_CLIP = ("gender", "prompt")
"""Columns that are fields of a clip; all others are among its extras."""
GAP, NO_GAP = "gap", "no gap"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the corpus, and the group of each clip by it."""

    name: str
    groups: Mapping[str, str]
    """{clip id: group}; clips without a value are left out."""

    @property
    def values(self) -> tuple[str, ...]:
        """The groups: numbers and ranges of numbers by size, words by the alphabet."""
        return tuple(sorted(set(self.groups.values()), key=_order))


def read_columns(clips: Sequence[Clip], names: Iterable[str]) -> tuple[Column, ...]:
    """The columns of these names.

    Raises UserError for a column that no clip has, that has one value alone, or too many words.
    """
    available = [name for name in OF_CLIP if any(getattr(clip, name) for clip in clips)]
    available += sorted({name for clip in clips for name, _ in clip.extra})
    columns = []
    for name in names:
        if not available:
            raise UserError(
                f"--by {name}: the corpus has neither gender, sentences nor columns beside the labels to compare by; "
                "in a table a column `gender`, or `extra:NAME` for any other, makes one"
            )
        if name not in available:
            raise unknown("column of --by", name, available, hint="Tables have more as extra:NAME.")
        values = {clip.id: value for clip in clips if (value := _value(clip, name))}
        column = Column(name=name, groups=_grouped(name, values, {clip.id: clip.speaker for clip in clips}))
        if len(column.values) < 2:
            raise UserError(
                f"--by {name}: all clips have {column.values[0]!r}, and a gap needs two groups; leave it out"
            )
        columns.append(column)
    return tuple(columns)


def gaps_of(column: Column, ids: Sequence[str], speakers: Sequence[str], scores: Sequence[MainScore]) -> dict[str, Any]:
    """Scores of each group and their gaps to the rest, for JSON; `ids` and `speakers` (clips,) are those of the lines.

    Clips without a value are in no group and in no rest.
    """
    groups = np.array([column.groups.get(clip_id, "") for clip_id in ids])
    _, owner = speaker_numbers(speakers)
    facts = []
    for value in (value for value in column.values if value in groups):
        group, rest = np.flatnonzero(groups == value), np.flatnonzero((groups != value) & (groups != ""))
        if not len(rest):
            continue
        facts.append(
            {
                "value": value,
                "clips": len(group),
                "speakers": len(np.unique(owner[group])),
                "scores": {score.name: _gap(score, group, rest, owner) for score in scores},
            }
        )
    return {"column": column.name, "without_value": int((groups == "").sum()), "groups": facts}


def gap_verdict(gap: float, interval: tuple[float, float] | None, threshold: float) -> str:
    """Verdict on a gap: there is one beyond what random models have, and surely; there is none; or undecided.

    >>> gap_verdict(0.2, (0.1, 0.3), 0.05), gap_verdict(0.0, (-0.04, 0.04), 0.05), gap_verdict(0.2, (-0.1, 0.5), 0.05)
    ('gap', 'no gap', 'undecided')
    """
    if interval is None:
        return UNDECIDED
    low, high = interval
    if -threshold <= low and high <= threshold:
        return NO_GAP
    return GAP if abs(gap) > threshold and (low > 0 or high < 0) else UNDECIDED


def _gap(score: MainScore, group: Places, rest: Places, owner: NDArray[np.intp]) -> dict[str, Any]:
    """The score of a group with its interval, and the gap to the rest with threshold and verdict."""
    least, most = score.measure.range
    of_group, of_rest = (_sampled(score, clips, owner) for clips in (group, rest))
    span = most - least
    gap = _difference(score, (group, of_group), (rest, of_rest), owner)
    interval = None if gap is None else gap.interval(least=-span, most=span)
    difference = score.of_own(group) - score.of_own(rest)
    threshold = gap_threshold(score, group, rest, len(owner))
    return {
        "title": score.title,
        "value": score.of_own(group),
        "interval": None if of_group is None else list(of_group.interval(least=least, most=most)),
        "gap": difference,
        "gap_interval": None if interval is None else list(interval),
        "threshold": threshold,
        "verdict": gap_verdict(difference, interval, threshold),
    }


def _sampled(score: MainScore, clips: Places, owner: NDArray[np.intp]) -> Sampled | None:
    """The score of clips with its variance over their speakers; None of too few speakers."""
    speakers, counts = np.unique(owner[clips], return_counts=True)
    if not can_be_drawn(counts):
        return None
    without = np.array([score.of_own(clips[owner[clips] != speaker]) for speaker in speakers])
    return jackknife(score.of_own(clips), without, counts)


def _difference(
    score: MainScore,
    first: tuple[Places, Sampled | None],
    second: tuple[Places, Sampled | None],
    owner: NDArray[np.intp],
) -> Sampled | None:
    """First score less second with its variance over speakers.

    Two sets of speakers are independent, and their variances add up (Welch). Where speakers are in both groups, each is
    left out of both at once, so that what a speaker does to both scores cancels.
    """
    (group, of_group), (rest, of_rest) = first, second
    if of_group is None or of_rest is None:
        return None
    if not set(owner[group]) & set(owner[rest]):
        return intervals.total([of_group, of_rest], [1.0, -1.0])
    speakers, counts = np.unique(owner[np.concatenate([group, rest])], return_counts=True)
    moves = np.array([_move(score, group, owner, s) - _move(score, rest, owner, s) for s in speakers])
    variance = settled(float((moves**2).sum()))
    return Sampled(of_group.value - of_rest.value, variance, effective(counts) - 1)


def _move(score: MainScore, clips: Places, owner: NDArray[np.intp], speaker: int) -> float:
    """Move of a score without one speaker, weighted as the jackknife weighs it; 0 for a speaker of other clips."""
    is_left = owner[clips] != speaker
    if is_left.all():
        return 0.0
    return float(np.sqrt(is_left.mean()) * (score.of_own(clips[is_left]) - score.of_own(clips)))


def _value(clip: Clip, name: str) -> str:
    return str(getattr(clip, name) or "") if name in OF_CLIP else dict(clip.extra).get(name, "")


def _grouped(name: str, values: Mapping[str, str], speakers: Mapping[str, str]) -> dict[str, str]:
    """The group of each clip: its value, or the third of the speakers that its number is in."""
    distinct = set(values.values())
    if len(distinct) <= MOST_GROUPS:
        return dict(values)
    words = sorted(value for value in distinct if not _is_number(value))
    if words:
        raise UserError(
            f"--by {name}: {len(distinct)} values such as {words[0]!r} are too many groups, at most {MOST_GROUPS} "
            "words are allowed; give a column with fewer, or with numbers alone (an empty cell is no value)"
        )
    number = {value: float(value) for value in distinct}
    of_speakers = {speakers[clip_id]: number[value] for clip_id, value in values.items()}
    lower, upper = np.quantile(list(of_speakers.values()), (1 / 3, 2 / 3))
    thirds: dict[int, list[float]] = {}
    for value in number.values():
        thirds.setdefault(_third(value, lower, upper), []).append(value)
    titles = {third: f"{min(of_third):g}–{max(of_third):g}" for third, of_third in thirds.items()}
    return {clip_id: titles[_third(number[value], lower, upper)] for clip_id, value in values.items()}


def _is_number(text: str) -> bool:
    """True for a finite number."""
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _third(value: float, lower: float, upper: float) -> int:
    return int(value > lower) + int(value > upper)


def _order(value: str) -> tuple[float, str]:
    try:
        return float(value.partition("–")[0]), value
    except ValueError:
        return float("inf"), value
