"""LoRA: low-rank updates of linear layers, by Hugging Face peft and in its format."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from affetto.errors import unknown
from affetto.models.methods.base import ADAPTER_FILE, Method, MethodSettings, check_blocks, check_names

if TYPE_CHECKING:
    from affetto.models.backbone import Backbone


class LoraSettings(MethodSettings):
    rank: int = Field(8, ge=1, description="rank of the update")
    alpha: float = Field(1.0, gt=0, description="its scaling is alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before A")
    targets: Literal["ff", "attention", "all"] = Field("ff", description="which linear layers of a block")


class Lora(Method):
    """LoRA (Hu et al. 2022) by peft: W + (alpha / rank) B A on linear layers of the blocks, B zero at the start.

    `targets` is `ff` (both feed-forward layers, the paper's by PEFT-SER), `attention` or `all`.
    """

    name = "lora"
    title = "LoRA"
    trains = "a low-rank update of linear layers"
    source = "Hu et al. 2022"
    settings = LoraSettings
    recommended = {"alpha": 8.0, "dropout": 0.1}
    mergeable = True
    is_peft = True

    def __init__(
        self,
        backbone: Backbone,
        blocks: range,
        *,
        rank: int = 8,
        alpha: float = 1.0,
        dropout: float = 0.0,
        targets: str = "ff",
    ) -> None:
        from peft import LoraConfig, get_peft_model
        from peft.tuners.lora import LoraLayer

        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
        if targets not in backbone.lora_targets:
            raise unknown("LoRA target", targets, backbone.lora_targets)
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,  # type: ignore[arg-type]  # peft's scaling divides, a float is as good
            lora_dropout=dropout,
            bias="none",
            target_modules=target_modules(backbone, blocks, backbone.lora_targets[targets]),
        )
        # Not registered: its modules are the backbone's own, changed in place.
        # peft uses an older name of transformers'.
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            self.__dict__["peft_model"] = get_peft_model(backbone.model, config)
        layers = [module for module in backbone.model.modules() if isinstance(module, LoraLayer)]
        self.__dict__["dropouts"] = [layer.lora_dropout for layer in layers]
        self.__dict__["activations"] = []
        self._fuse(backbone, blocks, layers)
        self.train(False)

    def _fuse(self, backbone: Backbone, blocks: range, layers: list[Any]) -> None:
        """Compute by `lowrank`; the second feed-forward layer takes over the activation before it."""
        from torch import nn

        from affetto.models import lowrank

        absorbing = set()
        for owner, name, second in (backbone.activation(backbone.blocks[i]) for i in blocks):
            if backbone.gelu and second in layers:
                absorbing.add(second)
                self.__dict__["activations"].append((owner, name, getattr(owner, name)))
                setattr(owner, name, nn.Identity())
        for layer in layers:
            lowrank.fuse(layer, gelu=layer in absorbing)

    def train(self, mode: bool = True) -> Lora:
        """LoRA's own dropout follows the method; the backbone that it sits in stays in eval mode."""
        super().train(mode)
        for dropout in self.__dict__["dropouts"]:
            dropout.train(mode)
        return self

    def save(self, folder: Path) -> None:
        # Told not to look for resized embeddings: that would ask the hub.
        self.__dict__["peft_model"].save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        from peft import get_peft_model_state_dict, set_peft_model_state_dict
        from safetensors.torch import load_file

        saved = load_file(folder / ADAPTER_FILE)
        method = cls(backbone, blocks, **settings)
        peft_model = method.__dict__["peft_model"]
        # peft itself only warns of what is missing, and leaves it at random.
        check_names(saved, get_peft_model_state_dict(peft_model, save_embedding_layers=False), folder)
        set_peft_model_state_dict(peft_model, saved)
        return method

    def merge(self) -> None:
        """W + (alpha / rank) B A becomes the layer's W: the plain transformers model, without peft's modules."""
        self.__dict__["peft_model"].merge_and_unload(safe_merge=True)
        for owner, name, activation in self.__dict__["activations"]:
            setattr(owner, name, activation)
        self.__dict__["dropouts"] = self.__dict__["activations"] = []


def target_modules(backbone: Backbone, blocks: range, names: tuple[str, ...]) -> list[str]:
    """The full names, in the plain transformers model, of the linear layers `names` of these blocks."""
    from torch import nn

    layers = [
        name
        for i in blocks
        for name, module in backbone.model.named_modules()
        if name.startswith(f"{backbone.block_prefix}.{i}.")
        and name.rsplit(".", 1)[-1] in names
        and isinstance(module, nn.Linear)
    ]
    assert layers, f"no layer of {names} in {backbone.family}"
    return layers
