"""Convolutional Adapter: a bottleneck that sees neighbouring frames."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from affetto.models.methods.added_modules import AddedModules
from affetto.models.methods.base import MethodSettings, check_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from affetto.backbones.backbone import Backbone
    from affetto.models.conv_bottleneck import ConvBottleneck


class ConvAdapterSettings(MethodSettings):
    bottleneck: int = Field(128, ge=1, description="width of the bottleneck")
    kernel: int = Field(5, ge=1, description="frames of 20 ms that the convolution sees, an odd number")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout within it")
    scale: float = Field(1.0, gt=0, description="factor on its output")

    @field_validator("kernel")
    @classmethod
    def _is_odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("must be an odd number, so that it has a middle")
        return kernel


class ConvAdapter(AddedModules):
    """F(x) + A(F(x)) in place of a block's feed-forward F(x), A a bottleneck with a convolution over time in it.

    The convolution is depthwise. It carries the idea of a convolutional Adapter for speech (Li et al. 2023) in the
    sequential placement of `adapter`. Frames of padding are zero to it, so that a clip's result does not depend on the
    clips beside it.
    """

    name = "conv_adapter"
    title = "Convolutional Adapter"
    trains = "a bottleneck network with a convolution over time in each block"
    source = "after Li et al. 2023"
    settings = ConvAdapterSettings
    recommended = {"dropout": 0.1}
    modules_attribute = "bottlenecks"
    part = "outputs"

    def __init__(self, backbone: Backbone, blocks: range, **settings: Any) -> None:
        from torch import nn

        from affetto.models.conv_bottleneck import ConvBottleneck

        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
        values = ConvAdapterSettings(**settings)
        self.facts = {"type": self.name, "blocks": [blocks.start, blocks.stop], **values.model_dump()}
        self.bottlenecks = nn.ModuleDict()
        for i in blocks:
            adapter = ConvBottleneck(backbone.width, **values.model_dump())
            self.bottlenecks[str(i)] = adapter
            block: Any = backbone.blocks[i]
            behind = _Behind(adapter)
            block.register_forward_pre_hook(behind.note_mask, with_kwargs=True)
            backbone.feed_forward(block)[1].register_forward_hook(behind.add)


class _Behind:
    """An adapter on the output of a module of a block, with the mask that the block was called with.

    The mask is held by thread: a server's requests share the model.
    """

    def __init__(self, adapter: ConvBottleneck) -> None:
        self.adapter = adapter
        self.masks: dict[int, Tensor | None] = {}

    def note_mask(self, _block: Any, _inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        """`attention_mask` is (batch, 1, 1, frames), 0 where valid, or None."""
        mask = options.get("attention_mask")
        self.masks[threading.get_ident()] = None if mask is None else mask[:, 0, 0, :] == 0

    def add(self, _module: Any, _inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return output + self.adapter(output, self.masks.pop(threading.get_ident()))
