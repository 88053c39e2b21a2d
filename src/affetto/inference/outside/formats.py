"""Formats of outside models, and how a folder of one of them becomes a predictor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.inference.outside.audonnx import AUDONNX
from affetto.inference.outside.entry import MODELS, open_entry
from affetto.inference.outside.model import Format
from affetto.inference.outside.model_card import card_facts
from affetto.inference.outside.predictor import OutsidePredictor
from affetto.inference.outside.speech_head import SPEECH_HEAD
from affetto.inference.outside.stock import STOCK

FORMATS: tuple[Format, ...] = (AUDONNX, STOCK, SPEECH_HEAD)
MODEL_FILES = ("*.safetensors", "*.onnx", "*.onnx[._]data", "config.json", "preprocessor_config.json", "model.yaml")
"""Files that decide what a model answers."""


def find_format(folder: Path) -> Format | None:
    """The format of a folder; None for one of affetto's own, and for any other."""
    return next((format_ for format_ in FORMATS if folder.is_dir() and format_.matches(folder)), None)


def is_entry(path: Path) -> bool:
    """True for the name of a registered model, where no file or folder is called so."""
    return not path.exists() and str(path) in MODELS


def load_outside(
    folder: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    long_clips: str = "windows",
    label_map: Mapping[str, str] | None = None,
    source: str | None = None,
) -> OutsidePredictor:
    """The predictor of a folder that `find_format` knows, or of a registered model; see `loading.load`.

    Raises UserError. `source`: hub id that the folder was downloaded for.
    """
    if precision not in ("auto", OutsidePredictor.precision):
        raise UserError(f"{folder} is a model of others, which computes in float32: leave --precision out")
    facts: dict[str, Any]
    if is_entry(folder):
        entry = MODELS[str(folder)]
        model = open_entry(entry, device)
        facts = {"format": "entry point", "source": entry.name, "licence": entry.licence}
        facts["datasets"] = list(entry.trained_on) or None
    else:
        format_ = find_format(folder)
        assert format_ is not None
        files = tuple(sorted(file for pattern in MODEL_FILES for file in folder.glob(pattern)))
        model = replace(format_.open(folder, device), files=files)
        facts = {"format": format_.name, "source": source or str(folder), "revision": _revision(folder)}
        facts |= card_facts(folder)
    return OutsidePredictor(model, facts, label_map=label_map, long_clips=long_clips)


def _revision(folder: Path) -> str | None:
    """Commit of a folder in the cache of the hub's client; None for any other folder."""
    return folder.name if folder.parent.name == "snapshots" else None
