"""Human raters beside a system, on the same test clips: a yardstick for its score.

Each clip counts once, however many people rated it, and its score is the share of raters who named the intended
emotion. The system gives one answer a clip while raters disagree: at equal UAR the system equals one rater drawn at
random, not the majority of the raters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from affetto.corpora.labels import EMOTIONS
from affetto.measures.confusion import Floats
from affetto.reporting.stats.groups import by_class
from affetto.reporting.stats.paired import Comparison, Pair, compare_counted
from affetto.reporting.stats.systems import System

OTHERS = "another"
"""Name of all answers of raters that are no label of the system."""


@dataclass(frozen=True)
class HumanScores:
    """Recall of the raters on the rated test clips, beside that of the system."""

    uar: float
    system_uar: float
    recall: Mapping[str, float]
    """{label: mean over its clips of the share of ratings that name it}."""
    system_recall: Mapping[str, float]
    confusion: Mapping[str, Mapping[str, float]]
    """{intended emotion: {rating: mean share}}; OTHERS collects ratings that are no label of the system."""
    clips: int
    unrated: int
    """Number of test clips without a rating; they are excluded, for the system too."""
    ratings: int
    versus: Comparison
    """UAR of the system minus that of the raters, by speaker."""


def human_scores(system: System) -> HumanScores | None:
    """Compare the system with human raters on the rated test clips.

    None where the corpus has no ratings, and where the classes are the user's own: raters did not choose among those.
    """
    is_rated = np.array([bool(ratings) for ratings in system.ratings], dtype=bool)
    if not is_rated.any() or not set(system.labels) <= set(EMOTIONS):
        return None
    part = system.select(is_rated)
    matrices = part.by_speaker(part.seeds)
    # One more label than the system has, for all other ratings; no clip has it, so it enters no recall.
    padded = np.zeros((*matrices.shape[:2], *(len(part.labels) + 1,) * 2))
    padded[..., :-1, :-1] = matrices
    raters = np.zeros_like(padded)
    rows = {name: row for row, name in enumerate(part.speakers)}
    clips = part.runs[part.seeds[0]]
    for speaker, label, shares in zip(clips.speakers, clips.truth, _rating_shares(part), strict=True):
        raters[rows[speaker], :, label] += shares
    pair = Pair(
        corpus=part.corpus,
        measure="uar",
        seeds=part.seeds,
        speakers=part.speakers,
        support=np.append(part.support, 0),
        first=padded,
        second=raters,
    )
    confusion = raters[:, 0].sum(axis=0)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    all_speakers = np.ones((1, len(part.speakers)))
    present = [number for number, clips in enumerate(part.support) if clips]
    return HumanScores(
        uar=float(pair.score(all_speakers, raters)[0]),
        system_uar=float(pair.score(all_speakers, padded)[0]),
        recall={part.labels[n]: float(shares[n, n]) for n in present},
        system_recall={score.label: score.recall for score in by_class(part) if score.clips},
        confusion={part.labels[n]: dict(zip((*part.labels, OTHERS), shares[n].tolist(), strict=True)) for n in present},
        clips=part.clips,
        unrated=int((~is_rated).sum()),
        ratings=sum(sum((ratings or {}).values()) for ratings in part.ratings),
        versus=compare_counted([pair], (system.name, "human raters")),
    )


def _rating_shares(system: System) -> Floats:
    """Share of each clip's ratings by label, and last of those that are no label: (clips, labels + 1)."""
    rows = []
    for ratings in system.ratings:
        assert ratings
        total = sum(ratings.values())
        shares = [ratings.get(label, 0) / total for label in system.labels]
        rows.append([*shares, max(0.0, 1 - sum(shares))])
    return np.array(rows)
