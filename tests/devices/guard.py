"""A stand-in for a device that takes its work from a queue: whatever would wait for it, or leave it, raises.

Tensors of torch's `meta` device have no values, so that a look at one raises by itself (`item`, `tolist`, `cpu`,
`numpy`, a condition). `OnTheDevice` raises on the rest: shapes that depend on values, tensors of the host in the midst
of the device's, tensors that are made on the host and carried over.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")
VALUE_SHAPED = {
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "is_nonzero",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
}
"""Operations that look at values, or whose result has a shape that depends on them."""
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}
PINNED = {"pin_memory", "_pin_memory"}


class LeavingError(AssertionError):
    """An operation that would wait for the device, or compute elsewhere."""


class OnTheDevice(TorchDispatchMode):
    """Raises `LeavingError` for what a step must not do.

    `carries`: tensors may be made on the host and carried over, as the clips of a batch that is prepared.
    """

    def __init__(self, *, carries: bool = False) -> None:
        super().__init__()
        self.carries = carries

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.rpartition("::")[2]
        tensors = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)]
        kinds = {tensor.device.type for tensor in tensors if tensor.dim()}
        on_host = self.carries and all(tensor.is_cpu for tensor in tensors)
        if on_host or (self.carries and name == "copy_"):
            return function(*args, **(kwargs or {}))
        if name in VALUE_SHAPED:
            raise LeavingError(f"{name}: looks at values")
        if name in INDEXED and any(index is not None and index.dtype == torch.bool for index in args[1]):
            raise LeavingError(f"{name}: a mask as an index has a shape that depends on values")
        if name in PINNED and "meta" in kinds:
            raise LeavingError(f"{name}: memory of the device cannot be pinned")
        if "cpu" in kinds:
            raise LeavingError(f"{name}: a tensor {[tuple(tensor.shape) for tensor in tensors]} lies on the host")
        result = function(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) and leaf.dim() and leaf.is_cpu for leaf in tree_leaves(result)):
            raise LeavingError(f"{name}: makes a tensor on the host")
        return result


def on_device(module: torch.nn.Module) -> Any:
    """The module on the device, its parameters the same objects, as on a device of another kind than `meta`."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        return module.to(META)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)
