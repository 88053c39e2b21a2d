"""Linear layers in 8-bit integers, for inference on a CPU: weights per output channel, activations per call.

Torch's own dynamic quantisation (`quantized::linear_dynamic`), called directly: the function around it is deprecated.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from affetto.errors import UserError

SMALLEST = 64
"""Layers narrower than this stay as they are: there is nothing to gain."""


class Int8Linear(nn.Module):
    """(…, in) → (…, out), float32 in and out; stands for `linear`, whose weights it has rounded to 8 bits."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(1).clamp_min(1e-8).double() / 127
        zero = torch.zeros_like(scale, dtype=torch.long)
        bias: Tensor | None = linear.bias  # torch's stubs say that it is always there
        bias = None if bias is None else bias.detach().float()
        # torch means to drop quantised tensors, with no date.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            rounded = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
        self.packed = torch.ops.quantized.linear_prepack(rounded, bias)

    def forward(self, x: Tensor) -> Tensor:
        # Without VNNI sums of 8-bit products overflow: seven bits of activation are safe there, and less exact.
        narrow = not torch.cpu._is_vnni_supported()
        return torch.ops.quantized.linear_dynamic(x.float(), self.packed, reduce_range=narrow)


def is_rounded(module: nn.Module) -> bool:
    """True for the linear layers that are computed in 8 bits: all but the narrow ones."""
    return type(module) is nn.Linear and min(module.in_features, module.out_features) >= SMALLEST


def quantise_blocks(blocks: nn.Module) -> None:
    """Replace every linear layer in `blocks`, which nothing may train any more. Raises UserError where torch cannot."""
    if not {"x86", "fbgemm", "onednn", "qnnpack"} & set(torch.backends.quantized.supported_engines):
        raise UserError("precision int8: this build of PyTorch has no 8-bit kernels; choose float32 or auto")
    for parent in list(blocks.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and is_rounded(child):
                rounded = Int8Linear(child)
                # An Adapter hangs on its block's layers by hooks: they go over to what stands there now.
                rounded._forward_hooks, rounded._forward_pre_hooks = child._forward_hooks, child._forward_pre_hooks
                setattr(parent, name, rounded)
