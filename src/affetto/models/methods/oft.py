"""OFT: rotations of what enters a linear layer, by peft."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from pydantic import Field

from affetto.models.methods.base import MethodSettings
from affetto.models.methods.peft_base import PeftMethod, Targets, target_modules

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import Tensor

    from affetto.backbones.backbone import Backbone


class OftSettings(MethodSettings):
    block_size: int = Field(
        32, ge=2, description="features that are rotated together; the nearest divisor of a layer's inputs is taken"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the rotations that are left out of a training step")
    targets: Targets = Field("ff", description="which linear layers of a block")


class Oft(PeftMethod):
    """W R, R a block-diagonal rotation (Qiu et al. 2023), R = (I + Q)(I - Q)⁻¹ with Q skew-symmetric and zero at first.

    The inverse is the first terms of its series, as in the same group's later OFT (Qiu et al. 2025): R is a rotation to
    within rounding as long as Q is small.
    """

    name = "oft"
    title = "OFT"
    trains = "block-diagonal rotations of the inputs of linear layers"
    source = "Qiu et al. 2023"
    settings = OftSettings
    part = "linear layers"

    def __init__(self, backbone: Backbone, blocks: range, **settings: Any) -> None:
        super().__init__(backbone, blocks, **settings)
        if OftSettings(**settings).dropout:
            for layer in self.__dict__["layers"]:
                rotation = layer.oft_R["default"]
                rotation.dropout = layer.oft_dropout["default"]
                rotation._cayley_batch = types.MethodType(_rotations, rotation)

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        from peft import OFTConfig

        return OFTConfig(
            oft_block_size=settings.block_size,
            module_dropout=settings.dropout,
            target_modules=target_modules(backbone, blocks, settings.targets),
        )


def _rotations(self: Any, *options: Any) -> Tensor:
    """Rotations of a layer, (count, size, size), some left out in training: peft never calls its dropout."""
    rotations: Tensor = self.dropout(type(self)._cayley_batch(self, *options))
    return rotations
