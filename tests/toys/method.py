"""A method of a third party in one file: a factor on each feature that the feed-forward part of a block puts out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affetto.backbones.backbone import Backbone
from affetto.models.methods.base import ADAPTER_FILE, Method, MethodSettings, check_blocks


class GainSettings(MethodSettings):
    start: float = Field(1.0, gt=0, description="value of every factor at the start")


class Gain(nn.Module):
    """Forward hook that multiplies a module's output (…, width) by a trainable factor (width,)."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((width,), start))

    def forward(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output * self.factor


class Gains(Method):
    """Factors on the output of the feed-forward part: (frames, width) × (width,)."""

    name = "gains"
    title = "Gains"
    trains = "a factor on each feature of a block's feed-forward part"
    settings = GainSettings
    recommended = {"start": 1.1}
    part = "outputs"

    def __init__(self, backbone: Backbone, blocks: range, *, start: float = 1.0) -> None:
        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
        self.gains = nn.ModuleDict({str(i): Gain(backbone.width, start) for i in blocks})
        for i in blocks:
            # A hook holds a module, never its tensors: whoever loads weights may put other tensors there.
            backbone.feed_forward(backbone.blocks[i])[1].register_forward_hook(self.gains[str(i)])

    def save(self, folder: Path) -> None:
        save_file({name: tensor.cpu() for name, tensor in self.state_dict().items()}, folder / ADAPTER_FILE)

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        method = cls(backbone, blocks, **settings)
        method.load_state_dict(load_file(folder / ADAPTER_FILE))
        return method
