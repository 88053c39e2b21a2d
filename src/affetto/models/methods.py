"""Ways to adapt a backbone: frozen, Adapter, LoRA, full fine-tuning.

A method changes a backbone in place and knows which parameters it trains, from which block on, and how
they are saved. LoRA is Hugging Face peft, in peft's own format; the bottleneck Adapter is ours, since
peft has none (its issue #244).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from affetto.errors import unknown
from affetto.models import lowrank
from affetto.models.adapter import Adapter
from affetto.models.backbone import Backbone
from affetto.models.method import ADAPTER_FILE, EMBEDDING, Method, need_blocks, same_names


class Frozen(Method):
    """The backbone as it is; only the head trains (the paper's "downstream model")."""

    name = "frozen"
    changes_blocks = False

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__(backbone, range(0))


class Probe(Frozen):
    """The frozen backbone under logistic regression: the baseline that other methods must beat.

    What makes it one are its settings: a linear head on one state's statistics, started as a logistic regression
    and not trained further (`affetto.training.spec.PROBE`).
    """

    name = "probe"


class Lora(Method):
    """LoRA (Hu et al. 2022) by peft: W + (alpha / rank) B A on linear layers of the blocks, B zero at the start.

    `targets` is `ff` (both feed-forward layers, the paper's by PEFT-SER), `attention` or `all`.
    """

    name = "lora"

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
        need_blocks(blocks, self.name)
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

        saved = load_file(folder / ADAPTER_FILE)
        method = cls(backbone, blocks, **settings)
        peft_model = method.__dict__["peft_model"]
        # peft itself only warns of what is missing, and leaves it at random.
        same_names(saved, get_peft_model_state_dict(peft_model, save_embedding_layers=False), folder)
        set_peft_model_state_dict(peft_model, saved)
        return method

    def merge(self) -> None:
        """W + (alpha / rank) B A becomes the layer's W: the plain transformers model, without peft's modules."""
        self.__dict__["peft_model"].merge_and_unload(safe_merge=True)
        for owner, name, activation in self.__dict__["activations"]:
            setattr(owner, name, activation)
        self.__dict__["dropouts"] = self.__dict__["activations"] = []


class Full(Method):
    """All blocks and the feature projection train; the convolutional front end stays frozen."""

    name = "full"
    trains_backbone = True

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__(backbone, blocks)
        need_blocks(blocks, self.name)
        # Not registered: the parameters are the backbone's own.
        modules: list[nn.Module] = [backbone.blocks[i] for i in blocks]
        if blocks.start == 0 and backbone.embedding_modules():
            modules += backbone.embedding_modules()
            self.lowest_block = EMBEDDING
        norm = backbone.final_norm()
        if blocks.stop == backbone.depth and norm is not None:
            modules.append(norm)
        trained = {id(parameter) for module in modules for parameter in module.parameters()}
        self.__dict__["trained"] = {
            name: parameter.requires_grad_(True)
            for name, parameter in backbone.model.named_parameters()
            if id(parameter) in trained
        }

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: p.detach().cpu().contiguous() for name, p in self.__dict__["trained"].items()}, folder / ADAPTER_FILE
        )

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        method = cls(backbone, blocks)
        saved, own = load_file(folder / ADAPTER_FILE), method.__dict__["trained"]
        same_names(saved, own, folder)
        with torch.no_grad():
            for name, value in saved.items():
                own[name].copy_(value)
        return method


METHODS: dict[str, type[Method]] = {method.name: method for method in (Probe, Frozen, Adapter, Lora, Full)}


def target_modules(backbone: Backbone, blocks: range, names: tuple[str, ...]) -> list[str]:
    """The full names, in the plain transformers model, of the named linear layers of these blocks."""
    wanted = [
        name
        for i in blocks
        for name, module in backbone.model.named_modules()
        if name.startswith(f"{backbone.block_prefix}.{i}.")
        and name.rsplit(".", 1)[-1] in names
        and isinstance(module, nn.Linear)
    ]
    assert wanted, f"no layer of {names} in {backbone.family}"
    return wanted
