"""Registry of all measures: this package's and those of installed plug-ins."""

from __future__ import annotations

from typing import TypeVar

from affetto.errors import UserError
from affetto.measures.measure import (
    ClassMeasure,
    DimensionMeasure,
    DistributionMeasure,
    LabelMeasure,
    Measure,
    MultilabelMeasure,
)
from affetto.registry import Registry

MEASURES: Registry[Measure] = Registry(
    "measure",
    Measure,
    ["affetto.measures"],
    "affetto.measures",
    order=lambda measure: (measure.order, measure.name),
)


M = TypeVar("M", bound=Measure)


def shown_measures() -> list[ClassMeasure]:
    """Measures of classes that every run's metrics, tables and card have, in the order of the tables."""
    return _shown(ClassMeasure)  # type: ignore[type-abstract]


def label_measures() -> list[LabelMeasure]:
    """Those of the shown measures that follow from a confusion matrix."""
    return _shown(LabelMeasure)


def dimension_measures() -> list[DimensionMeasure]:
    """The shown measures of dimensions, in the order of the tables."""
    return _shown(DimensionMeasure)


def distribution_measures() -> list[DistributionMeasure]:
    """The shown measures of raters' shares, in the order of the tables."""
    return _shown(DistributionMeasure)  # type: ignore[type-abstract]


def multilabel_measures() -> list[MultilabelMeasure]:
    """The shown measures of several labels a clip, in the order of the tables."""
    return _shown(MultilabelMeasure)


def class_measure(name: str) -> ClassMeasure:
    """The measure of that name. Raises UserError where there is none, and for one of another target than classes."""
    measure = MEASURES.find(name)
    if not isinstance(measure, ClassMeasure):
        raise UserError(
            f"measure {name!r} is not one of classes; known: "
            + ", ".join(record.name for record in MEASURES.values() if isinstance(record, ClassMeasure))
        )
    return measure


def label_measure(name: str) -> LabelMeasure:
    """The measure of that name. Raises UserError where there is none, and where it needs probabilities."""
    measure = class_measure(name)
    if not isinstance(measure, LabelMeasure):
        raise UserError(f"measure {name!r} needs probabilities; a confusion matrix has none")
    return measure


def _shown(kind: type[M]) -> list[M]:
    return [measure for measure in MEASURES.values() if isinstance(measure, kind) and measure.is_shown]
