"""Base of the methods that train weights of the blocks where they lie: their names and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.models.methods.base import ADAPTER_FILE, Method, check_names

if TYPE_CHECKING:
    from torch import nn

    from affetto.backbones.backbone import Backbone


class BackboneWeights(Method):
    """A method whose parameters stand in the plain transformers model, under its names. Nothing is left to merge."""

    mergeable = True

    def train_weights(self, backbone: Backbone, trained: set[int]) -> None:
        """Let the parameters with these ids train, and remember their names."""
        # Not registered: the parameters are the backbone's own.
        self.__dict__["trained"] = {
            name: parameter.requires_grad_(True)
            for name, parameter in backbone.model.named_parameters()
            if id(parameter) in trained
        }

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """The trained parameters by their names in the plain transformers model."""
        parameters: dict[str, nn.Parameter] = self.__dict__["trained"]
        return parameters

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: p.detach().cpu().contiguous() for name, p in self.trained.items()}, folder / ADAPTER_FILE)

    @classmethod
    def average(cls, folders: Sequence[Path], settings: dict[str, Any], out: Path) -> dict[str, Any] | None:
        from affetto.models.methods.weight_means import mean_weights

        mean_weights(folders, out)
        return settings

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        import torch
        from safetensors.torch import load_file

        method, saved = cls(backbone, blocks, **settings), load_file(folder / ADAPTER_FILE)
        check_names(saved, method.trained, folder)
        with torch.no_grad():
            for name, value in saved.items():
                method.trained[name].copy_(value)
        return method
