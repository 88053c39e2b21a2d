"""Intervals around predicted numbers: split conformal prediction on validation speakers, and its coverage on others.

The half width is the quantile of the absolute errors of validation clips at ceil((n + 1) level) / n (Vovk et al., 2005;
Lei et al., JASA 2018). It would hold exactly for clips that are exchangeable; clips of new speakers are not, so the
coverage of the test speakers stands beside it, each speaker's too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.targets.target import Floats, Rows

LEVEL = 0.9


def half_width(errors: Floats, level: float = LEVEL) -> float:
    """Half of the width of the interval that holds this share of clips; the largest error where clips are too few.

    `errors` (clips,) are absolute.

    >>> half_width(np.arange(1.0, 20.0))
    18.0
    """
    ordered = np.sort(errors)
    return float(ordered[min(len(ordered), math.ceil((len(ordered) + 1) * level)) - 1])


def conformal(folds: Sequence[Mapping[str, Rows]], names: Sequence[str]) -> dict[str, Any]:
    """Half width of each dimension fitted on the validation clips of all folds, and coverage of the test clips.

    Of each fold: `validation` and `test`, its predictions. A test clip is covered by the half width of its own fold.
    """
    validation = [row for fold in folds for row in fold["validation"]]
    tested = [row for fold in folds for row in fold["test"]]
    intervals: dict[str, Any] = {}
    for name in names:
        covered = np.concatenate(
            [_errors(fold["test"], name) <= half_width(_errors(fold["validation"], name)) for fold in folds]
        )
        intervals[name] = {
            "half_width": round(half_width(_errors(validation, name)), 6),
            **_shares(covered, [row["speaker"] for row in tested]),
        }
    return {
        "conformal": {"level": LEVEL, "dimensions": intervals},
        "fitted_on": "validation speakers" if len(folds) == 1 else f"validation speakers of {len(folds)} folds",
        "clips": len(validation),
        "speakers": len({row["speaker"] for row in validation}),
    }


def coverage(rows: Rows, widths: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Share of clips that intervals cover, of all and of each speaker: {name: {coverage, per_speaker}}.

    `widths` are the half widths {name: value} that hold for each row.
    """
    speakers = [row["speaker"] for row in rows]
    return {
        name: _shares(_errors(rows, name) <= np.array([width[name] for width in widths]), speakers)
        for name in widths[0]
    }


def _shares(covered: NDArray[np.bool_], speakers: Sequence[str]) -> dict[str, Any]:
    """Share of covered clips, `covered` (clips,), of all and of each speaker."""
    owner = np.array(speakers)
    return {
        "coverage": float(covered.mean()),
        "per_speaker": {speaker: float(covered[owner == speaker].mean()) for speaker in sorted(set(speakers))},
    }


def _errors(rows: Rows, name: str) -> Floats:
    """Absolute errors of one dimension, (clips,)."""
    return np.array([abs(row["prediction"][name] - row["truth"][name]) for row in rows])
