"""Confidence on another corpus: what a model's constants, fitted on its own validation speakers, are worth there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affetto.targets.conformal import coverage
from affetto.targets.target import Rows, Target
from affetto.targets.temperature import before_and_after


def confidence_of(target: Target, rows: Rows, confidence: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Facts for `metrics.json`: temperature and calibration, thresholds, coverage of the intervals.

    `confidence` (rows,) is that of the card of the model that predicted each row. A constant in which several models
    differ is None.
    """
    facts: dict[str, Any] = {}
    if target.has_classes:
        temperatures = [float(values.get("temperature", 1.0)) for values in confidence]
        facts |= {"temperature": _common(temperatures), "test": before_and_after(rows, temperatures)}
    if target.has_marks:
        facts["thresholds"] = _common([values.get("thresholds") for values in confidence])
    if target.has_dimensions and all("conformal" in values for values in confidence):
        facts["conformal"] = _conformal(target, rows, [values["conformal"] for values in confidence])
    return facts


def _conformal(target: Target, rows: Rows, conformal: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    widths = [{name: facts["half_width"] for name, facts in values["dimensions"].items()} for values in conformal]
    covered = coverage([target.number_row(row) for row in rows], widths)
    return {
        "level": conformal[0]["level"],
        "dimensions": {
            name: {"half_width": _common([width[name] for width in widths]), **shares}
            for name, shares in covered.items()
        },
    }


def _common(values: Sequence[Any]) -> Any:
    """The value that all have; None where they differ."""
    return values[0] if all(value == values[0] for value in values) else None
