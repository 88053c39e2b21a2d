"""Ratings of a clip as a JSON list, for what `anger=3;joy=2` cannot say: raters, several labels, dimensions."""

from __future__ import annotations

import json
import math
from typing import Any

from affetto.corpora.annotations import Rating
from affetto.corpora.formats.label_rules import LabelReader
from affetto.errors import UserError

MOST_RATERS = 10_000
"""Most ratings of one clip: a larger count is no number of people."""
EXAMPLE = '[{"rater": "r1", "labels": ["anger"], "arousal": 0.7}]'


def listed_ratings(cell: str, where: str, label_of: LabelReader) -> tuple[Rating, ...]:
    """The ratings of a cell such as `[{"rater": "r1", "labels": ["anger"], "arousal": 0.7}]`.

    Ratings whose labels are all dropped and that have no dimension are left out. Raises UserError.
    """
    try:
        entries = json.loads(cell)
    except (ValueError, RecursionError) as problem:
        raise UserError(f"{where}: the ratings are no JSON ({problem}); write them as {EXAMPLE}") from None
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_RATERS:
        raise UserError(f"{where}: the ratings must be a list of 1 to {MOST_RATERS:,}, such as {EXAMPLE}")
    ratings = (_rating(entry, where, label_of) for entry in entries)
    return tuple(rating for rating in ratings if rating.labels or rating.dimensions)


def _rating(entry: Any, where: str, label_of: LabelReader) -> Rating:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: the rating {str(entry)[:40]!r} is no object; write it as {EXAMPLE}")
    numbers = dict(entry)
    rater, labels = numbers.pop("rater", ""), numbers.pop("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UserError(f"{where}: the labels of a rating must be a list of texts, not {str(labels)[:40]!r}")
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(f"{where}: {name} of a rating must be a number, not {str(value)[:40]!r}")
    emotions = (label_of(label, where) for label in labels)
    return Rating(
        rater=str(rater),
        labels=tuple(dict.fromkeys(emotion for emotion in emotions if emotion is not None)),
        dimensions=tuple(sorted((name, float(value)) for name, value in numbers.items())),
    )
