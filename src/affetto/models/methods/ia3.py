"""(IA)³: vectors that scale keys, values and the feed-forward's inner features, by peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from affetto.models.methods.base import MethodSettings
from affetto.models.methods.peft_base import PeftMethod, Targets, layer_names

if TYPE_CHECKING:
    from peft import PeftConfig

    from affetto.backbones.backbone import Backbone


class Ia3Settings(MethodSettings):
    targets: Targets = Field(
        "all", description="attention: keys and values; ff: features of the feed-forward; all: as published"
    )


class Ia3(PeftMethod):
    """l_k ⊙ K, l_v ⊙ V and l_ff ⊙ γ(W₁ x), γ the activation (Liu et al. 2022, eq. 1-2): vectors that start at one."""

    name = "ia3"
    title = "(IA)³"
    trains = "vectors that scale keys, values and inner features of the feed-forward"
    source = "Liu et al. 2022"
    settings = Ia3Settings
    part = "linear layers"
    has_mean = True
    recommended_training = {"method_lr": 3e-3}

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        from peft import IA3Config

        attention = feed_forward = []
        if settings.targets != "ff":
            attention = layer_names(backbone, blocks, backbone.key_value)
        if settings.targets != "attention":
            second = {id(backbone.activation(backbone.blocks[i])[2]) for i in blocks}
            feed_forward = [name for name, module in backbone.model.named_modules() if id(module) in second]
        return IA3Config(target_modules=[*attention, *feed_forward], feedforward_modules=feed_forward)
