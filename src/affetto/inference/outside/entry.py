"""Models of other packages: a record with a function, registered by an entry point and called by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from affetto.errors import UserError
from affetto.inference.outside.model import CLASSES, DIMENSIONS, TINY, OutsideModel
from affetto.registry import Registry

Score = Callable[[np.ndarray], Sequence[float] | np.ndarray]
"""Wave (samples,), float32 at 16 kHz → probabilities of the labels, or values of the dimensions."""


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """Record of a model that another package computes. It has labels or dimensions, not both."""

    name: str
    """Name that `affetto predict` takes."""
    title: str
    load: Callable[[str], Score]
    """Loads the model on a device (`auto`, `cpu`, `cuda` …) and returns the function of a clip."""
    labels: tuple[str, ...] = ()
    """Labels of the probabilities, in their order."""
    dimensions: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Range of each dimension, in the order of the values."""
    longest_seconds: float | None = None
    """Longest clip that the model takes; None: any length."""
    trained_on: tuple[str, ...] = ()
    """Corpora that it was trained on, by affetto's names where it has one; () where that is not known."""
    licence: str = ""


MODELS: Registry[ModelEntry] = Registry("model", ModelEntry, [], "affetto.models")
"""Models of other packages by the names that commands take."""


def open_entry(entry: ModelEntry, device: str) -> OutsideModel:
    """Load a registered model. Raises UserError for a record without outputs, and what its package raises as one."""
    if bool(entry.labels) == bool(entry.dimensions):
        raise UserError(
            f"the model {entry.name!r} states labels and dimensions, or neither: its record needs one of them"
        )
    outputs = entry.labels or tuple(entry.dimensions)
    try:
        function = entry.load(device)
    except Exception as problem:  # whatever its package raises
        raise UserError(
            f"the model {entry.name!r} cannot be loaded ({type(problem).__name__}: {problem}); see its package"
        ) from problem

    def score(wave: np.ndarray) -> np.ndarray:
        values = np.asarray(function(wave), np.float64)
        if values.shape != (len(outputs),) or not np.isfinite(values).all():
            raise UserError(
                f"the model {entry.name!r} gave values of the shape {values.shape} for a clip; {len(outputs)} finite "
                "numbers are needed: mend its package"
            )
        return values if entry.dimensions else np.log(np.maximum(values, TINY))

    return OutsideModel(
        title=entry.title,
        outputs=outputs,
        kind=DIMENSIONS if entry.dimensions else CLASSES,
        score=score,
        ranges=entry.dimensions,
        longest_seconds=entry.longest_seconds,
    )
