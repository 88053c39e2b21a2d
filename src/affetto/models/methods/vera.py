"""VeRA: low-rank updates by matrices that are random and shared; vectors train, by peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from affetto.models.methods.base import MethodSettings
from affetto.models.methods.peft_base import PeftMethod, Targets, target_modules

if TYPE_CHECKING:
    from peft import PeftConfig

    from affetto.backbones.backbone import Backbone


class VeraSettings(MethodSettings):
    rank: int = Field(256, ge=1, description="rank of the shared random matrices")
    initial: float = Field(0.1, gt=0, description="entries of the inner vector at the start")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before A")
    targets: Targets = Field("ff", description="which linear layers of a block")


class Vera(PeftMethod):
    """W + diag(b) B diag(d) A, A and B random, frozen and shared by all layers (Kopiczko et al. 2024, eq. 2).

    b starts at zero and d at `initial`. A and B are drawn from a fixed seed, and saved.
    """

    name = "vera"
    title = "VeRA"
    trains = "two vectors a linear layer, around random matrices that all layers share"
    source = "Kopiczko et al. 2024"
    settings = VeraSettings
    part = "linear layers"
    recommended_training = {"method_lr": 3e-3}

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        from peft import VeraConfig

        return VeraConfig(
            r=settings.rank,
            d_initial=settings.initial,
            vera_dropout=settings.dropout,
            target_modules=target_modules(backbone, blocks, settings.targets),
        )
