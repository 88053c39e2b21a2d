"""Full fine-tuning: the blocks' own weights train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affetto.models.methods.backbone_weights import BackboneWeights
from affetto.models.methods.base import EMBEDDING, check_blocks

if TYPE_CHECKING:
    from torch import nn

    from affetto.backbones.backbone import Backbone


class Full(BackboneWeights):
    """All blocks and the feature projection train; the convolutional front end stays frozen."""

    name = "full"
    title = "full"
    trains = "all weights of the blocks, and the feature projection with the first of them"
    trains_backbone = True
    trains_embedding = True
    step_cost = 3.0

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
        modules: list[nn.Module] = [backbone.blocks[i] for i in blocks]
        if blocks.start == 0 and backbone.embedding_modules():
            modules += backbone.embedding_modules()
            self.lowest_block = EMBEDDING
        norm = backbone.final_norm()
        if blocks.stop == backbone.depth and norm is not None:
            modules.append(norm)
        self.train_weights(backbone, {id(parameter) for module in modules for parameter in module.parameters()})
