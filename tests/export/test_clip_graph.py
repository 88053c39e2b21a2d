"""Parts of an export for browsers: windows within a graph, 16-bit weights, and the page's policy."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.export.browser_page import FILES, BrowserLibrary
from affetto.export.clip_graph import cover_clips
from affetto.export.onnx_float16 import halve_weights
from affetto.inference.windows import cover

runtime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

WINDOW, HOP, TEMPERATURE = 40, 20, 1.7


def traced() -> Any:
    """A graph of windows: the logits of a window are its mean, its largest and its smallest value."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    axis = onnx.numpy_helper.from_array(np.array([1]), "axis")
    operators = {"mean": "ReduceMean", "high": "ReduceMax", "low": "ReduceMin"}
    nodes = [helper.make_node(operator, ["waves", "axis"], [name]) for name, operator in operators.items()]
    nodes.append(helper.make_node("Concat", list(operators), ["logits"], axis=1))
    waves = helper.make_tensor_value_info("waves", kind, ["batch", "samples"])
    logits = helper.make_tensor_value_info("logits", kind, ["batch", 3])
    graph = helper.make_graph(nodes, "windows", [waves], [logits], [axis])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize("samples", [17, 40, 41, 60, 100, 111])
def test_a_clip_is_covered_by_windows_whose_probabilities_are_averaged(samples: int) -> None:
    session = runtime.InferenceSession(cover_clips(traced(), WINDOW, HOP, TEMPERATURE).SerializeToString())
    wave = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    mask = np.r_[np.ones(samples), np.zeros(9)].astype(np.int64)
    signal = np.r_[wave, np.full(9, 5)].astype(np.float32)
    (logits,) = session.run(None, {"input_values": signal[None], "attention_mask": mask[None]})[0]
    windows = list(cover([wave], WINDOW, HOP))
    outputs = np.array([[w.mean(), w.max(), w.min()] for w in windows], np.float64)
    shares = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    expected = shares.mean(0) ** (1 / TEMPERATURE)
    assert np.exp(logits) / np.exp(logits).sum() == pytest.approx(expected / expected.sum(), abs=1e-6)
    if len(windows) == 1:
        assert logits == pytest.approx(outputs[0] / TEMPERATURE, abs=1e-6)
    assert len(windows) == 1 + -(-max(0, samples - WINDOW) // HOP)


def test_weights_beyond_sixteen_bits_and_constants_stay_exact() -> None:
    TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper
    weights = {"plain": 0.5, "huge": 1e6, "basis": 0.5}
    constants = [numpy_helper.from_array(np.full((64, 64), v, np.float32), name) for name, v in weights.items()]
    nodes = [helper.make_node("Sum", list(weights), ["out"])]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [64, 64])
    graph = helper.make_model(helper.make_graph(nodes, "sums", [], [out], constants))
    halved = halve_weights(graph, {"basis"})
    kinds = {constant.name: constant.data_type for constant in halved.graph.initializer}
    assert kinds == {"plain_float16": TensorProto.FLOAT16, "huge": TensorProto.FLOAT, "basis": TensorProto.FLOAT}
    (values,) = runtime.InferenceSession(halved.SerializeToString()).run(None, {})
    assert values == pytest.approx(np.full((64, 64), 1e6 + 1.0))


def test_the_page_may_connect_to_its_own_address_alone() -> None:
    texts = {name: (files("affetto.export") / "page" / name).read_text(encoding="utf-8") for name in FILES}
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', texts["index.html"])
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["connect-src"] == "'self'" and rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert not any(re.search(r"https?://|unsafe-inline| style=| on\w+=", text) for text in texts.values())


def test_a_folder_without_the_library(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime-web").mkdir()
    with pytest.raises(UserError, match=r"no @huggingface/transformers/dist/transformers\.min\.js in it; npm install"):
        BrowserLibrary.locate(tmp_path)
