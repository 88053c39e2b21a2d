"""LayerNorm tuning: gains and biases of the LayerNorms in the blocks, by peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affetto.models.methods.peft_base import PeftMethod

if TYPE_CHECKING:
    from peft import PeftConfig

    from affetto.backbones.backbone import Backbone


class LayerNormTuning(PeftMethod):
    """Every LayerNorm of the blocks trains, and the one behind the last block with it (Zhao et al. 2024)."""

    name = "layernorm"
    title = "LayerNorm tuning"
    trains = "gains and biases of the LayerNorms of the blocks"
    source = "Zhao et al. 2024"
    has_mean = True
    recommended_training = {"method_lr": 1e-3}

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        from peft import LNTuningConfig
        from torch import nn

        norms = {id(m) for i in blocks for m in backbone.blocks[i].modules() if isinstance(m, nn.LayerNorm)}
        if blocks.stop == backbone.depth:
            norms.add(id(backbone.final_norm()))
        names = [name for name, module in backbone.model.named_modules() if id(module) in norms]
        return LNTuningConfig(target_modules=names)
