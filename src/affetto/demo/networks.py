"""Networks of the demonstration: a small pre-trained one where there is one, else random ones of all families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from affetto.errors import UserError

PRETRAINED = "openai/whisper-tiny"
"""A real checkpoint that is small (151 MB) and quick on a CPU."""
RANDOM = ("wav2vec2-mini", "xlsr-mini", "wavlm-mini", "hubert-mini", "whisper-mini")
"""Every family, and wav2vec 2.0 with both orders of LayerNorm."""
RANDOM_SETTINGS = {"model.layer": 3, "training.first_block": 2}
"""Adapter and LoRA change the last of three blocks; everything below it is computed once."""


@dataclass(frozen=True)
class Networks:
    """Backbones of the demonstration's grid."""

    backbones: tuple[str, ...]
    """Keys, hub ids or folders. The model that labels the unseen speaker has the last one."""
    is_random: bool
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings that differ from the recipe, so that the demonstration is quick."""

    @property
    def used(self) -> str:
        return self.backbones[-1]

    @property
    def summary(self) -> str:
        if self.is_random:
            return f"{len(self.backbones)} small networks with random weights"
        return f"the pre-trained network {Path(self.used).name}"

    @property
    def note(self) -> str:
        """Sentence on the worth of the figures."""
        speech = "The speech is synthetic"
        if self.is_random:
            return (
                f"{speech} and the networks have random weights: the figures show that everything works, not how well "
                "pre-trained models do on people's speech."
            )
        return f"{speech}: the figures show that everything works, not how well the model does on people's speech."


def choose(
    backbone: str | None, *, random_weights: bool = False, grid_file: Path, say: Callable[[str], None]
) -> Networks:
    """Networks of a demonstration: a `backbone`, else those of its grid file, else a small pre-trained one.

    The pre-trained one is taken from the cache or the Hugging Face hub; where neither has it, the networks are random
    and `say` gets a line. Raises UserError for a `backbone` that cannot be loaded, and where both are asked for.
    """
    if backbone is not None and random_weights:
        raise UserError("--backbone names a pre-trained network, --random-weights asks for random ones: leave one out")
    if random_weights:
        return random_networks()
    if backbone is not None:
        return pretrained_network(backbone)
    if grid_file.is_file():
        return networks_of(grid_file)
    try:
        return pretrained_network(PRETRAINED)
    except UserError as problem:
        reason = str(problem).partition(":")[0]
        say(f"{reason}, so the networks are random ones. --backbone DIR takes a checkpoint from your disk.")
        return random_networks()


def networks_of(grid_file: Path) -> Networks:
    """Networks of a demonstration that was begun. Raises UserError for a file that is none of a demonstration's."""
    try:
        axes = yaml.safe_load(grid_file.read_text(encoding="utf-8"))["axes"]
        settings = {name: axes[name] for name in RANDOM_SETTINGS if name in axes}
        return Networks(backbones=tuple(axes["backbone"]), is_random=bool(axes["random_weights"]), settings=settings)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        raise UserError(f"{grid_file} is not the grid of a demonstration: give another --out") from None


def random_networks() -> Networks:
    return Networks(backbones=RANDOM, is_random=True, settings=RANDOM_SETTINGS)


def pretrained_network(backbone: str) -> Networks:
    """One network, loaded to see that it can be. Raises UserError."""
    from affetto.backbones.checkpoints import load_backbone

    load_backbone(backbone)
    return Networks(backbones=(backbone,), is_random=False)
