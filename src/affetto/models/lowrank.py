"""LoRA's arithmetic on one linear layer: y = x Wᵀ + s (x Aᵀ) Bᵀ, with no tensor of the output's size in between.

peft holds the weights and saves them; its own forward pass makes three more tensors as large as the output, and
keeps the activation's result, the largest tensor of a block, for the backward pass. Here the low-rank product is added
in place, and an activation before the layer is computed again in the backward pass (1 % of a step's time, a quarter
of its memory on the CPU; docs/performance.md).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from affetto.backbones.casts import autocast_dtype, lowered
from affetto.models.device import autocast
from affetto.models.dropout import keep

OVERSAMPLING, ITERATIONS = 8, 16
"""Directions beyond the rank, and passes over the weight, in the search for principal factors."""


Drop: TypeAlias = Callable[[Tensor], tuple[Tensor, float]]
"""Function from the rows of a layer's input to the mask of those elements that stay, of their shape, and their factor.
"""


class LowRank(torch.autograd.Function):
    """(…, in) → (…, out); W and b frozen. With `gelu` the layer's input is gelu(x), which is not stored.

    A (rank, in) and B (out, rank); or of several fits on the same W, with a leading dimension of fits: then the rows of
    x are those of all fits, in their order. `drop` leaves out elements of the low-rank product's input; None: none.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Tensor,
        b: Tensor,
        scale: float,
        gelu: bool,
        drop: Drop | None,
    ) -> Tensor:
        dtype = autocast_dtype(x.device) or weight.dtype
        with autocast(x.device, enabled=False):
            rows = x.reshape(*a.shape[:-2], -1, x.shape[-1]).to(dtype)
            ctx.is_lowered = a.dtype == dtype == torch.bfloat16
            weight, a, b = weight.to(dtype), a.to(dtype), b.to(dtype)
            survivors, ctx.up = (None, 1.0) if drop is None else drop(rows)
            entered = nn.functional.gelu(rows) if gelu else rows
            low = _scaled_product(_dropped(entered, survivors), a.mT, ctx.up)
            out = nn.functional.linear(entered, weight, None if bias is None else bias.to(dtype))
            _add_product(out, low, b.mT, scale)
        saved = (rows, weight, a, b, low, survivors)
        ctx.save_for_backward(*saved)
        ctx.scale, ctx.gelu, ctx.shape, ctx.dtype = scale, gelu, x.shape, x.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, a, b, low, survivors = ctx.saved_tensors
        grad = grad.reshape(*a.shape[:-2], -1, grad.shape[-1]).to(weight.dtype)
        grad_low = _scaled_product(grad, b, ctx.scale)
        if ctx.is_lowered:  # its gradient is cast together with all others, for which it has to be contiguous
            grad_b = _scaled_product(grad.mT, low, ctx.scale)
        else:
            grad_b = _scaled_product(low.mT, grad, ctx.scale).mT.to(
                torch.float32, memory_format=torch.contiguous_format
            )
        # (rank, rows) × (rows, in): the other way round takes three times as long.
        entered = nn.functional.gelu(rows) if ctx.gelu else rows
        grad_a = _scaled_product(grad_low.mT, _dropped(entered, survivors), ctx.up)
        grad_a = grad_a if ctx.is_lowered else grad_a.float()
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.matmul(grad, weight)
            if survivors is None:
                _add_product(grad_x, grad_low, a, 1.0)
            else:
                grad_x.addcmul_(grad_low @ a, survivors, value=ctx.up)
            if ctx.gelu:
                grad_x = torch.ops.aten.gelu_backward(grad_x, rows)
            grad_x = grad_x.view(ctx.shape).to(ctx.dtype)
        return grad_x, None, None, grad_a, grad_b, None, None, None


def fuse(layer: Any, *, gelu: bool = False) -> None:
    """Let a LoRA layer of peft's compute by `LowRank`, its modules and names as they are; `gelu` acts on its input."""
    layer.lowrank_gelu, layer.casts_input = gelu, True
    layer.forward = types.MethodType(_forward, layer)


