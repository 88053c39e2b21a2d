"""An ONNX graph whose large weights are stored in 16-bit floats and used in 32.

Half the size for a download, and the same arithmetic: log-mel, normalisation and softmax do not bear 16 bits, and the
browsers' processors have no fast 16-bit arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

LEAST_VALUES = 4096
"""Smallest number of values of a weight that is rounded: less than that is not worth a node."""
LARGEST = float(np.finfo(np.float16).max)


def halve_weights(graph: Any, exact: Collection[str]) -> Any:
    """Round all large weights but those named in `exact`; `graph`, an ONNX model, is changed and returned.

    A weight with a value beyond the range of 16 bits stays as it is.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for constant in graph.graph.initializer:
        if constant.name in exact or constant.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(constant)
        if values.size < LEAST_VALUES or np.abs(values).max() > LARGEST:
            continue
        name = constant.name
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_float16"))
        casts.append(helper.make_node("Cast", [constant.name], [name], name=f"node_{name}", to=TensorProto.FLOAT))
    traced = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*casts, *traced])
    return graph
