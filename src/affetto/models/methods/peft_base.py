"""Base of the methods whose layers are Hugging Face peft's: their configuration, files and merging."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from affetto.errors import unknown
from affetto.models.methods.base import ADAPTER_FILE, Method, check_blocks, check_names

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from affetto.backbones.backbone import Backbone

Targets = Literal["ff", "attention", "all"]
"""Linear layers of a block: both of the feed-forward, the four of the attention, or all six."""


class PeftMethod(Method):
    """A method by peft, saved in peft's format. Subclasses define `configuration`."""

    mergeable = True
    is_peft = True
    has_mean: ClassVar[bool] = False
    """True if `average` is the mean of the tensors, which start as the backbone's own weights or as factors of one."""

    def __init__(self, backbone: Backbone, blocks: range, **settings: Any) -> None:
        from peft import get_peft_model
        from peft.tuners.tuners_utils import BaseTunerLayer

        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
        values = None if self.settings is None else self.settings(**settings)
        configuration = self.configuration(backbone, blocks, values)
        # FutureWarning: peft uses an older name of transformers'. UserWarning: it warns of LayerNorms that have been
        # normal targets since, and of an OFT block size that it adjusts, as the setting says.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", UserWarning)
            # Not registered: its modules are the backbone's own, changed in place.
            self.__dict__["peft_model"] = get_peft_model(backbone.model, configuration)
        layers: list[Any] = [module for module in backbone.model.modules() if isinstance(module, BaseTunerLayer)]
        self.__dict__["layers"] = layers
        self.__dict__["dropouts"] = [dropout for layer in layers for dropout in _dropouts(layer)]
        self.train(False)

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        """Configuration by peft for these blocks, from the method's settings (None where it has none)."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> Self:
        """Let the method's own dropout follow; the backbone that it sits in stays in eval mode."""
        super().train(mode)
        for dropout in self.__dict__["dropouts"]:
            dropout.train(mode)
        return self

    def save(self, folder: Path) -> None:
        # Without a look for resized embeddings, which would ask the hub.
        self.__dict__["peft_model"].save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)

    @classmethod
    def average(cls, folders: Sequence[Path], settings: dict[str, Any], out: Path) -> dict[str, Any] | None:
        from affetto.models.methods.weight_means import mean_weights

        if not cls.has_mean:
            return None
        mean_weights(folders, out)
        return settings

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        from safetensors.torch import load_file

        method = cls(backbone, blocks, **settings)
        method.restore(load_file(folder / ADAPTER_FILE), folder)
        return method

    def restore(self, saved: dict[str, Any], folder: Path) -> None:
        """Take over the tensors of a saved file. Raises ValueError where their names differ from the model's."""
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        peft_model = self.__dict__["peft_model"]
        # peft itself only warns of what is missing, and leaves it at random.
        check_names(saved, get_peft_model_state_dict(peft_model, save_embedding_layers=False), folder)
        set_peft_model_state_dict(peft_model, saved)

    def merge(self) -> None:
        """Fold the layers into the plain transformers model, and remove peft's modules from it."""
        self.__dict__["peft_model"].merge_and_unload(safe_merge=True)
        self.__dict__["dropouts"] = []


def target_modules(backbone: Backbone, blocks: range, targets: str) -> list[str]:
    """Full names, in the plain transformers model, of the linear layers that `targets` names. Raises UserError."""
    if targets not in backbone.lora_targets:
        raise unknown("target layers", targets, backbone.lora_targets)
    return layer_names(backbone, blocks, backbone.lora_targets[targets])


def layer_names(backbone: Backbone, blocks: range, names: Iterable[str]) -> list[str]:
    """Full names, in the plain transformers model, of the linear layers `names` of these blocks."""
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


def _dropouts(layer: nn.Module) -> list[nn.Module]:
    """The dropout layers that peft has put beside a layer of the backbone."""
    return [module for name, module in layer.named_children() if name.endswith("_dropout")]
