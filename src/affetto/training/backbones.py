"""Backbones of the runs that one process does."""

from __future__ import annotations

from typing import Any

from affetto.backbones.backbone import Backbone
from affetto.backbones.checkpoints import load_backbone
from affetto.training.spec import RunSpec


class Backbones:
    """Backbones of runs that one process does together, each loaded once.

    The runs share method and precision: what a builder does to its backbone, it would do for each of them.
    """

    def __init__(self) -> None:
        self._loaded: dict[tuple[Any, ...], Backbone] = {}

    def load(self, spec: RunSpec) -> Backbone:
        """The backbone of a run. Raises UserError as `load_backbone` does."""
        settings = spec.settings
        swap = settings.model.layer_norm_swap
        key = (spec.backbone, spec.random_weights, spec.weights_seed, swap, spec.method, settings.compute.precision)
        if key not in self._loaded:
            self._loaded[key] = load_backbone(
                spec.backbone,
                random_weights=spec.random_weights,
                weights_seed=spec.weights_seed,
                layer_norm_swap=swap,
            )
        return self._loaded[key]
