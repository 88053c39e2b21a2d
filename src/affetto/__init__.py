"""affetto: speech emotion recognition with large pre-trained speech models.

The public names are imported on first use, so that importing the package defines and does nothing
else (no torch, no threads, no network).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affetto._version import __version__

if TYPE_CHECKING:
    from affetto.errors import UserError
    from affetto.evaluation.adapted import evaluate_adapted
    from affetto.evaluation.testing import evaluate
    from affetto.inference.loading import load
    from affetto.inference.predictor import Prediction, Predictor
    from affetto.inference.timeline import Segment, Timeline
    from affetto.training.sections import Settings
    from affetto.training.spec import CorpusSpec, RunSpec, settings
    from affetto.training.train import train

_HOME = {
    "RunSpec": "affetto.training.spec",
    "CorpusSpec": "affetto.training.spec",
    "Settings": "affetto.training.sections",
    "settings": "affetto.training.spec",
    "train": "affetto.training.train",
    "evaluate": "affetto.evaluation.testing",
    "evaluate_adapted": "affetto.evaluation.adapted",
    "load": "affetto.inference.loading",
    "Predictor": "affetto.inference.predictor",
    "Prediction": "affetto.inference.predictor",
    "Timeline": "affetto.inference.timeline",
    "Segment": "affetto.inference.timeline",
    "UserError": "affetto.errors",
}
"""Module of each public name, in the order of the documentation."""

__all__ = [
    "CorpusSpec",
    "Prediction",
    "Predictor",
    "RunSpec",
    "Segment",
    "Settings",
    "Timeline",
    "UserError",
    "__version__",
    "evaluate",
    "evaluate_adapted",
    "load",
    "settings",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'affetto' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
