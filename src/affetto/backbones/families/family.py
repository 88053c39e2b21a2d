"""Base of all families of speech encoders: the facts of a family, readable without torch.

A family is a record in a file of this package, and a subclass of `Backbone` in `affetto.backbones.encoders`, which
computes its hidden states. A file of this package imports torch and transformers inside functions only; a plug-in may
import them at its top.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from affetto.backbones.flops import Operations

Reference = str | type
"""A class, or its place as `module:name`, from which it is imported on first use."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Shape of an encoder that is trained from nothing."""

    width: int
    blocks: int
    heads: int
    feed_forward: int
    channels: int
    """Width of the convolutions on the wave."""
    codes: int
    """Entries of each codebook of wav2vec 2.0's quantiser."""
    positions: int = 32
    """Kernel of the positional convolution, frames."""
    position_groups: int = 4


@dataclass(frozen=True, kw_only=True)
class Family(ABC):
    """Record of a family: facts (fields) and functions of its configuration (methods)."""

    name: str
    """transformers' `model_type`, which a checkpoint's `config.json` holds."""
    title: str
    citation: str = ""
    """Publication, as `Authors, "Title", Venue Year`."""

    backbone: Reference
    """Subclass of `Backbone`."""
    config: Reference
    """transformers' configuration."""
    model: Reference
    """transformers' plain encoder."""
    checkpoint: Reference | None = None
    """Class that reads a checkpoint, if it is not `model`."""
    checkpoint_encoder: str = ""
    """Name of the encoder within `checkpoint`; empty: the encoder is all of it."""
    stock: Reference | None = None
    """transformers' own audio classifier; None: it has none."""
    stock_ctc: Reference | None = None
    """transformers' own class for CTC; None: it has none."""
    stock_encoder: str = ""
    """Name of the encoder within `stock` and `stock_ctc`."""
    attention: str = "sdpa"
    """transformers' implementation of the attention."""

    blocks: str
    """Path of the list of blocks within the encoder."""
    attention_layers: tuple[str, ...]
    """Names of the linear layers of a block's attention."""
    feed_forward_layers: tuple[str, ...]
    """Names of the linear layers of a block's feed-forward."""
    feed_forward_end: str
    """Name of the module of a block whose output is that of the feed-forward."""
    both_norm_orders: bool = False
    """True if the family has pre-LayerNorm and post-LayerNorm checkpoints, by `do_stable_layer_norm`."""

    state_fields: tuple[str, ...] = ()
    """Configuration fields, beside `config_fields.DIGESTED`, that change states but no weight's name or shape."""
    idle_fields: tuple[str, ...] = ()
    """Configuration fields, beside `config_fields.IRRELEVANT`, that change no state."""

    normalizes: bool = True
    """True if waves are normalised where no checkpoint says otherwise."""
    uses_mask: bool = False
    """True if published checkpoints take padded batches with an attention mask."""
    window_seconds: float | None = None
    """Only length of clips that transformers' classes take; None: any length."""

    miniature: str
    """Key of the small backbone that stands in for the family in trials."""
    pre_norm_miniature: str | None = None
    """Key that stands in for its pre-LayerNorm checkpoints, if it is another."""
    objectives: tuple[str, ...] = ()
    """Objectives of `affetto specialize` that the family can be trained by."""
    from_scratch: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    """{name on the command line: fields of its configuration} of the models that can be trained from nothing."""

    # Classes, imported on first use ------------------------------------------------------------

    @property
    def backbone_class(self) -> Any:
        return import_class(self.backbone)

    @property
    def config_class(self) -> Any:
        return import_class(self.config)

    @property
    def model_class(self) -> Any:
        return import_class(self.model)

    @property
    def checkpoint_class(self) -> Any:
        return import_class(self.checkpoint or self.model)

    @property
    def stock_class(self) -> Any | None:
        return None if self.stock is None else import_class(self.stock)

    @property
    def stock_ctc_class(self) -> Any | None:
        return None if self.stock_ctc is None else import_class(self.stock_ctc)

    # Facts that follow from others ---------------------------------------------------------------

    @property
    def lora_targets(self) -> dict[str, tuple[str, ...]]:
        """Names of the linear layers of a block, by the setting `targets` of a method."""
        return {
            "ff": self.feed_forward_layers,
            "attention": self.attention_layers,
            "all": (*self.attention_layers, *self.feed_forward_layers),
        }

    def stand_in(self, config: Mapping[str, Any]) -> str:
        """Key of the small backbone that stands in for an encoder of this configuration."""
        pre_norm = self.pre_norm_miniature if config.get("do_stable_layer_norm") else None
        return pre_norm or self.miniature

    # Functions that a family defines -------------------------------------------------------------

    @abstractmethod
    def operations(self, config: Mapping[str, Any], seconds: float) -> Operations:
        """Operations of a clip of `seconds`. `config` is transformers' own; fields that it lacks have defaults."""

    @abstractmethod
    def scaled_config(self, size: Size) -> dict[str, Any]:
        """Fields of transformers' configuration for an encoder of this size."""

    @abstractmethod
    def preprocessing(self, *, normalize: bool) -> dict[str, Any]:
        """Preprocessing of a backbone that has no checkpoint, JSON-ready."""

    @abstractmethod
    def read_preprocessing(self, extractor: Mapping[str, Any]) -> dict[str, Any]:
        """Preprocessing of a checkpoint, JSON-ready, from its `preprocessor_config.json`."""

    @abstractmethod
    def describe_preprocessing(self, preprocessing: Mapping[str, Any]) -> str:
        """Phrase for people: the step between wave and encoder."""

    @abstractmethod
    def feature_extractor(
        self, preprocessing: Mapping[str, Any], *, attention_mask: bool = False, seconds: int | None = None
    ) -> Any:
        """transformers' feature extractor of this preprocessing, for clips of `seconds` if the family takes one length.

        `attention_mask`: it returns a mask of the padding, if the family uses one.
        """

    def window_config(self, seconds: float) -> dict[str, Any]:
        """Fields of the configuration for transformers' classes to take clips of `seconds`."""
        return {}

    def shorten(self, state: dict[str, Any], config: Any) -> dict[str, Any]:
        """An encoder's weights (state dict) for a configuration that `window_config` has changed."""
        return state


def import_class(reference: Reference) -> Any:
    """The class of a reference."""
    if isinstance(reference, type):
        return reference
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
