"""Human raters beside a system, on the very clips that it was tested on: what a score can be measured against.

Each clip counts once, however many people heard it, and is as right as the share of them who named what was intended.
The system answers once a clip, the raters disagree: at equal UAR the system is no better than one rater drawn by lot,
not than the raters' majority.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from affetto.corpora.labels import EMOTIONS
from affetto.reporting.stats.groups import by_class
from affetto.reporting.stats.paired import Comparison, Pair, compare_counted
from affetto.reporting.stats.systems import System
from affetto.training.evaluate import Floats

OTHERS = "another"


@dataclass(frozen=True)
class Humans:
    """What the raters heard of the very clips that were tested, beside what the system says of them."""

    uar: float
    system_uar: float
    recall: Mapping[str, float]
    """{label: mean over its clips of the share of ratings that name it}."""
    system_recall: Mapping[str, float]
    confusion: Mapping[str, Mapping[str, float]]
    """{intended: {heard: mean share of the ratings}}; OTHERS is what they heard that is no label of the system."""
    clips: int
    unrated: int
    """Tested clips that nobody rated; they are left out, for the system too."""
    ratings: int
    versus: Comparison
    """The system's UAR minus the raters', by speaker."""


def humans(system: System) -> Humans | None:
    """The raters' recall on the tested clips beside the system's; None where the corpus has no raters.

    None too where the classes are the user's own: nobody was asked for those.
    """
    rated = np.array([bool(each) for each in system.ratings], dtype=bool)
    if not rated.any() or not set(system.labels) <= set(EMOTIONS):
        return None
    part = system.only(rated)
    heard = _heard(part)
    matrices = part.by_speaker(part.seeds)
    # One more label than the system has, for what raters heard beside; never true, and so in no recall.
    padded = np.zeros((*matrices.shape[:2], *(len(part.labels) + 1,) * 2))
    padded[..., :-1, :-1] = matrices
    raters = np.zeros_like(padded)
    speaker = {name: row for row, name in enumerate(part.speakers)}
    of_clips = part.runs[part.seeds[0]]
    for name, label, shares in zip(of_clips.speakers, of_clips.truth, heard, strict=True):
        raters[speaker[name], :, label] += shares
    support = np.append(part.support, 0)
    pair = Pair(part.corpus, "uar", part.seeds, part.speakers, support, padded, raters)
    confusion = raters[:, 0].sum(axis=0)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    whole = np.ones((1, len(part.speakers)))
    present = [number for number, clips in enumerate(part.support) if clips]
    return Humans(
        uar=float(pair.score(whole, raters)[0]),
        system_uar=float(pair.score(whole, padded)[0]),
        recall={part.labels[n]: float(shares[n, n]) for n in present},
        system_recall={each.label: each.recall for each in by_class(part) if each.clips},
        confusion={part.labels[n]: dict(zip((*part.labels, OTHERS), shares[n].tolist(), strict=True)) for n in present},
        clips=part.clips,
        unrated=int((~rated).sum()),
        ratings=sum(sum((each or {}).values()) for each in part.ratings),
        versus=compare_counted([pair], (system.name, "human raters")),
    )


def _heard(system: System) -> Floats:
    """Shares of a clip's ratings that each label got, and last of what is no label: (clips, labels + 1)."""
    rows = []
    for each in system.ratings:
        assert each
        total = sum(each.values())
        named = [each.get(label, 0) / total for label in system.labels]
        rows.append([*named, max(0.0, 1 - sum(named))])
    return np.array(rows)
