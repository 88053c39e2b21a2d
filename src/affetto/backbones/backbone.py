"""Base of all speech encoders: a front end and blocks, over transformers' own modules.

A backbone is read as  wave → `features` → `embed` → block 0 … block L-1 → `finish`,  and has L+1 hidden
states: state i (i < L) is the input of block i, state L is transformers' `last_hidden_state`
(after the final LayerNorm where the family has one). transformers 5 records another last state for
pre-LN wav2vec 2.0; papers used this one.
"""

from __future__ import annotations

import copy
import hashlib
import json
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from affetto.backbones.attention import additive, replace_attend, use_interface
from affetto.backbones.casts import autocast_dtype
from affetto.backbones.config_fields import DIGESTED, IRRELEVANT
from affetto.backbones.families.family import Family
from affetto.backbones.families.registry import FAMILIES

WIDTH_STEP = 3200
"""Samples between the widths of padded batches: libraries look for an algorithm at each new shape of a convolution.

Up to 6.4 s it is this; beyond, it grows with the longest clip, of which it is at most a sixteenth."""


@dataclass(frozen=True)
class Context:
    """Inputs of a block beside the hidden states of a batch."""

    mask: Tensor | None
    """(batch, 1, 1, frames), added to logits: 0 where a frame is the clip's own, else -∞; None without padding."""
    position_bias: Tensor | None = None
    """(heads, frames, frames), WavLM's relative position bias before its gate."""


