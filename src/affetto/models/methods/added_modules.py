"""Base of the methods that add modules of affetto's own to the blocks: their files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.models.methods.base import ADAPTER_FILE, CONFIG_FILE, Method, check_names

if TYPE_CHECKING:
    from torch import nn

    from affetto.backbones.backbone import Backbone


class AddedModules(Method):
    """A method whose parameters are those of modules beside the backbone's, by the number of their block."""

    has_random_start = True
    modules_attribute: str
    """Attribute that holds the modules; its name is part of the keys of exported models."""
    facts: dict[str, Any]
    """Content of the configuration file, for readers of the folder."""

    @property
    def added(self) -> nn.Module:
        """The modules by block."""
        modules: nn.Module = getattr(self, self.modules_attribute)
        return modules

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(json.dumps(self.facts, indent=2) + "\n")
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.added.state_dict().items()}
        save_file(tensors, folder / ADAPTER_FILE)

    @classmethod
    def average(cls, folders: Sequence[Path], settings: dict[str, Any], out: Path) -> dict[str, Any] | None:
        from affetto.models.methods.weight_means import mean_weights

        mean_weights(folders, out)
        return settings

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        from safetensors.torch import load_file

        method, saved = cls(backbone, blocks, **settings), load_file(folder / ADAPTER_FILE)
        check_names(saved, method.added.state_dict(), folder)
        method.added.load_state_dict(saved)
        return method