def start_at(layer: Any, low: Tensor, high: Tensor) -> None:
    """Let a LoRA layer compute B A - B₀ A₀, with A₀ = `low` (rank, in) and B₀ = `high` (out, rank) where it starts.

    A₀ and B₀ stay, as buffers of the layer.
    """
    (name,) = layer.active_adapters
    for start, begun, trained in (("start_a", low, layer.lora_A[name]), ("start_b", high, layer.lora_B[name])):
        layer.register_buffer(start, begun, persistent=False)
        with torch.no_grad():
            trained.weight.copy_(begun)


def widen(layer: Any) -> None:
    """Make the layer that `start_at` changed an ordinary one of twice the rank: [A; A₀] and [B, -B₀]."""
    (name,) = layer.active_adapters
    wide = _factors(layer, name)
    for modules, weight in zip((layer.lora_A, layer.lora_B), wide, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device=weight.device)
        linear.weight = nn.Parameter(weight.detach())
        modules[name] = linear
    del layer.start_a, layer.start_b


def take_halves(layer: Any, low: nn.Linear, high: nn.Linear) -> None:
    """Undo `widen`: `low` and `high` are the trained modules again, with the halves that the wide ones hold now."""
    (name,) = layer.active_adapters
    a, b = layer.lora_A[name].weight.detach(), layer.lora_B[name].weight.detach()
    rank = low.weight.shape[0]
    with torch.no_grad():
        low.weight.copy_(a[:rank])
        high.weight.copy_(b[:, :rank])
    layer.lora_A[name], layer.lora_B[name] = low, high
    layer.register_buffer("start_a", a[rank:].clone(), persistent=False)
    layer.register_buffer("start_b", -b[:, rank:], persistent=False)


def principal_factors(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """A₀ (rank, in) and B₀ (out, rank), float32, with B₀ A₀ = U S Vᵀ of the `rank` largest singular values of `weight`.

    Each takes the root of S. Subspace iterations find them: exact where singular values differ, and near it where not.
    """
    width = min(rank + OVERSAMPLING, *weight.shape)
    u, s, v = torch.svd_lowrank(weight.detach().float(), q=width, niter=ITERATIONS)
    root = s[:rank].sqrt()
    return (v[:, :rank] * root).T.contiguous(), (u[:, :rank] * root).contiguous()


def _factors(layer: Any, name: str) -> tuple[Tensor, Tensor]:
    """A and B as the forward pass takes them, with the start's beside them where the layer has one."""
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    if not hasattr(layer, "start_a"):
        return lowered(a), lowered(b)
    return torch.cat([a, layer.start_a]), torch.cat([b, -layer.start_b], dim=1)


def _forward(self: Any, x: Tensor) -> Tensor:
    (name,) = self.active_adapters
    base, dropout = self.base_layer, self.lora_dropout[name]
    low, high = _factors(self, name)
    p = dropout.p if isinstance(dropout, nn.Dropout) and dropout.training else 0.0
    drop = functools.partial(keep, p=p) if p else None
    return low_rank(x, base.weight, base.bias, low, high, scale=self.scaling[name], gelu=self.lowrank_gelu, drop=drop)


def low_rank(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    a: Tensor,
    b: Tensor,
    *,
    scale: float = 1.0,
    gelu: bool = False,
    drop: Drop | None = None,
) -> Tensor:
    """The layer's output as `LowRank` computes it."""
    out: Tensor = LowRank.apply(x, weight, bias, a, b, scale, gelu, drop)  # type: ignore[no-untyped-call]
    return out


def _dropped(x: Tensor, survivors: Tensor | None) -> Tensor:
    return x if survivors is None else x * survivors


def _scaled_product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """scale · left @ right, the factor within the product: no pass over its result."""
    if scale == 1.0:
        return left @ right
    add = torch.addmm if left.dim() == 2 else torch.baddbmm
    return add(left.new_empty((1,) * (left.dim() - 2)), left, right, beta=0, alpha=scale)


def _add_product(out: Tensor, left: Tensor, right: Tensor, scale: float) -> None:
    """Add scale · left @ right to `out`, in place."""
    add = out.addmm_ if out.dim() == 2 else out.baddbmm_
    add(left, right, alpha=scale)
