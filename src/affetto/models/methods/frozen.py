"""Frozen: the backbone stays as it is, and only the head trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affetto.models.methods.base import Method

if TYPE_CHECKING:
    from affetto.backbones.backbone import Backbone


class Frozen(Method):
    """Backbone as it is; only the head trains (the paper's "downstream model")."""

    name = "frozen"
    title = "frozen"
    trains = "nothing of the backbone"
    changes_blocks = False
    mergeable = True
    stackable = True

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__(backbone, range(0))
