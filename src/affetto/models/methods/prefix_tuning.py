"""Prefix tuning: keys and values of no clip in front of each block's attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from affetto.models.methods.added_modules import AddedModules
from affetto.models.methods.base import MethodSettings, check_blocks

if TYPE_CHECKING:
    from affetto.backbones.backbone import Backbone


class PrefixSettings(MethodSettings):
    length: int = Field(10, ge=1, description="keys and values in front of a clip's own, in every block and head")


class PrefixTuning(AddedModules):
    """softmax(q [Pₖ; K]ᵀ / √d) [Pᵥ; V] in every attention of the blocks (Li & Liang 2021, as in He et al. 2022, eq. 5).

    Pₖ and Pᵥ train. They take part in the softmax from the start, so that a fresh model is near the backbone, and not
    the same. There is no reparametrisation by a network, which the first paper trained through.
    """

    name = "prefix"
    title = "Prefix tuning"
    trains = "keys and values in front of those of a clip in each attention"
    source = "Li & Liang 2021"
    settings = PrefixSettings
    modules_attribute = "prefixes"
    part = "attention"
    recommended_training = {"method_lr": 3e-3}
    starts_as_backbone = False

    def __init__(self, backbone: Backbone, blocks: range, *, length: int = 10) -> None:
        from torch import nn

        from affetto.backbones.attention import AttentionPrefix

        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
        self.facts = {"type": self.name, "blocks": [blocks.start, blocks.stop], "length": length}
        self.prefixes = nn.ModuleDict()
        for i in blocks:
            attention: Any = backbone.attention(backbone.blocks[i])
            prefix = AttentionPrefix(attention.num_heads, length, attention.head_dim)
            self.prefixes[str(i)] = prefix
            backbone.replace_attend(backbone.blocks[i], prefix)
