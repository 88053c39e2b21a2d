"""Base of all heads: the facts of a head, readable without torch, and the function that builds it.

A file of this package imports torch inside functions only; a plug-in may import it at its top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of one head."""

    width: int
    """Width of the frames that enter."""
    classes: int
    """Numbers that leave: of a target of classes, their number."""
    hidden: int
    """Width of the hidden layers, `model.head_width`."""
    dropout: float
    unmasked_mean: bool = False
    """True for the mean over padding too: an ablation."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """Record of a head: frames of a clip → logits."""

    name: str
    title: str
    build: Callable[[Shape], nn.Module]
    """A module, called with frames (batch, frames, width) and a mask (batch, frames) or None → (batch, classes)."""
    takes_frames: bool = True
    """True if it has layers on frames, before the mean over time; else it is a `StatisticsHead`."""
    has_hidden: bool = True
    """True if it has layers of a width that can be chosen."""
    has_dropout: bool = True
    is_stock: bool = False
    """True if it is a `FrameHead` of the shape that transformers' own audio classifiers have."""
    stackable: bool = False
    """True if several fits can train it as one (`affetto.models.stacked`): what trains are linear layers."""
    frame_products: Callable[[int, int], int] = lambda width, hidden: width * hidden
    """(width, hidden) → multiplications on every frame."""
