"""LoRA: low-rank updates of linear layers, by Hugging Face peft and in its format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from affetto.models.methods.base import MethodSettings
from affetto.models.methods.peft_base import PeftMethod, Targets, target_modules

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import Tensor

    from affetto.backbones.backbone import Backbone


class LoraSettings(MethodSettings):
    rank: int = Field(8, ge=1, description="rank of the update")
    alpha: float = Field(1.0, gt=0, description="its scaling is alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before A")
    targets: Targets = Field("ff", description="which linear layers of a block")


class Lora(PeftMethod):
    """LoRA (Hu et al. 2022) by peft: W + (alpha / rank) B A on linear layers of the blocks, B zero at the start.

    `targets` is `ff` (both feed-forward layers, the paper's by PEFT-SER), `attention` or `all`.
    """

    name = "lora"
    title = "LoRA"
    trains = "a low-rank update of linear layers"
    source = "Hu et al. 2022"
    settings: ClassVar[type[MethodSettings] | None] = LoraSettings
    recommended = {"alpha": 8.0, "dropout": 0.1}
    part = "linear layers"
    stackable = True
    root_scaling: ClassVar[bool] = False
    """True if the scaling is alpha / √rank."""

    def __init__(self, backbone: Backbone, blocks: range, **settings: Any) -> None:
        super().__init__(backbone, blocks, **settings)
        self.__dict__["activations"] = []
        self._fuse(backbone, blocks)

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        from peft import LoraConfig

        return LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            use_rslora=self.root_scaling,
            bias="none",
            target_modules=target_modules(backbone, blocks, settings.targets),
        )

    def _fuse(self, backbone: Backbone, blocks: range) -> None:
        """Compute by `lowrank`; the second feed-forward layer takes over the activation before it."""
        from torch import nn

        from affetto.models import lowrank

        layers, absorbing = self.__dict__["layers"], set()
        for owner, name, second in (backbone.activation(backbone.blocks[i]) for i in blocks):
            if backbone.gelu and second in layers:
                absorbing.add(second)
                self.__dict__["activations"].append((owner, name, getattr(owner, name)))
                setattr(owner, name, nn.Identity())
        for layer in layers:
            lowrank.fuse(layer, gelu=layer in absorbing)

    @classmethod
    def average(cls, folders: Sequence[Path], settings: dict[str, Any], out: Path) -> dict[str, Any] | None:
        """The mean of the products B A, exactly: one update of the sum of the ranks, its factors side by side."""
        from affetto.models.methods.weight_means import join_factors

        join_factors(folders, out, lambda name: 0 if "lora_A" in name else 1)
        return settings | cls.joined(LoraSettings(**settings), len(folders))

    @classmethod
    def joined(cls, settings: LoraSettings, updates: int) -> dict[str, Any]:
        """Rank of so many updates side by side, and the alpha by which each is scaled by its share of them."""
        # alpha / rank is divided by their number as the rank is multiplied; alpha / √rank by its root alone.
        alpha = settings.alpha / math.sqrt(updates) if cls.root_scaling else settings.alpha
        return {"rank": settings.rank * updates, "alpha": alpha}

    def cast_together(self) -> list[Tensor]:
        layers = [layer for layer in self.__dict__["layers"] if not hasattr(layer, "start_a")]
        return [factors["default"].weight for layer in layers for factors in (layer.lora_A, layer.lora_B)]

    def merge(self) -> None:
        """Let W + (alpha / rank) B A become the layer's W: the plain transformers model, without peft's modules."""
        super().merge()
        for owner, name, activation in self.__dict__["activations"]:
            setattr(owner, name, activation)
        self.__dict__["activations"] = []
