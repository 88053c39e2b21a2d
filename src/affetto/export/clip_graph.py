"""An ONNX graph of whole clips, in the form that transformers.js runs, made from the graph of one window.

    input_values (1, samples) float32, 16 kHz mono; attention_mask (1, samples) int64, 1 where the clip is
    →  logits (1, labels), whose softmax is what `affetto predict` says

The windows are cut, and their probabilities averaged and calibrated, within the graph: a program that knows no windows
gives affetto's answer for a clip of any length.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SIGNAL, MASK, LOGITS = "input_values", "attention_mask", "logits"
"""Inputs and output, by transformers.js' names."""
_PREFIX = "clip_"


def cover_clips(graph: Any, window: int, hop: int, temperature: float) -> Any:
    """Make a graph of clips from one of windows, `waves` (batch, samples) → `logits` (batch, labels).

    `window` and `hop` are in samples. `graph`, an ONNX model (a protobuf message), is changed and returned.
    """
    cut, joined = _Nodes("cut"), _Nodes("joined")
    windows = _cut(cut, window, hop)
    _rename(graph, "waves", windows)
    _rename(graph, LOGITS, _PREFIX + "window_logits")
    _join(joined, _PREFIX + "window_logits", temperature)
    _replace_ports(graph)
    traced = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*cut.nodes, *traced, *joined.nodes])
    graph.graph.initializer.extend([*cut.constants, *joined.constants])
    return graph


class _Nodes:
    """List of nodes and constants that grows by calls, each of which returns the name of its output."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        output = output or f"{_PREFIX}{self.stage}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=f"node_{output}", **attributes))
        return output

    def constant(self, value: Any, kind: Any = np.int64) -> str:
        from onnx import numpy_helper

        name = f"{_PREFIX}{self.stage}_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name


def _cut(nodes: _Nodes, window: int, hop: int) -> str:
    """Windows (windows, samples) as `affetto.inference.windows.cover` has them: the last ends where the clip does."""
    none, axis, single = nodes.constant(0), nodes.constant([0]), nodes.constant(1)
    samples = nodes.add("ReduceSum", MASK, keepdims=0)
    length = nodes.add("Min", samples, nodes.constant(window))
    last = nodes.add("Sub", samples, length)
    step = nodes.constant(hop)
    steps = nodes.add("Div", nodes.add("Add", last, nodes.constant(hop - 1)), step)
    numbers = nodes.add("Range", none, nodes.add("Add", steps, single), single)
    starts = nodes.add("Min", nodes.add("Mul", numbers, step), last)
    offsets = nodes.add("Range", none, length, single)
    index = nodes.add("Add", nodes.add("Unsqueeze", starts, nodes.constant([1])), offsets)
    return nodes.add("Gather", nodes.add("Squeeze", SIGNAL, axis), index, axis=0)


def _join(nodes: _Nodes, logits: str, temperature: float) -> None:
    """The logarithm of the windows' mean probability, divided by the temperature; of one window, its logits."""
    over_labels, over_windows = nodes.constant([1]), nodes.constant([0])
    totals = nodes.add("ReduceLogSumExp", logits, over_labels, keepdims=1)
    shares = nodes.add("Sub", logits, totals)
    mean = nodes.add("ReduceLogSumExp", shares, over_windows, keepdims=1)
    # A shift that no softmax sees: with it, one window's logits stay as they are.
    level = nodes.add("ReduceMean", totals, over_windows, keepdims=1)
    count = nodes.add("Cast", nodes.add("Shape", logits, start=0, end=1), to=_float32())
    mean = nodes.add("Sub", nodes.add("Add", mean, level), nodes.add("Log", count))
    nodes.add("Div", mean, nodes.constant(temperature, np.float32), output=LOGITS)


def _float32() -> int:
    from onnx import TensorProto

    return int(TensorProto.FLOAT)


def _rename(graph: Any, name: str, new: str) -> None:
    """Rename a value wherever a node takes or gives it."""
    for node in graph.graph.node:
        for names in (node.input, node.output):
            for number, value in enumerate(names):
                if value == name:
                    names[number] = new


def _replace_ports(graph: Any) -> None:
    """Declare the inputs and the output anew; shapes that were inferred for windows are dropped."""
    from onnx import TensorProto, helper

    (logits,) = graph.graph.output
    labels = logits.type.tensor_type.shape.dim[1].dim_value
    del graph.graph.input[:], graph.graph.output[:], graph.graph.value_info[:]
    graph.graph.input.extend(
        [
            helper.make_tensor_value_info(SIGNAL, TensorProto.FLOAT, [1, "samples"]),
            helper.make_tensor_value_info(MASK, TensorProto.INT64, [1, "samples"]),
        ]
    )
    graph.graph.output.append(helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [1, labels]))
