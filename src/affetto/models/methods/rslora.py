"""rsLoRA: LoRA with a scaling that keeps large ranks learning."""

from __future__ import annotations

from typing import ClassVar

from affetto.models.methods.lora import Lora


class RsLora(Lora):
    """LoRA with the scaling alpha / √rank in place of alpha / rank (Kalajdzievski 2023, theorem 3.2)."""

    name = "rslora"
    title = "rsLoRA"
    trains = "a low-rank update of linear layers, scaled by the root of the rank"
    source = "Kalajdzievski 2023"
    root_scaling: ClassVar[bool] = True
