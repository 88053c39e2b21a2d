"""Full fine-tuning: the blocks' own weights train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.models.methods.base import ADAPTER_FILE, EMBEDDING, Method, check_blocks, check_names

if TYPE_CHECKING:
    from torch import nn

    from affetto.models.backbone import Backbone


class Full(Method):
    """All blocks and the feature projection train; the convolutional front end stays frozen."""

    name = "full"
    title = "full"
    trains = "all weights of the blocks, and the feature projection with the first of them"
    trains_backbone = True
    trains_embedding = True
    mergeable = True
    step_cost = 3.0

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
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
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: p.detach().cpu().contiguous() for name, p in self.__dict__["trained"].items()}, folder / ADAPTER_FILE
        )

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        import torch
        from safetensors.torch import load_file

        method = cls(backbone, blocks)
        saved, trained = load_file(folder / ADAPTER_FILE), method.__dict__["trained"]
        check_names(saved, trained, folder)
        with torch.no_grad():
            for name, value in saved.items():
                trained[name].copy_(value)
        return method
