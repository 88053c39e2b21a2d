"""DoRA: low-rank updates of the direction of a weight, and a magnitude of its own, by peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from affetto.models.methods.lora import LoraSettings
from affetto.models.methods.peft_base import PeftMethod, target_modules

if TYPE_CHECKING:
    from peft import PeftConfig

    from affetto.backbones.backbone import Backbone


class Dora(PeftMethod):
    """W' = m (W + s B A) / ‖W + s B A‖, the norm of each row (Liu et al. 2024, eq. 5), m a trained vector.

    m begins as the norms of W and B as zero, so that W' begins as W. As in the paper (4.3) no gradient flows through
    the norm. A step takes longer than LoRA's: the norm of every adapted weight is computed anew.
    """

    name = "dora"
    title = "DoRA"
    trains = "a low-rank update of the direction of linear layers, and their magnitudes"
    source = "Liu et al. 2024"
    settings = LoraSettings
    recommended = {"alpha": 8.0, "dropout": 0.1}
    part = "linear layers"

    def train(self, mode: bool = True) -> Self:
        """Let peft's layers follow too: they leave their dropout out in eval mode, whatever its own mode is."""
        super().train(mode)
        for layer in self.__dict__["layers"]:
            layer.training = mode
        return self

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        from peft import LoraConfig

        return LoraConfig(
            use_dora=True,
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            bias="none",
            target_modules=target_modules(backbone, blocks, settings.targets),
        )
