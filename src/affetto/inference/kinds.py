"""What kind of model lies in a folder, a file or on the hub, and its predictor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.inference.predictor import Predictor, model_folder
from affetto.models.hub import model_snapshot
from affetto.models.saved import CARD

ONNX, ONNX_FILE, TRANSFORMERS_FILE = ".onnx", "model.onnx", "config.json"
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def load_found(
    model: str | Path, *, device: str, backbone: str | None, precision: str, long_clips: str
) -> Predictor:  # fmt: skip
    """See `predictor.load`. Raises UserError where no model is found."""
    place = _place(model)
    kind = kind_of(place)
    if kind == "trained":
        from affetto.inference.classifier import load_trained

        folder = model_folder(place)
        return load_trained(folder, device=device, backbone=backbone, precision=precision, long_clips=long_clips)
    if backbone is not None:
        raise UserError(f"{model} holds its backbone's weights itself: leave --backbone out")
    return _loader(kind)(place, device=device, precision=precision, long_clips=long_clips)


def kind_of(place: Path) -> str:
    """`onnx`, `transformers`, or `trained`, a folder of a run or of its model (what nothing else can be)."""
    if place.suffix == ONNX or (place / ONNX_FILE).is_file():
        return "onnx"
    if not (place / CARD).is_file() and "affetto_card" in _configuration(place / TRANSFORMERS_FILE):
        return "transformers"
    return "trained"


def _loader(kind: str) -> Callable[..., Predictor]:
    if kind == "onnx":
        from affetto.inference.onnx import load_onnx

        return load_onnx
    from affetto.inference.exported import load_exported

    return load_exported


def _place(model: str | Path) -> Path:
    """The folder or file; of a hub id, the folder that it was downloaded to."""
    place = Path(model)
    if place.exists() or not HUB_ID.fullmatch(str(model)):
        return place
    try:
        return model_snapshot(str(model))
    except UserError as problem:
        raise UserError(f"no run folder {model}; as a hub id: {problem}") from None


def _configuration(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
