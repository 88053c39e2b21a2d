"""affetto: speech emotion recognition with large pre-trained speech models.

The public names are imported on first use, so that importing the package defines and does nothing
else (no torch, no threads, no network).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affetto._version import __version__

if TYPE_CHECKING:
    from affetto.errors import UserError
    from affetto.inference.loading import load
    from affetto.inference.predictor import Predictor
    from affetto.inference.timeline import Timeline
    from affetto.training.train import train

__all__ = ["Predictor", "Timeline", "UserError", "__version__", "load", "train"]

_HOME = {
    "UserError": "affetto.errors",
    "Predictor": "affetto.inference.predictor",
    "Timeline": "affetto.inference.timeline",
    "load": "affetto.inference.loading",
    "train": "affetto.training.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'affetto' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
