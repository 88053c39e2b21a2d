"""A folder for transformers.js, which runs models in browsers and in Node.

    onnx/model.onnx, model_fp16.onnx, model_quantized.onnx    the graph of `clip_graph.py`, in three precisions
    config.json, preprocessor_config.json                     what its pipeline("audio-classification") reads

The graph takes the samples themselves, so that a model of any family runs by transformers.js' class for wav2vec 2.0,
whose feature extractor hands on the samples as they are. Each file is compared with the trained model.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto._version import __version__
from affetto.audio import RATE_HZ
from affetto.errors import UserError
from affetto.export import parity
from affetto.export.browser_page import BrowserLibrary, add_page
from affetto.export.clip_graph import LOGITS, MASK, SIGNAL, cover_clips
from affetto.export.folder import new_folder
from affetto.export.onnx_float16 import halve_weights
from affetto.export.onnx_graph import metadata, needed, trace, write_graph
from affetto.export.onnx_int8 import quantise_graph
from affetto.export.transformers_js_card import card_of
from affetto.inference.loading import BROWSER_KEYS
from affetto.inference.predictor import Predictor
from affetto.models.classifier import Classifier
from affetto.models.parallel import threads
from affetto.targets.target import Target

MODEL_TYPE, CLASS, EXTRACTOR = "wav2vec2", "Wav2Vec2ForSequenceClassification", "Wav2Vec2FeatureExtractor"
"""Class that transformers.js runs the graph by, whatever the model's family: it adds nothing to the graph."""
GRAPHS = "onnx"
"""Folder of the graphs."""
WEIGHTS_ENDING = "_data"
"""Ending of a file with weights beside the graph, by transformers.js' convention."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A precision of the folder."""

    dtype: str
    """Value of transformers.js' option `dtype`."""
    file: str
    precision: str
    tolerance: float
    """Largest difference of a probability from the trained model's."""
    is_optional: bool = False
    """True if the file is left out, and not the export refused, where it differs by more."""


VARIANTS = (
    Variant(dtype="fp32", file="model.onnx", precision="float32", tolerance=1e-4),
    Variant(dtype="fp16", file="model_fp16.onnx", precision="float16 weights", tolerance=0.02),
    Variant(dtype="q8", file="model_quantized.onnx", precision="int8", tolerance=0.25, is_optional=True),
)
DEFAULT = {"dtype": "fp16", "device_config": {"webgpu": {"dtype": "fp32"}}}
"""Choice of a file where a program makes none: half the download; WebGPU takes fp16 on some devices only."""


class LogitGraph(nn.Module):
    """Waves (batch, samples) of one length → logits (batch, labels)."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, waves: Tensor) -> Tensor:
        return self.classifier.from_waves(waves)


def export_js(
    predictor: Predictor,
    out: Path,
    *,
    library: BrowserLibrary | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, parity.Parity]:
    """Write the folder `out`; return the comparison of each file that it holds, by `dtype`.

    `library`: transformers.js, for a page beside the model that runs it by itself; None: no page.
    `predictor` is one of affetto's own models, on the CPU in float32; it is of no use afterwards. Raises UserError for
    a target that the pipeline cannot give, and if a file gives other answers than the model.
    """
    needed("float32")
    from affetto.inference.backends.trained import ClassifierPredictor

    assert isinstance(predictor, ClassifierPredictor)
    check_target(predictor.target)
    waves = _clips(predictor)
    expected = {id(wave): np.array(list(predictor(wave).probabilities.values())) for wave in waves}
    results: dict[str, parity.Parity] = {}
    with new_folder(out) as folder:
        (folder / GRAPHS).mkdir()
        say("tracing the model")
        traced = trace(LogitGraph(predictor.classifier).eval(), (LOGITS,))
        for variant in VARIANTS:
            say(f"writing {variant.file}")
            file = folder / GRAPHS / variant.file
            write_graph(_graph(traced, predictor, variant, folder), _facts(predictor, variant), file, WEIGHTS_ENDING)
            result = parity.compare(lambda wave: expected[id(wave)], _probabilities(file), waves, predictor.target)
            if variant.is_optional and result.largest_difference > variant.tolerance:
                say(f"{variant.file} is left out: its {result.summary()}; allowed is {variant.tolerance:g}")
                for written in (file, _beside(folder, variant)):
                    written.unlink(missing_ok=True)
                continue
            parity.refuse(result, variant.tolerance, f"{GRAPHS}/{variant.file}")
            results[variant.dtype] = result
        _write_texts(folder, predictor, results, out.name)
        if library is not None:
            add_page(folder, predictor, out.name, library)
    return results


def check_target(target: Target) -> None:
    """Raise UserError for a target whose values are no softmax, which is what transformers.js makes of logits."""
    if not target.has_classes or target.has_dimensions:
        raise UserError(
            f"transformers.js gives one label of several, and this model predicts {target.title}: export it with "
            "--to onnx"
        )


def _clips(predictor: Predictor) -> list[np.ndarray]:
    """Waves to compare on: those of other exports, and two that windows cover."""
    window = predictor.window_seconds
    assert window is not None
    return [*parity.clips(window), *(parity.speech(99, share * window, 0.2) for share in (1.5, 2.3))]


def _graph(traced: Any, predictor: Any, variant: Variant, folder: Path) -> Any:
    """Make the graph of clips in a variant's precision; `folder` takes what is written in between."""
    graph, classifier = copy.deepcopy(traced), predictor.classifier
    if variant.dtype == "q8":
        graph = quantise_graph(graph, classifier, folder)
    if variant.dtype == "fp16":
        graph = halve_weights(graph, {f"classifier.{name}" for name, _ in classifier.named_buffers()})
    facts = metadata(predictor, variant.precision)
    return cover_clips(graph, facts["window_samples"], facts["hop_samples"], predictor.temperature)


