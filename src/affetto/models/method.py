"""Base of all methods: what trains in a backbone, from which block on, and how it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from affetto.errors import UserError
from affetto.models.backbone import Backbone

EMBEDDING, NOTHING = -1, 10_000
"""`lowest_block` where training reaches below the blocks, and where no block trains."""
ADAPTER_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"


class Method(nn.Module):
    """What trains in a backbone. `blocks` is the range of blocks that the method may change."""

    name: ClassVar[str]
    trains_backbone: ClassVar[bool] = False
    """Whether what trains are the backbone's own weights, so that no other model can use them."""
    changes_blocks: ClassVar[bool] = True
    """Whether the blocks compute something else than the bare backbone's, or may do so once trained."""

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__()
        self.lowest_block = blocks.start if len(blocks) else NOTHING

    def after_step(self, step: int, total: int) -> None:
        """Act after an optimiser step, while its gradients are still there. `step` counts from 1 to `total`."""

    def step_state(self) -> dict[str, Tensor]:
        """Tensors that `after_step` has gathered so far, beside the parameters: a checkpoint keeps them."""
        return {}

    def restore_step_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `step_state` gave. At the beginning of a fit it is empty: forget what was gathered."""

    def save(self, folder: Path) -> None:
        """Write what was trained to `folder` (JSON and safetensors only)."""

    def merge(self) -> None:
        """Fold what was trained into the backbone's own weights, where that can be done: for inference."""

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        """The method with saved weights, on a fresh backbone."""
        return cls(backbone, blocks, **settings)


def need_blocks(blocks: range, method: str) -> None:
    """Raise UserError where a method that changes blocks has none."""
    if not len(blocks):
        raise UserError(
            f"method {method!r} has no block to adapt: the pooled state lies below the first block it may change; "
            "raise model.layer or lower first_block"
        )


def same_names(saved: dict[str, Tensor], own: dict[str, Any], folder: Path) -> None:
    """Raise ValueError where a trained tensor would be left as it was made: a model would load, silently random."""
    different = sorted(saved.keys() ^ own.keys())
    if different:
        raise ValueError(f"{folder / ADAPTER_FILE}: {different[0]} is missing there, or not of this model")
