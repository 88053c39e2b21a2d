"""The model: backbone, method, pooling and head, cut where training begins.

Everything below the cut is a pure function of the clip, without gradient: `prefix` of one clip, unpadded, and
`prefixes` of several, padded, with the same values up to rounding. Everything above runs on padded batches of prefixes
(`forward`). Training, evaluation and inference all go prefix → forward; there is no other path.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto.backbones.backbone import Backbone, frame_mask
from affetto.backbones.casts import weights_lowered
from affetto.models.device import autocast, capabilities, send
from affetto.models.head_layers import StatisticsHead, masked_statistics
from affetto.models.int8 import quantise_blocks
from affetto.models.methods.base import EMBEDDING, NOTHING, Method
from affetto.models.pooling import StatePooling
from affetto.targets.target import Target

Prefix = dict[str, Tensor]
"""Tensors of a clip at the cut. Frames come first: `features` (frames, channels); or `state`
(frames, width) with `below` (frames, width) or `states` (frames, n, width); or `pooled` (frames, width);
or, of the whole clip, `statistics` (L+1, 2 width)."""


class Classifier(nn.Module):
    """Waves → the outputs of a target; see the module's docstring for the two halves."""

    def __init__(
        self, backbone: Backbone, method: Method, pooling: StatePooling, head: nn.Module, target: Target
    ) -> None:
        super().__init__()
        self.backbone, self.method, self.pooling, self.head = backbone, method, pooling, head
        self.target, self.labels = target, target.labels
        self.precision = "float32"
        self._highest = backbone.depth

    def compute_in(self, precision: str) -> Classifier:
        """Run backbone and layers on frames in `float32` or `bfloat16` from now on; pooling and the rest in float32.

        In bfloat16 linear and convolution layers compute under autocast, the residual stream stays in float32, and
        what is frozen of them is converted for good: no cast a step, and half the memory.
        """
        self.precision = precision
        if precision == "bfloat16":
            self.backbone.to_bfloat16()
        return self

    def quantise(self, rest: str) -> Classifier:
        """The blocks' linear layers in 8-bit integers, all else as `compute_in(rest)`: CPU, merged, inference only."""
        quantise_blocks(self.backbone.blocks)
        return self.compute_in(rest)

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(next(self.head.parameters()).device, enabled=self.precision == "bfloat16")

    # The cut ---------------------------------------------------------------------------------

    @property
    def frozen(self) -> bool:
        return self.method.lowest_block > self.pooling.last

    @property
    def has_untrained_states(self) -> bool:
        """True if training changes nothing of the states that the head sees."""
        return self.frozen and self.pooling.weights is None

    @property
    def stores_statistics(self) -> bool:
        """A frozen state under a statistics head: the clip's statistics are all that training needs."""
        return self.frozen and isinstance(self.head, StatisticsHead) and self.pooling.kind == "layer"

    @property
    def cut(self) -> tuple[str | int | None, ...]:
        """Name of the prefix, beside the clip, the backbone and the preprocessing."""
        if self.method.lowest_block == EMBEDDING:
            return ("features",)
        if self.stores_statistics:
            return ("statistics", self.pooling.state_norm, self._highest)
        if self.frozen:
            return ("states" if self.pooling.keeps_states else "pooled", *self.pooling.identity())
        start = self.method.lowest_block
        return ("state", start) if start == 0 else ("state", start, *self.pooling.identity())

    # Below it --------------------------------------------------------------------------------

    @torch.no_grad()
    def prefix(self, wave: np.ndarray) -> Prefix:
        """One clip's wave (samples,), 16 kHz → what lies at the cut, in float32."""
        prepared = self.backbone.prepare(wave)
        with self._autocast():
            batch = self._below(self.backbone.features(prepared)[None], None)
        return {name: tensor[0].float() for name, tensor in batch.items()}

    def prefixes(self, waves: Sequence[np.ndarray]) -> list[Prefix]:
        """Waves (samples,), 16 kHz → the `prefix` of each, up to rounding, computed as one padded batch."""
        return split(*self.prefix_batch(waves))

    @torch.no_grad()
    def prefix_batch(self, waves: Sequence[np.ndarray]) -> tuple[Prefix, list[int]]:
        """Waves (samples,), 16 kHz → prefixes (batch, rows, …), float32, and the rows that each clip has of them.

        Rows are frames, or states under `statistics`; behind a clip's rows there may be anything.
        """
        prepared, lengths = self.backbone.prepare_batch(waves)
        prepared = send(prepared, self.backbone.device)
        with self._autocast():
            features, frames = self.backbone.features_batch(prepared, lengths)
            mask = frame_mask(frames, features.shape[1], features.device)
            batch = self._below(features, mask)
        rows = [batch["statistics"].shape[1]] * len(waves) if "statistics" in batch else frames.tolist()
        return {name: tensor.float() for name, tensor in batch.items()}, rows

    def _below(self, features: Tensor, mask: Tensor | None) -> Prefix:
        """The front end's output (batch, frames, channels), mask (batch, frames) → {name: (batch, rows, …)}."""
        if self.method.lowest_block == EMBEDDING:
            return {"features": features}
        hidden = self.backbone.embed(features, mask)
        if self.stores_statistics:
            return {"statistics": self._all_statistics(hidden, mask)}
        stop = self.pooling.last if self.frozen else self.method.lowest_block
        hidden, gathered = self._advance(hidden, 0, stop, mask, _Gathered(self.pooling))
        if self.frozen:
            gathered.add(self.pooling.last, self._state(stop, hidden))
            return {name.replace("below", "pooled"): tensor for name, tensor in gathered.stored().items()}
        return {"state": hidden, **gathered.stored()}

    def _all_statistics(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """State 0 → (batch, L+1, 2 width): each state's mean and deviation over time, for any choice of layer.

        Once merged, the choice is made: up to it, (batch, layer + 1, 2 width).
        """
        context = self.backbone.context(mask, hidden.shape[1])
        rows = []
        for i in range(self._highest + 1):
            rows.append(masked_statistics(self.pooling.normalise(self._state(i, hidden)), mask))
            if i < self._highest:
                hidden = self.backbone.block(i, hidden, context)
        return torch.stack(rows, dim=1)

    @torch.no_grad()
    def states(self, wave: np.ndarray) -> Tensor:
        """One clip's wave (samples,), 16 kHz → all its states as the method leaves them, (L+1, frames, width)."""
        prepared = self.backbone.prepare(wave)
        with self._autocast():
            hidden = self.backbone.embed(self.backbone.features(prepared)[None], None)
            context = self.backbone.context(None, hidden.shape[1])
            states = [hidden]
            for i in range(self.backbone.depth):
                hidden = self.backbone.block(i, hidden, context)
                states.append(self._state(i + 1, hidden))
        return torch.cat(states).float()

    # Above it --------------------------------------------------------------------------------

    def forward(self, prefix: Prefix, lengths: Tensor | None) -> Tensor:
        """A batch of prefixes, zero-padded, and each clip's frames (batch,), on the CPU → logits (batch, classes).

        Without `lengths` the clips are of one length.
        """
        if isinstance(self.head, StatisticsHead):
            return self.head.classify(self.statistics(prefix, lengths))
        frames, mask = self.pooled(prefix, lengths)
        with self._autocast():
            return self.head(frames, mask)

    def with_statistics(self, prefix: Prefix, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """As `forward`, with the `statistics` (batch, 2 width) of the states that the head sees: computed once."""
        if isinstance(self.head, StatisticsHead):
            statistics = self.statistics(prefix, lengths)
            return self.head.classify(statistics), statistics
        frames, mask = self.pooled(prefix, lengths)
        with self._autocast():
            return self.head(frames, mask), masked_statistics(frames, mask)

    def statistics(self, prefix: Prefix, lengths: Tensor | None) -> Tensor:
        """As `forward`, up to what a statistics head standardises: (batch, 2 width), float32."""
        if "statistics" in prefix:
            return self.pooling.statistics_of(prefix["statistics"])
        return masked_statistics(*self.pooled(prefix, lengths))

    def pooled(self, prefix: Prefix, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """A batch of prefixes of frames → pooled states (batch, frames, width), float32; their mask (batch, frames)."""
        device = next(iter(prefix.values())).device
        # On the CPU there is nothing to gain: a cast there costs what it moves, not its launch.
        together = self.method.cast_together() if capabilities(device).queued else []
        with self._autocast(), weights_lowered(together, device):
            frames, mask = self._pooled(prefix, lengths)
        return frames.float(), mask

    def _pooled(self, prefix: Prefix, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        first = next(iter(prefix.values()))
        mask = None if lengths is None else frame_mask(lengths, first.shape[1], first.device)
        if "pooled" in prefix:
            return prefix["pooled"], mask
        gathered = _Gathered(self.pooling, prefix)
        if not self.frozen:
            if "features" in prefix:
                start, hidden = 0, self.backbone.embed(prefix["features"], mask)
            else:
                start, hidden = self.method.lowest_block, prefix["state"]
            hidden, gathered = self._advance(hidden, start, self.pooling.last, mask, gathered)
            gathered.add(self.pooling.last, self._state(self.pooling.last, hidden))
        return gathered.pooled(), mask

    def _advance(
        self, hidden: Tensor, start: int, stop: int, mask: Tensor | None, gathered: _Gathered
    ) -> tuple[Tensor, _Gathered]:
        """Run blocks start … stop-1, gathering the state that enters each."""
        context = self.backbone.context(mask, hidden.shape[1])
        for i in range(start, stop):
            gathered.add(i, hidden)
            hidden = self.backbone.block(i, hidden, context)
        return hidden, gathered

    def _state(self, index: int, hidden: Tensor) -> Tensor:
        return self.backbone.finish(hidden) if index == self.backbone.depth else hidden

    # What trains -----------------------------------------------------------------------------

    def trainable(self) -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of all that training changes: trainable parameters and the head's constants."""
        constants = {f"head.{name}": buffer for name, buffer in self.head.named_buffers()}
        return {name: t.detach().clone() for name, t in (self.trainable() | constants).items()}

    @torch.no_grad()
    def restore(self, snapshot: dict[str, Tensor]) -> None:
        current: dict[str, Any] = self.trainable() | {f"head.{name}": b for name, b in self.head.named_buffers()}
        assert current.keys() == snapshot.keys(), current.keys() ^ snapshot.keys()
        for name, tensor in snapshot.items():
            current[name].copy_(tensor)

    # For inference ---------------------------------------------------------------------------

    def merge(self, *, whole_clips: bool = False, fold: bool = True) -> Classifier:
        """Fold LoRA into the backbone's weights: the same function, some 1.3 times as fast; no more training.

        Without `fold` the weights stay as they are, since other models use them too.
        With `whole_clips` the cut lies above all blocks, so that each clip runs alone and nothing is padded: the
        quickest way where a batch gains nothing (CPU). Without, it lies below them.
        """
        self.requires_grad_(False).eval()
        if fold:
            self.method.merge()
            self.method = self.method.after_merge()
        self._highest = self.pooling.last
        self.method.lowest_block = NOTHING if whole_clips else EMBEDDING
        return self

    def with_head(self, head: nn.Module) -> Classifier:
        """The same model over the same weights in memory, with another head."""
        model = Classifier(self.backbone, self.method, self.pooling, head, self.target)
        model.precision, model._highest = self.precision, self._highest
        return model.train(self.training)

    def from_waves(self, waves: Tensor) -> Tensor:
        """Clips of one length (batch, samples), 16 kHz → logits (batch, classes): the whole model at once, no padding.

        Only after `merge`; the cut lies below all blocks from now on.
        """
        self.method.lowest_block = EMBEDDING
        return self({"features": self.backbone.from_waves(waves)}, None)


def split(batch: Prefix, rows: Sequence[int]) -> list[Prefix]:
    """A padded batch (batch, rows, …) and the rows of each clip → each clip's prefix, over the same memory."""
    return [{name: tensor[i, :count] for name, tensor in batch.items()} for i, count in enumerate(rows)]


class _Gathered:
    """Pools states as they come: a running sum under fixed weights, a list where they are needed one by one.

    Fixed weights that are not zero are equal: the sum of the states is weighted once.
    """

    def __init__(self, pooling: StatePooling, prefix: Prefix | None = None) -> None:
        self.pooling, prefix = pooling, prefix or {}
        self.fixed = [] if pooling.keeps_states else pooling.fixed()
        self.below = prefix.get("below")
        self.sum: Tensor | None = None
        self.states: list[Tensor] = list(prefix["states"].unbind(-2)) if "states" in prefix else []

    def add(self, index: int, state: Tensor) -> None:
        if self.pooling.keeps_states:
            if self.pooling.takes(index):
                self.states.append(self.pooling.normalise(state))
        elif self.fixed[index] != 0.0:
            state = self.pooling.normalise(state)
            self.sum = state if self.sum is None else self.sum + state

    def weighted(self) -> Tensor | None:
        """The states so far under fixed weights, (batch, frames, width); None where all weights are zero."""
        weight = max(self.fixed)
        if self.sum is None:
            return self.below
        if self.below is not None:
            return torch.add(self.below, self.sum, alpha=weight)
        # A single layer is taken as it is, so that no rounding comes in.
        return self.sum if weight == 1.0 else self.sum * weight

    def stored(self) -> Prefix:
        if self.pooling.keeps_states:
            return {"states": torch.stack(self.states, dim=-2)} if self.states else {}
        below = self.weighted()
        return {} if below is None else {"below": below}

    def pooled(self) -> Tensor:
        """(batch, frames, width of the pooled frames)."""
        if not self.pooling.keeps_states:
            mean = self.weighted()
            assert mean is not None
            return mean
        states = torch.stack(self.states, dim=-2).float()
        with autocast(states.device, enabled=False):  # einsum is a matrix product: it would be rounded to bfloat16
            return self.pooling.mix(states)
