"""Registry of all measures: this package's and those of installed plug-ins."""

from __future__ import annotations

from affetto.errors import UserError
from affetto.measures.measure import LabelMeasure, Measure
from affetto.registry import Registry

MEASURES: Registry[Measure] = Registry(
    "measure",
    Measure,  # type: ignore[type-abstract]
    ["affetto.measures"],
    "affetto.measures",
    order=lambda measure: (measure.order, measure.name),
)


def shown_measures() -> list[Measure]:
    """Measures that every run's metrics, tables and card have, in the order of the tables."""
    return [measure for measure in MEASURES.values() if measure.is_shown]


def label_measures() -> list[LabelMeasure]:
    """Those of the shown measures that follow from a confusion matrix."""
    return [measure for measure in shown_measures() if isinstance(measure, LabelMeasure)]


def label_measure(name: str) -> LabelMeasure:
    """The measure of that name. Raises UserError where there is none, and where it needs probabilities."""
    measure = MEASURES.find(name)
    if not isinstance(measure, LabelMeasure):
        raise UserError(f"measure {name!r} needs probabilities; a confusion matrix has none")
    return measure
