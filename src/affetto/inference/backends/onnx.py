"""Predictor of an exported ONNX file: the same recordings, windows and answers, by onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affetto.audio import RATE_HZ, SHORTEST_SECONDS
from affetto.errors import UserError, unknown
from affetto.inference.predictor import Predictor
from affetto.models.card import checked
from affetto.models.parallel import decoding_threads, threads
from affetto.targets.registry import target_of
from affetto.targets.target import Target

FILE = "model.onnx"
BESIDE = ".data"
"""Ending behind the file's name of the file with its weights, where they are too large for one."""
FACTS = ("labels", "window_samples", "sample_rate_hz", "precision", "card")
HOST = "cpu"
"""The device whose cores decode recordings too."""
DEVICES = {HOST: "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Session:
    """The file in onnxruntime, and its metadata. Raises UserError for a file that affetto did not export."""

    def __init__(self, file: Path, device: str = "auto") -> None:
        self.session, self.device = open_session(file, device)
        self.facts = _facts(self.session.get_modelmeta().custom_metadata_map, file)
        self.target = target_of(self.facts["card"]["blueprint"])
        self.values_name = values_name(self.target)
        if self.values_name not in [output.name for output in self.session.get_outputs()]:
            raise UserError(f"{file}: its graph contradicts its model card; make it again by affetto export")

    def logits(self, waves: np.ndarray) -> np.ndarray:
        """(batch, samples) float32 of one length → (batch, labels), before the temperature."""
        return self.session.run(["logits"], {"waves": waves})[0]

    def values(self, waves: np.ndarray) -> np.ndarray:
        """(batch, samples) float32 of one length → values of the target (batch, outputs), as the model gives them."""
        return self.session.run([self.values_name], {"waves": waves})[0]


def open_session(file: Path, device: str = "auto") -> tuple[Any, str]:
    """An ONNX file in onnxruntime, and the device that it runs on. Raises UserError for what it cannot load."""
    if device not in ("auto", *DEVICES):
        raise unknown("device of an ONNX file", device, ("auto", *DEVICES))
    runtime = _onnxruntime()
    available = runtime.get_available_providers()
    if device == "auto":
        device = "cuda" if DEVICES["cuda"] in available else "cpu"
    if DEVICES[device] not in available:
        raise UserError(f"{file}: this onnxruntime has no {device}: install onnxruntime-gpu, or use --device cpu")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(file, options, providers=[DEVICES[device]]), device
    except Exception as problem:  # onnxruntime raises kinds of its own, none of them exported
        raise UserError(f"{file}: onnxruntime cannot load it ({problem}); export the model again") from None


def values_name(target: Target) -> str:
    """Name of the graph's output that holds the values of a target."""
    return "values" if target.has_dimensions else "probabilities"


class OnnxPredictor(Predictor):
    """Predictor of an ONNX file; `load` makes it."""

    def __init__(self, session: Session, long_clips: str = "windows") -> None:
        facts = session.facts
        window = facts["window_samples"] / facts["sample_rate_hz"]
        super().__init__(
            facts["labels"], facts["card"], longest_seconds=window, long_clips=long_clips, target=session.target
        )
        self.session, self.precision = session, facts["precision"]
        if session.device != HOST:
            self.decoders = decoding_threads()

    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        rows = [self.session.values(np.ascontiguousarray(wave, np.float32)[None])[0] for wave in waves]
        return np.stack(rows).astype(np.float64)


def load_onnx(
    file: Path, *, device: str = "auto", precision: str = "auto", long_clips: str = "windows"
) -> OnnxPredictor:
    """Load an ONNX file, or the folder that holds one; see `loading.load`."""
    file = file / FILE if file.is_dir() else file
    session = Session(file, device)
    exported = session.facts["precision"]
    if precision not in ("auto", exported):
        raise UserError(f"{file} computes in {exported}, not in {precision}: its precision was chosen at its export")
    predictor = OnnxPredictor(session, long_clips)
    beside = file.with_name(f"{file.name}{BESIDE}")
    predictor.files = (file, beside) if beside.exists() else (file,)
    return predictor


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError("an ONNX model needs onnxruntime: pip install 'affetto[onnx]'") from None
    return onnxruntime


def _facts(written: dict[str, str], file: Path) -> dict[str, Any]:
    try:
        facts = {name: json.loads(text) for name, text in written.items()}
    except (ValueError, RecursionError):
        facts = {}
    absent = [name for name in FACTS if name not in facts]
    if absent:
        raise UserError(f"{file}: no export of affetto's (its metadata lack {absent[0]!r}): make it by affetto export")
    card = checked(facts["card"], str(file))
    samples, rate_hz = facts["window_samples"], facts["sample_rate_hz"]
    if facts["labels"] != card["blueprint"]["labels"] or rate_hz != RATE_HZ or not _is_window(samples):
        raise UserError(f"{file}: its metadata contradict its model card; make it again by affetto export")
    return facts


def _is_window(samples: Any) -> bool:
    return isinstance(samples, int) and samples >= RATE_HZ * SHORTEST_SECONDS
