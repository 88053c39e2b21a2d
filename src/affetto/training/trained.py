"""`Trained`: what a fold or the final fit hands over to be saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from affetto.models.classifier import Classifier
from affetto.models.novelty import Novelty
from affetto.models.pooling import StateSpan

FINAL = "final"
"""Name of the model that is trained on all clips, and of its stage in a log."""


@dataclass(frozen=True)
class Trained:
    """A classifier to be saved, with the facts of its card."""

    classifier: Classifier
    span: StateSpan
    """States that pooling takes."""
    trained_on: str
    """Name of a fold, or FINAL."""
    is_tested: bool
    confidence: dict[str, Any]
    novelty: Novelty | None = None
    """Statistics of the clips that it was trained on; None for too few."""
