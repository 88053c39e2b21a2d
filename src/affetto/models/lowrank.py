"""LoRA's arithmetic on one linear layer: y = x Wᵀ + s (x Aᵀ) Bᵀ, with no tensor of the output's size in between.

peft holds the weights and saves them; its own forward pass makes three more tensors as large as the output, and
keeps the activation's result, the largest tensor of a block, for the backward pass. Here the low-rank product is added
in place, and an activation before the layer is computed again in the backward pass (1 % of a step's time, a quarter
of its memory on the CPU; docs/performance.md).
"""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class LowRank(torch.autograd.Function):
    """(…, in) → (…, out); W and b frozen. With `gelu` the layer's input is gelu(x), which is not kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float, gelu: bool
    ) -> Tensor:
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else weight.dtype
        with torch.autocast(x.device.type, enabled=False):
            rows = x.reshape(-1, x.shape[-1]).to(dtype)
            weight, a, b = weight.to(dtype), a.to(dtype), b.to(dtype)
            entered = nn.functional.gelu(rows) if gelu else rows
            low = entered @ a.T
            out = nn.functional.linear(entered, weight, None if bias is None else bias.to(dtype))
            out.addmm_(low, b.T, alpha=scale)
        ctx.save_for_backward(rows, weight, a, b, low)
        ctx.scale, ctx.gelu, ctx.shape, ctx.dtype = scale, gelu, x.shape, x.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, a, b, low = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1]).to(weight.dtype)
        grad_low = torch.mm(grad, b).mul_(ctx.scale)
        grad_b = torch.mm(low.T, grad).T.float().mul_(ctx.scale)
        # (rank, rows) × (rows, in): the other way round takes three times as long.
        grad_a = torch.mm(grad_low.T, nn.functional.gelu(rows) if ctx.gelu else rows).float()
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.mm(grad, weight).addmm_(grad_low, a)
            if ctx.gelu:
                grad_x = torch.ops.aten.gelu_backward(grad_x, rows)
            grad_x = grad_x.view(ctx.shape).to(ctx.dtype)
        return grad_x, None, None, grad_a, grad_b, None, None


def fuse(layer: Any, *, gelu: bool = False) -> None:
    """Let a LoRA layer of peft's compute by `LowRank`, its modules and names as they are; `gelu` acts on its input."""
    layer.lowrank_gelu = gelu
    layer.forward = types.MethodType(_forward, layer)


def _forward(self: Any, x: Tensor) -> Tensor:
    (name,) = self.active_adapters
    base, low, high = self.base_layer, self.lora_A[name], self.lora_B[name]
    return LowRank.apply(x, base.weight, base.bias, low.weight, high.weight, self.scaling[name], self.lowrank_gelu)
