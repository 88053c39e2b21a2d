"""Loading of a model from a folder, a file or the hub: which kind it is, and the predictor of that kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from affetto.backbones.hub import model_snapshot
from affetto.errors import UserError
from affetto.inference.outside.folders import describe
from affetto.inference.outside.formats import find_format, is_entry, load_outside
from affetto.inference.predictor import Predictor
from affetto.models.ensemble import ENSEMBLE
from affetto.models.saved import CARD
from affetto.training.runs import FOLDS, MODEL

ONNX, ONNX_FILE, TRANSFORMERS_FILE = ".onnx", "model.onnx", "config.json"
BROWSER_KEYS = {"affetto", "transformers.js_config"}
"""Keys by which the configuration of an export for transformers.js is known."""
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")


def load(
    model: str | Path,
    *,
    device: str = "auto",
    backbone: str | None = None,
    precision: str = "auto",
    long_clips: str = "windows",
    calibrate: bool = True,
    label_map: Mapping[str, str] | None = None,
) -> Predictor:
    """Load a trained model, ready to be called: the folder of a run, an export or an ensemble, an ONNX file, the folder
    of an outside model (transformers' own audio classification, audonnx), the name of a registered one, or a hub id
    (`owner/name`, or `owner/name@revision` for a branch, a tag or a commit).

    `precision`: `auto` (as trained, where this device has it natively), `float32`, `bfloat16`, or `int8`: the blocks'
    linear layers in 8-bit integers, the quickest on a CPU (docs/performance.md says what it costs).
    `backbone`: the place of the backbone's weights, if they have moved since training.
    `long_clips`: `windows` covers a clip that is longer than the model's window by windows and averages them;
    `cropped` takes its beginning alone, as training and its tests do. `calibrate=False` leaves the model's temperature
    out, as in a run's predictions files. `label_map`: labels of an outside model and the labels that its answers shall
    have, "" to leave a label out; by default the usual names of emotions are mapped.
    Raises UserError for a folder without a trained model.
    """
    predictor = _load(
        model, device=device, backbone=backbone, precision=precision, long_clips=long_clips, label_map=label_map
    )
    if not calibrate:
        predictor.temperature = 1.0
    return predictor


def model_folder(folder: Path) -> Path:
    """Find the folder of a model; of a run, that of its final model. Raises UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"no run folder {folder}: give the --out of a finished `affetto train`")
    model = folder / MODEL if (folder / MODEL).is_dir() else folder
    if model == folder and (folder / FOLDS).is_dir():
        folds = ", ".join(sorted(path.name for path in (folder / FOLDS).iterdir()))
        raise UserError(
            f"{folder} has no final model (unfinished, or trained with --no-final or training.speakers); "
            f"a fold's is in {folder / FOLDS}: {folds}"
        )
    if not (model / CARD).is_file() and (description := describe(model)):
        raise UserError(f"{folder} holds no model that affetto can load: {description}")
    return model


def _load(
    model: str | Path,
    *,
    device: str,
    backbone: str | None,
    precision: str,
    long_clips: str,
    label_map: Mapping[str, str] | None,
) -> Predictor:
    """Load a predictor of any kind, with its own temperature. See `load`."""
    path = _local_path(model)
    kind = kind_of(path)
    if kind == "outside":
        if backbone is not None:
            raise UserError(f"{model} holds its backbone's weights itself: leave --backbone out")
        return load_outside(
            path,
            device=device,
            precision=precision,
            long_clips=long_clips,
            label_map=label_map,
            source=str(model),
        )
    if label_map:
        raise UserError(f"{model} has affetto's labels: --map is for models of others, leave it out")
    if kind == "trained":
        from affetto.inference.backends.trained import load_trained

        folder = model_folder(path)
        return load_trained(folder, device=device, backbone=backbone, precision=precision, long_clips=long_clips)
    if kind == "ensemble":
        from affetto.inference.backends.ensemble import load_ensemble

        return load_ensemble(path, device=device, backbone=backbone, precision=precision, long_clips=long_clips)
    if backbone is not None:
        raise UserError(f"{model} holds its backbone's weights itself: leave --backbone out")
    if kind == "browser":
        raise UserError(f"{model} is an export for transformers.js: predict by the run's folder, or export --to onnx")
    return _loader(kind)(path, device=device, precision=precision, long_clips=long_clips)


def kind_of(path: Path) -> str:
    """Tell the kind of a model: `onnx`, `browser`, `transformers`, `ensemble`, `outside`, or `trained` (any other path:
    a run or a model)."""
    if (path / ENSEMBLE).is_file():
        return "ensemble"
    if _configuration(path / TRANSFORMERS_FILE).keys() >= BROWSER_KEYS:
        return "browser"
    if not (path / CARD).is_file() and (find_format(path) is not None or is_entry(path)):
        return "outside"
    if path.suffix == ONNX or (path / ONNX_FILE).is_file():
        return "onnx"
    if not (path / CARD).is_file() and "affetto_card" in _configuration(path / TRANSFORMERS_FILE):
        return "transformers"
    return "trained"


def _loader(kind: str) -> Callable[..., Predictor]:
    if kind == "onnx":
        from affetto.inference.backends.onnx import load_onnx

        return load_onnx
    from affetto.inference.backends.transformers import load_exported

    return load_exported


def _local_path(model: str | Path) -> Path:
    """Return the folder or file; of a hub id, the folder that it was downloaded to."""
    path = Path(model)
    if path.exists() or not HUB_ID.fullmatch(str(model)):
        return path
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
