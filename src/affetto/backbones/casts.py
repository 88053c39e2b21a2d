"""Casts to the dtype that linear layers compute in under autocast: of activations, and of weights that train."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
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


_lowered: ContextVar[dict[int, Tensor] | None] = ContextVar("_lowered", default=None)


@contextlib.contextmanager
def weights_lowered(weights: Sequence[Tensor], device: torch.device) -> Iterator[None]:
    """Within it `lowered` has all weights in the dtype of autocast, cast by few kernels; so are their gradients."""
    dtype = autocast_dtype(device)
    if dtype is None or not weights or not torch.is_grad_enabled():
        yield
        return
    casts: tuple[Tensor, ...] = _CastTogether.apply(dtype, *weights)  # type: ignore[no-untyped-call]
    token = _lowered.set({id(weight): cast for weight, cast in zip(weights, casts, strict=True)})
    try:
        yield
    finally:
        _lowered.reset(token)


def lowered(weight: Tensor) -> Tensor:
    """The weight as `weights_lowered` has cast it; itself outside of that."""
    casts = _lowered.get()
    return weight if casts is None else casts.get(id(weight), weight)


class _CastTogether(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        casts = [torch.empty_like(weight, dtype=dtype) for weight in weights]
        torch._foreach_copy_(casts, list(weights))
        return tuple(casts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        present = [grad for grad in grads if grad is not None]
        raised = [torch.empty_like(grad, dtype=torch.float32) for grad in present]
        torch._foreach_copy_(raised, present)
        remaining = iter(raised)
        return None, *(None if grad is None else next(remaining) for grad in grads)


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
