"""Casts of activations to the dtype that linear layers compute in under autocast."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """The dtype that linear layers compute in under the autocast in force; None where there is none."""
    if not torch.amp.is_autocast_available(device.type) or not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Each layer in the dtype of its input, within a `with`."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def casts_input(layer: nn.Module) -> bool:
    """True if a layer computes on its input in the dtype of autocast, and on no more exact form of it."""
    return type(layer) is nn.Linear or bool(getattr(layer, "casts_input", False))


def cast_once(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """`x` for `count` linear layers, cast once where autocast would cast it for each; their gradients meet as float32.

    Without autocast, or in its dtype already, `x` itself is returned `count` times.
    """
    dtype = autocast_dtype(x.device)
    if dtype is None or x.dtype != torch.float32:
        return (x,) * count
    if not (torch.is_grad_enabled() and x.requires_grad):
        return (x.to(dtype),) * count
    outputs: tuple[Tensor, ...] = _CastOnce.apply(x, dtype, count)  # type: ignore[no-untyped-call]
    return outputs


class _CastOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype, count: int) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        lower = x.to(dtype)
        return tuple(lower.detach() for _ in range(count))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None, None]:
        total: Tensor | None = None
        for grad in grads:
            if grad is not None:
                total = grad.float() if total is None else total.add_(grad)
        return total, None, None