class Backbone(nn.Module, ABC):
    """A pre-trained encoder of one family; always in eval mode, so that its frozen parts are exact.

    `model` is the plain transformers encoder; `preprocessing` is JSON-ready and comes from the checkpoint's feature
    extractor: the step from a wave to the encoder's input.
    """

    family: ClassVar[str]
    """Name of its record in `FAMILIES`."""
    key_value: ClassVar[tuple[str, str]] = ("k_proj", "v_proj")
    """Names of the layers of an attention that make keys and values."""
    attends: bool = False
    """True if the blocks' attention asks `attend_function` by itself."""
    layer_norm_swap: str = "none"
    """Part of a pre-LayerNorm encoder that computes as a post-LayerNorm one, see `layer_norm_swap.py`."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Take clips one by one where a subclass changes that without a batch form of its own."""
        super().__init_subclass__(**arguments)
        changed, batched = {"prepare", "features"}, {"prepare_batch", "features_batch"}
        if changed & vars(cls).keys() and not batched & vars(cls).keys():
            cls.prepare_batch, cls.features_batch = Backbone.prepare_batch, Backbone.features_batch  # type: ignore[method-assign]

    def __init__(self, model: Any, preprocessing: dict[str, Any]) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.preprocessing = preprocessing

    def to_bfloat16(self) -> None:
        """Convert frozen linear and convolution layers to bfloat16; from then on it runs under autocast only."""
        for module in self.model.modules():
            parameters = list(module.parameters(recurse=False))
            plain = isinstance(module, nn.Linear | nn.Conv1d) and not hasattr(module, "parametrizations")
            if plain and parameters and not any(parameter.requires_grad for parameter in parameters):
                module.to(torch.bfloat16)

    # What a family defines -------------------------------------------------------------------

    @abstractmethod
    def prepare(self, wave: np.ndarray) -> Tensor:
        """Wave (samples,), 16 kHz → the front end's input, of this clip alone (never over padding)."""

    @abstractmethod
    def features(self, prepared: Tensor) -> Tensor:
        """The convolutional front end, frozen in every method: one clip → (frames, channels)."""

    @abstractmethod
    def from_waves(self, waves: Tensor) -> Tensor:
        """Clips of one length (batch, samples), 16 kHz → (batch, frames, channels).

        `prepare` and `features` in torch's operations alone: what an exported graph computes.
        """

    @abstractmethod
    def embed(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels), mask (batch, frames) → state 0, (batch, frames, width).

        State 0 is float32 under autocast too: all blocks add to it, so that its dtype is the residual stream's.
        """

    @abstractmethod
    def finish(self, hidden: Tensor) -> Tensor:
        """The output of the last block → state L, both (batch, frames, width)."""

    @abstractmethod
    def feed_forward(self, block: Any) -> tuple[nn.Module, nn.Module]:
        """The modules where the feed-forward of a block begins and ends (one module may be both)."""

    @abstractmethod
    def feed_forward_norm(self, block: Any) -> nn.Module:
        """The LayerNorm that the residual stream enters before the feed-forward of a block."""

    @abstractmethod
    def closing_norm(self, block: Any) -> nn.Module | None:
        """The LayerNorm that ends a block, behind the residual of its feed-forward; None where that sum is the end."""

    @abstractmethod
    def attention(self, block: Any) -> nn.Module:
        """The attention of a block."""

    @abstractmethod
    def attention_output(self, block: Any) -> nn.Module:
        """The last layer of a block's attention, before the residual is added."""

    @abstractmethod
    def activation(self, block: Any) -> tuple[nn.Module, str, nn.Module]:
        """The feed-forward's activation, as a module and the name of its attribute, and the linear layer behind it."""

    @property
    def gelu(self) -> bool:
        """True if that activation is the exact GELU, as in every published checkpoint of these families."""
        config = self.model.config
        return getattr(config, "hidden_act", getattr(config, "activation_function", "")) == "gelu"

    def final_norm(self) -> nn.Module | None:
        """The LayerNorm behind the last block; None where the family has none."""
        return None

    def embedding_modules(self) -> list[nn.Module]:
        """The feature projection: what full fine-tuning trains beside the blocks."""
        return []

    # Several clips at once -------------------------------------------------------------------

    def prepare_batch(self, waves: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Waves (samples,), 16 kHz → the front end's input of all, zero-padded, on the CPU; and what is valid of it.

        Each clip is prepared by itself, before padding. A family without a batch form has the sizes of each clip's
        input as the second tensor, (batch, dimensions). Raises what `prepare` raises.
        """
        prepared = [self.prepare(wave).cpu() for wave in waves]
        sizes = torch.tensor([list(tensor.shape) for tensor in prepared])
        batch = prepared[0].new_zeros(len(prepared), *sizes.amax(0).tolist())
        for row, tensor in zip(batch, prepared, strict=True):
            row[_corner(tensor.shape)] = tensor
        return batch, sizes

    def features_batch(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Output of `prepare_batch`, of which the first may be on the device, → the front end's output.

        Returns (batch, frames, channels), zero behind a clip's end, and each clip's frames (batch,), on the CPU. The
        values are those of `features` up to rounding, whatever the other clips are.
        """
        rows = zip(prepared, lengths.tolist(), strict=True)
        features = [self.features(row[_corner(size)]) for row, size in rows]
        frames = torch.tensor([len(clip) for clip in features])
        return nn.utils.rnn.pad_sequence(features, batch_first=True), frames

    # What all families share -----------------------------------------------------------------

    @property
    def record(self) -> Family:
        """The facts of its family."""
        return FAMILIES[self.family]

    @property
    def lora_targets(self) -> dict[str, tuple[str, ...]]:
        """Names of the linear layers within a block: `ff`, `attention`, `all`."""
        return self.record.lora_targets

    @property
    def block_prefix(self) -> str:
        """Path of the blocks in transformers' state dict: `encoder.layers` or `layers`."""
        return self.record.blocks

    @property
    def blocks(self) -> nn.ModuleList:
        """The L transformer blocks, in order."""
        blocks: nn.ModuleList = attrgetter(self.block_prefix)(self.model)
        return blocks

    def context(self, mask: Tensor | None, frames: int) -> Context:
        """`mask` is (batch, frames), True where valid, or None."""
        if mask is None:
            return Context(None)
        return Context(additive(mask[:, None, None, :], autocast_dtype(mask.device) or self.dtype))

    def block(self, index: int, hidden: Tensor, context: Context) -> Tensor:
        """State `index` → the output of block `index`, both (batch, frames, width)."""
        out = self.blocks[index](hidden, attention_mask=context.mask)
        return out[0] if isinstance(out, tuple) else out

    def attend_by(self, forward: Callable[..., Any]) -> None:
        """Let `forward` stand for the forward pass of every block's attention. It has to ask `attend_function`."""
        for block in self.blocks:
            attention: Any = self.attention(block)
            attention.forward = types.MethodType(forward, attention)
        self.attends = True

    def replace_attend(self, block: Any, attend: Callable[..., Tensor]) -> None:
        """Let the attention of a block mix its values by `attend` (`affetto.backbones.attention`)."""
        replace_attend(self.attention(block), attend)
        if not self.attends:
            use_interface(self.model)

    @property
    def width(self) -> int:
        return int(self.model.config.hidden_size)

    @property
    def longest_seconds(self) -> float | None:
        """The longest clip that the family can take; None: any."""
        return None

    @property
    def depth(self) -> int:
        """The number of blocks, L."""
        return len(self.blocks)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def train(self, mode: bool = True) -> Backbone:
        """Stay in eval mode: dropout or layer-drop in frozen parts would make stored states wrong."""
        return super().train(False)

    def copy_sharing_weights(self) -> Backbone:
        """A copy whose modules a method may change, over the same weights in memory, which nothing may train."""
        return copy.deepcopy(self, {id(weight): weight for weight in (*self.parameters(), *self.buffers())})

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def architecture(self) -> dict[str, Any]:
        """Fields of the configuration that may change a state, those of a later transformers included; JSON-ready."""
        idle = IRRELEVANT.union(self.record.idle_fields)
        config = {name: value for name, value in self.model.config.to_dict().items() if name not in idle}
        return config | {"layer_norm_swap": self.layer_norm_swap}

    def weights_digest(self) -> str:
        """SHA-256 over everything that the states are computed from: the weights (as float32) and the architecture."""
        config = {name: getattr(self.model.config, name, None) for name in (*DIGESTED, *self.record.state_fields)}
        if self.layer_norm_swap != "none":
            config["layer_norm_swap"] = self.layer_norm_swap
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            if name == "masked_spec_embed":  # unused without masking, and random where a checkpoint lacks it
                continue
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().data)
        return digest.hexdigest()


