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

from affetto.models.device import autocast, autocast_dtype
from affetto.models.dropout import keep


class LowRank(torch.autograd.Function):
    """(…, in) → (…, out); W and b frozen. With `gelu` the layer's input is gelu(x), which is not kept.

    `dropout` is the probability with which an element of the low-rank product's input is left out.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float, gelu: bool,
        dropout: float,
    ) -> Tensor:  # fmt: skip
        dtype = autocast_dtype(x.device) or weight.dtype
        with autocast(x.device, enabled=False):
            rows = x.reshape(-1, x.shape[-1]).to(dtype)
            weight, a, b = weight.to(dtype), a.to(dtype), b.to(dtype)
            kept, ctx.up = keep(rows, dropout) if dropout else (None, 1.0)
            entered = nn.functional.gelu(rows) if gelu else rows
            low = _dropped(entered, kept, ctx.up) @ a.T
            out = nn.functional.linear(entered, weight, None if bias is None else bias.to(dtype))
            out.addmm_(low, b.T, alpha=scale)
        ctx.save_for_backward(rows, weight, a, b, low, kept)
        ctx.scale, ctx.gelu, ctx.shape, ctx.dtype = scale, gelu, x.shape, x.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, a, b, low, kept = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1]).to(weight.dtype)
        grad_low = torch.mm(grad, b).mul_(ctx.scale)
        grad_b = torch.mm(low.T, grad).T.float().mul_(ctx.scale)
        # (rank, rows) × (rows, in): the other way round takes three times as long.
        entered = nn.functional.gelu(rows) if ctx.gelu else rows
        grad_a = torch.mm(grad_low.T, _dropped(entered, kept, ctx.up)).float()
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.mm(grad, weight)
            if kept is None:
                grad_x.addmm_(grad_low, a)
            else:
                grad_x.add_(_dropped(torch.mm(grad_low, a), kept, ctx.up))
            if ctx.gelu:
                grad_x = torch.ops.aten.gelu_backward(grad_x, rows)
            grad_x = grad_x.view(ctx.shape).to(ctx.dtype)
        return grad_x, None, None, grad_a, grad_b, None, None, None


def fuse(layer: Any, *, gelu: bool = False) -> None:
    """Let a LoRA layer of peft's compute by `LowRank`, its modules and names as they are; `gelu` acts on its input."""
    layer.lowrank_gelu = gelu
    layer.forward = types.MethodType(_forward, layer)


def _forward(self: Any, x: Tensor) -> Tensor:
    (name,) = self.active_adapters
    base, low, high, dropout = self.base_layer, self.lora_A[name], self.lora_B[name], self.lora_dropout[name]
    p = dropout.p if isinstance(dropout, nn.Dropout) and dropout.training else 0.0
    apply: Any = LowRank.apply
    return apply(x, base.weight, base.bias, low.weight, high.weight, self.scaling[name], self.lowrank_gelu, p)


def _dropped(x: Tensor, kept: Tensor | None, up: float) -> Tensor:
    return x if kept is None else (x * kept).mul_(up)
