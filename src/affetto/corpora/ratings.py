"""Human raters' answers: the share of ratings that name the intended emotion.

Readers put them into a clip's extras: `raters` holds the labels that the raters gave, joined by `|`, and `raters_agree`
the number of raters who gave the intended one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from affetto.corpora.manifest import Manifest

SEPARATOR = "|"


def extra(ratings: Sequence[str], intended: str | None) -> tuple[tuple[str, str], ...]:
    """The extras of a clip that was rated so; () for a clip without ratings."""
    if not ratings:
        return ()
    return (("raters", SEPARATOR.join(ratings)), ("raters_agree", str(ratings.count(intended or ""))))


def human_recall(manifest: Manifest) -> dict[str, float]:
    """Share of all ratings that name the intended emotion, per emotion; {} where no clip has ratings."""
    agree: Counter[str] = Counter()
    ratings: Counter[str] = Counter()
    for clip in manifest.clips:
        facts = dict(clip.extra)
        if "raters" in facts:
            agree[clip.emotion] += int(facts["raters_agree"])
            ratings[clip.emotion] += facts["raters"].count(SEPARATOR) + 1
    return {label: agree[label] / ratings[label] for label in manifest.labels if ratings[label]}


def human_uar(manifest: Manifest) -> float | None:
    """Unweighted average recall of the raters, to be shown beside a model's; None where no clip has ratings."""
    recall = human_recall(manifest)
    return sum(recall.values()) / len(recall) if recall else None
