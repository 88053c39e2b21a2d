"""BitFit: the biases of the blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affetto.models.methods.backbone_weights import BackboneWeights
from affetto.models.methods.base import check_blocks

if TYPE_CHECKING:
    from affetto.backbones.backbone import Backbone


class BitFit(BackboneWeights):
    """Every bias of the blocks trains (Ben Zaken et al. 2022), and the one of the LayerNorm behind the last block.

    The biases of keys are left out: a softmax over keys does not see them. The biases are copies, so that all other
    weights can be shared with other models.
    """

    name = "bitfit"
    title = "BitFit"
    trains = "the biases of the blocks"
    source = "Ben Zaken et al. 2022"
    recommended_training = {"method_lr": 1e-3}

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        from torch import nn

        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
        modules: list[nn.Module] = [backbone.blocks[i] for i in blocks]
        norm = backbone.final_norm()
        if blocks.stop == backbone.depth and norm is not None:
            modules.append(norm)
        trained = set()
        for name, module in (pair for parent in modules for pair in parent.named_modules()):
            bias = module._parameters.get("bias")
            if bias is not None and name.rsplit(".", 1)[-1] != backbone.key_value[0]:
                module.bias = nn.Parameter(bias.detach().float().clone())
                trained.add(id(module.bias))
        self.train_weights(backbone, trained)
