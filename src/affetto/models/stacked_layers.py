"""Layers of several fits as one: F·B rows in the order of the fits, each fit's rows through its own weights.

Weights have a leading dimension of fits, and products are batched over it. Each layer takes the place of one module of
a classifier and of the same modules of the others (`affetto.models.stacked`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from affetto.models.device import capabilities
from affetto.models.dropout import keep
from affetto.models.head_layers import StatisticsHead
from affetto.models.lowrank import low_rank
from affetto.models.pooling import StatePooling


@dataclass
class Extents:
    """Shape of the present step's batches within the joint one, and each fit's random numbers."""

    generators: Sequence[torch.Generator]
    """Generators of the CPU: one of each fit."""
    batches: list[tuple[int, int]] = field(default_factory=list)
    """(clips, frames) of each fit's own batch."""

    def keep(self, x: Tensor, p: float) -> tuple[Tensor, float]:
        """As `dropout.keep` of (fits · clips, …) or (fits · clips, frames, …).

        Where a device draws slowly each fit draws as it would alone: from its own generator, for its own clips and
        frames. Elsewhere all draw at once.
        """
        if not capabilities(x.device).slow_random:
            return keep(x, p)
        mask = torch.ones(x.shape, dtype=torch.bool, device=x.device)
        scale = 1.0
        for part, (clips, frames), generator in zip(self.split(mask), self.batches, self.generators, strict=True):
            rows = part[:clips, :frames] if x.dim() > 2 else part[:clips]
            drawn, scale = keep(rows, p, generator)
            rows.copy_(drawn)
        return mask, scale

    def split(self, x: Tensor) -> Tensor:
        """(fits · clips, …) → (fits, clips, …)."""
        return x.view(len(self.generators), -1, *x.shape[1:])


class StackedLinear(nn.Module):
    """Linear layers: weights (fits, out, in), biases (fits, out) or None."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(len(self.weight), -1, x.shape[-1])
        weight = self.weight.transpose(1, 2)
        out = torch.bmm(rows, weight) if self.bias is None else torch.baddbmm(self.bias[:, None], rows, weight)
        return out.view(*x.shape[:-1], -1)


class StackedDropout(nn.Module):
    """Dropout with one probability for all fits, drawn as `Extents.keep` says."""

    def __init__(self, p: float, extents: Extents) -> None:
        super().__init__()
        self.p, self.extents = p, extents

    def forward(self, x: Tensor) -> Tensor:
        if self.p in (0, 1) or not capabilities(x.device).slow_random:
            return nn.functional.dropout(x, self.p)
        mask, scale = self.extents.keep(x, self.p)
        return x * mask.to(x.dtype).mul_(scale)


class StackedStatisticsHead(StatisticsHead):
    """Statistics heads, each with its own constants; without the mean over time, which comes before."""

    def __init__(self, heads: Sequence[StatisticsHead], dropout: nn.Module, out: nn.Module) -> None:
        nn.Module.__init__(self)
        self.register_buffer("centre", torch.stack([head.centre for head in heads]))
        self.register_buffer("scale", torch.stack([head.scale for head in heads]))
        self.dropout, self.out = dropout, out  # type: ignore[assignment]
        self.dropout_samples = heads[0].dropout_samples

    def classify(self, statistics: Tensor) -> Tensor:
        fits = statistics.view(len(self.centre), -1, statistics.shape[-1])
        standard = (fits - self.centre[:, None]) / self.scale[:, None]
        return self.drawn(standard.view_as(statistics))


class StackedPooling(StatePooling):
    """Learned weights of states, (fits, L+1)."""

    def __init__(self, pooling: StatePooling, weights: nn.Parameter) -> None:
        super().__init__(pooling.depth, pooling.width, "layer", pooling.layer, pooling.state_norm)
        self.kind, self.weights = pooling.kind, weights

    def mix(self, states: Tensor) -> Tensor:
        assert self.weights is not None
        weights = torch.softmax(self.weights, 1).repeat_interleave(len(states) // len(self.weights), 0)
        return torch.einsum("btnw,bn->btw", states, weights)


class StackedLora(nn.Module):
    """Layers of LoRA on one frozen linear layer, each fit with its own A and B."""

    casts_input = True
    """True for the code before it: the input may come in any precision."""

    def __init__(self, layer: Any, low: nn.Parameter, high: nn.Parameter, extents: Extents) -> None:
        super().__init__()
        (name,) = layer.active_adapters
        dropout = layer.lora_dropout[name]
        self.base, self.gelu, self.scale = layer.base_layer, layer.lowrank_gelu, layer.scaling[name]
        self.low, self.high, self.extents = low, high, extents
        self.p = dropout.p if isinstance(dropout, nn.Dropout) else 0.0

    def forward(self, x: Tensor) -> Tensor:
        def drop(rows: Tensor) -> tuple[Tensor, float]:
            mask, up = self.extents.keep(rows.view(x.shape), self.p)
            return mask.view(rows.shape), up

        return low_rank(
            x,
            self.base.weight,
            self.base.bias,
            self.low,
            self.high,
            scale=self.scale,
            gelu=self.gelu,
            drop=drop if self.p else None,
        )
