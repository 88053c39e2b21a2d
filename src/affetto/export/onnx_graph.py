"""An ONNX graph from the wave to the values of a target, with the model's own preprocessing inside.

    waves (batch, samples) float32, 16 kHz mono  →  logits (batch, outputs), probabilities (batch, labels)

A model with dimensions has `values` (batch, outputs) in place of probabilities: those of its labels, if it has any,
then the dimensions on the scale of the corpus.

Batch and length are free. The clips of a batch are of one length, because front ends with group norm are not
invariant to padding, masked or not (docs/decisions.md): short clips go one by one, a long recording's windows go
together. Labels, window, temperature and the rest are in the file's metadata, each value in JSON.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto._version import __version__
from affetto.audio import RATE_HZ
from affetto.backbones.families.registry import FAMILIES
from affetto.errors import UserError, unknown
from affetto.export import example, parity
from affetto.export.folder import new_folder
from affetto.export.onnx_int8 import quantise_graph
from affetto.export.source import without_paths
from affetto.inference.backends.onnx import BESIDE, values_name
from affetto.inference.predictor import HOP, Predictor
from affetto.models.classifier import Classifier
from affetto.quiet import quiet_loggers, quiet_output
from affetto.targets.registry import target_fields
from affetto.targets.target import Target

MODEL_FILE, EXAMPLE_FILE = "model.onnx", "predict.py"
TOLERANCE = {"float32": 1e-4, "int8": 0.25}
"""Largest difference from the trained model's probabilities before the export is refused; of dimensions, in halves of
their ranges."""
PRECISIONS = tuple(TOLERANCE)
OPSET = 20
_WINDOWS = (
    "waves: (batch, samples) float32, mono, within ±1, at sample_rate_hz, the clips of a batch of one length "
    "(never padded), each at least 0.1 s and at most window_samples long; longer recordings are covered by windows "
    "of window_samples every hop_samples, the last one ending where the recording does, and their "
)
_CALIBRATED = ". Calibrated probabilities are the softmax of the logarithm of the mean divided by temperature"
_LARGEST_FILE = 2 * 10**9
"""Largest size of a single ONNX file, which is one protobuf message."""


class WaveGraph(nn.Module):
    """Waves (batch, samples) of one length → logits and the target's values, both (batch, outputs)."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.classifier.from_waves(waves)
        return logits, self.classifier.target.activate(logits)


def export_onnx(
    predictor: Predictor, out: Path, *, precision: str = "float32", say: Callable[[str], None] = lambda _: None
) -> parity.Parity:
    """Write `model.onnx` and `predict.py`, which needs onnxruntime, numpy and soundfile alone, into the folder `out`.

    `predictor` is one of affetto's own models, on the CPU in float32; it is of no use afterwards. `precision`: float32,
    or int8 for the linear layers of the blocks. Raises UserError if the graph gives other answers than the model.
    """
    needed(precision)
    from affetto.inference.backends.onnx import Session
    from affetto.inference.backends.trained import ClassifierPredictor

    assert isinstance(predictor, ClassifierPredictor)
    waves = parity.clips(predictor.window_seconds)
    reference = [predictor.window_probabilities([wave])[0] for wave in waves]
    with new_folder(out) as folder:
        say("tracing the model")
        graph = trace(WaveGraph(predictor.classifier).eval(), ("logits", values_name(predictor.target)))
        if precision == "int8":
            say("rounding to 8 bits")
            graph = quantise_graph(graph, predictor.classifier, folder)
        facts = metadata(predictor, precision)
        write_graph(graph, facts, folder / MODEL_FILE)
        result = _compare(Session(folder / MODEL_FILE), waves, reference, predictor.target)
        parity.refuse(result, TOLERANCE[precision], f"the {precision} ONNX file")
        write_graph(graph, facts | {"parity": asdict(result)}, folder / MODEL_FILE)
        shutil.copyfile(example.__file__, folder / EXAMPLE_FILE)
    return result


def needed(precision: str) -> None:
    """Raise UserError for an unknown precision or a missing package."""
    if precision not in PRECISIONS:
        raise unknown("precision of an ONNX file", precision, PRECISIONS)
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as problem:
        raise UserError(f"export to ONNX needs {problem.name}: pip install 'affetto[onnx]'") from None


def trace(module: nn.Module, outputs: Sequence[str]) -> Any:
    """Export the module as an ONNX model (a protobuf message) with free batch and length; `outputs`: their names."""
    waves = torch.zeros(2, 2 * RATE_HZ)
    waves[:, ::7] = 0.1
    # The exporter prints its progress, and logs which packages it could have used.
    with quiet_output(), quiet_loggers("torch.onnx", "onnxscript", "onnx_ir"), torch.no_grad():
        program = torch.onnx.export(
            module,
            (waves,),
            input_names=["waves"],
            output_names=list(outputs),
            opset_version=OPSET,
            dynamic_shapes=({0: "batch", 1: "samples"},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    for node in graph.graph.node:
        del node.metadata_props[:]  # stack traces, with this machine's paths
    return graph


def metadata(predictor: Predictor, precision: str) -> dict[str, Any]:
    """Collect the file's metadata."""
    card, backbone = predictor.card, predictor.card["backbone"]
    assert predictor.window_seconds is not None
    window = round(predictor.window_seconds * RATE_HZ)
    inside = FAMILIES.find(backbone["family"]).describe_preprocessing(backbone["preprocessing"])
    return {
        "labels": list(predictor.labels),
        "sample_rate_hz": RATE_HZ,
        "window_samples": window,
        "hop_samples": max(1, round(HOP * window)),
        "temperature": predictor.temperature,
        "contract": contract(predictor.target),
        "preprocessing": f"within the graph: {inside}",
        "precision": precision,
        "synthetic": card["synthetic"],
        "affetto": __version__,
        "card": without_paths(card),
        **_target_facts(predictor),
    }


def contract(target: Target) -> str:
    """Describe what the graph takes, and what becomes of the values of several windows."""
    return f"{_WINDOWS}{values_name(target)} averaged{_CALIBRATED if target.has_classes else ''}"


def _target_facts(predictor: Predictor) -> dict[str, Any]:
    """Facts by which a program that knows no targets reads the values; {} of classes."""
    target = predictor.target
    fields = target_fields(target)
    if not fields:
        return {}
    thresholds = predictor.card.get("confidence", {}).get("thresholds")
    return fields | {
        "values": values_name(target),
        "one_label": target.has_classes,
        "dimensions": {name: [ends.low, ends.high] for name, ends in target.dimensions.items()},
        **({} if thresholds is None else {"thresholds": thresholds}),
    }


def write_graph(graph: Any, facts: dict[str, Any], file: Path, beside: str = BESIDE) -> None:
    """Write the file with these facts in its metadata, each value in JSON.

    Weights too large for one file lie in another, whose name is the file's with `beside` behind it.
    """
    import onnx

    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()})
    is_large = graph.ByteSize() > _LARGEST_FILE
    onnx.save_model(graph, file, save_as_external_data=is_large, location=f"{file.name}{beside}" if is_large else None)


def _compare(session: Any, waves: list[np.ndarray], reference: list[np.ndarray], target: Target) -> parity.Parity:
    expected = {id(wave): row for wave, row in zip(waves, reference, strict=True)}
    return parity.compare(lambda wave: expected[id(wave)], lambda wave: session.values(wave[None])[0], waves, target)
