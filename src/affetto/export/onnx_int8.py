"""An ONNX graph with the blocks' linear layers in 8-bit integers: weights per output channel, activations per call.

The same layers as `affetto.models.int8` takes; front end and head stay in float32. Seven bits of a weight are used,
since sums of eight overflow on CPUs without VNNI, and the file goes to unknown ones.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from affetto.models.classifier import Classifier
from affetto.models.int8 import is_rounded
from affetto.quiet import quiet_loggers


def quantise_graph(graph: Any, classifier: Classifier, folder: Path) -> Any:
    """The quantised form of an ONNX model; `folder` takes what is written in between."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    names = layer_names(graph, classifier)
    assert names, "no linear layer of the blocks was recognised in the graph"
    # The exporter's notes of shapes contradict the integers' graph: onnxruntime's shape inference stops at them.
    del graph.graph.value_info[:]
    narrow = folder / ".int8.onnx"
    try:
        with quiet_loggers(""):  # the root logger advises a step that dynamic quantisation does not need
            quantize_dynamic(
                graph,
                narrow,
                op_types_to_quantize=["MatMul"],
                nodes_to_quantize=names,
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
            )
        return onnx.load(narrow)
    finally:
        narrow.unlink(missing_ok=True)


def layer_names(graph: Any, classifier: Classifier) -> list[str]:
    """The names of the graph's matrix products that are linear layers of the blocks, known by their weights."""
    from onnx import numpy_helper

    digests = {
        _digest(module.weight.detach().float().numpy().T)
        for module in classifier.backbone.blocks.modules()
        if isinstance(module, nn.Linear) and is_rounded(module)
    }
    constants = {
        constant.name: _digest(numpy_helper.to_array(constant))
        for constant in graph.graph.initializer
        if len(constant.dims) == 2
    }
    products = [node for node in graph.graph.node if node.op_type == "MatMul"]
    return [node.name for node in products if constants.get(node.input[1]) in digests]


def _digest(weight: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(weight).data).digest()