def pad_waves(waves: Sequence[Tensor], most: int | None = None) -> tuple[Tensor, Tensor]:
    """Waves (samples,) → (batch, samples), zero-padded to one of few widths of at most `most` samples; their lengths.

    Clips of one length are not padded.
    """
    lengths = torch.tensor([len(wave) for wave in waves])
    least, longest = int(lengths.min()), int(lengths.max())
    batch = nn.utils.rnn.pad_sequence(list(waves), batch_first=True)
    if least == longest:
        return batch, lengths
    step = WIDTH_STEP << max(0, (longest // (16 * WIDTH_STEP)).bit_length() - 1)
    width = min(longest + -longest % step, most or longest + step)
    return nn.functional.pad(batch, (0, width - longest)), lengths


def _corner(size: Sequence[int]) -> tuple[slice, ...]:
    """Index of the first elements along each dimension."""
    return tuple(slice(length) for length in size)


def frame_mask(lengths: Tensor, frames: int, device: torch.device) -> Tensor | None:
    """(batch,) numbers of valid frames → (batch, frames) bool on `device`; None where every clip fills the batch.

    Lengths on another device than the CPU are not looked at, since that would wait for it: there is always a mask.
    """
    if not lengths.is_cpu:
        return torch.arange(frames, device=lengths.device) < lengths[:, None]
    if bool((lengths == frames).all()):
        return None
    return (torch.arange(frames)[None, :] < lengths[:, None]).to(device, non_blocking=True)