def _facts(predictor: Predictor, variant: Variant) -> dict[str, Any]:
    """Metadata of a file: those of other ONNX files, but for the contract, which is another."""
    contract = (
        f"{SIGNAL}: (1, samples) float32, mono, within ±1, at sample_rate_hz; {MASK}: (1, samples) int64, 1 where the "
        f"clip is, 0 only behind it. The softmax of {LOGITS} are the calibrated probabilities, over windows of "
        "window_samples every hop_samples"
    )
    return metadata(predictor, variant.precision) | {"contract": contract}


def _probabilities(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Make the function from a wave (samples,) to the softmax (labels,) of the file's logits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads(), 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def probabilities(wave: np.ndarray) -> np.ndarray:
        inputs = {SIGNAL: wave[None].astype(np.float32), MASK: np.ones((1, len(wave)), np.int64)}
        return torch.softmax(torch.from_numpy(session.run([LOGITS], inputs)[0]).double(), 1)[0].numpy()

    return probabilities


def _write_texts(folder: Path, predictor: Predictor, results: dict[str, parity.Parity], name: str) -> None:
    variants = [variant for variant in VARIANTS if variant.dtype in results]
    beside = [variant.file for variant in variants if _beside(folder, variant).exists()]
    config = {
        "architectures": [CLASS],
        "model_type": MODEL_TYPE,
        "id2label": {str(number): label for number, label in enumerate(predictor.labels)},
        "label2id": {label: number for number, label in enumerate(predictor.labels)},
        "num_labels": len(predictor.labels),
        "transformers.js_config": DEFAULT | ({"use_external_data_format": dict.fromkeys(beside, 1)} if beside else {}),
        "affetto": {
            "version": __version__,
            "synthetic": predictor.card["synthetic"],
            "parity": {dtype: asdict(result) for dtype, result in results.items()},
        },
    }
    assert config.keys() >= BROWSER_KEYS
    extractor = {
        "feature_extractor_type": EXTRACTOR,
        "feature_size": 1,
        "sampling_rate": RATE_HZ,
        "do_normalize": False,
        "return_attention_mask": True,
        "padding_side": "right",
        "padding_value": 0.0,
    }
    for file, content in (("config.json", config), ("preprocessor_config.json", extractor)):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / file).write_text(text, encoding="utf-8")
    files = [(variant.dtype, variant.file, _size(folder, variant), results[variant.dtype]) for variant in variants]
    (folder / "README.md").write_text(card_of(predictor, name, files), encoding="utf-8")


def _beside(folder: Path, variant: Variant) -> Path:
    """File that very large weights lie in."""
    return folder / GRAPHS / f"{variant.file}{WEIGHTS_ENDING}"


def _size(folder: Path, variant: Variant) -> int:
    """Bytes of a graph with its weights."""
    files = (folder / GRAPHS / variant.file, _beside(folder, variant))
    return sum(file.stat().st_size for file in files if file.exists())
