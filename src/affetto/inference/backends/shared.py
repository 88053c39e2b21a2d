"""Model folders that share memory: those on the same backbone use one copy of its weights.

Adapters, LoRA and heads stay apart from the weights that they change, which costs some time (merged, a LoRA is some
1.3 times as fast) and no memory beyond their own. Full fine-tuning has weights of its own, and 8-bit integers leave
nothing to share but the frozen blocks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from affetto.backbones.backbone import Backbone
from affetto.inference.backends.trained import ClassifierPredictor, load_trained, novelty_of, resolve_precision
from affetto.models.ensemble import model_files
from affetto.models.methods.registry import METHODS
from affetto.models.saved import original_backbone, put_together, read_card
from affetto.training import device as devices


def load_folders(
    folders: Mapping[str, Path],
    *,
    device: str,
    backbone: str | None,
    precision: str,
    long_clips: str = "windows",
) -> dict[str, ClassifierPredictor]:
    """Names and model folders → predictors by name, as `load_trained` makes them. Raises UserError as it does."""
    on = devices.choose(device)
    alone: list[_Member] = []
    groups: dict[tuple[str, str], list[_Member]] = {}
    for name, folder in folders.items():
        member = _Member(name, folder, read_card(folder))
        computed_in = resolve_precision(precision, member.card["precision"], on)
        if member.shares(computed_in):
            groups.setdefault((member.backbone_facts(), computed_in), []).append(member)
        else:
            alone.append(member)
    loaded: dict[str, ClassifierPredictor] = {}
    for group in groups.values():
        if len(group) == 1:
            alone += group
        else:
            loaded |= _share(group, on, backbone=backbone, precision=precision, long_clips=long_clips)
    for member in alone:
        loaded[member.name] = load_trained(
            member.folder, device=device, backbone=backbone, precision=precision, long_clips=long_clips
        )
    return {name: loaded[name] for name in folders}


@dataclass(frozen=True)
class _Member:
    """A model folder that may share a backbone with others."""

    name: str
    folder: Path
    card: dict[str, Any]

    @property
    def method(self) -> str:
        return str(self.card["blueprint"]["method"]["name"])

    def shares(self, precision: str) -> bool:
        if self.method not in METHODS:
            return False
        method = METHODS.find(self.method)
        return not (method.changes_blocks if precision == "int8" else method.trains_backbone)

    def backbone_facts(self) -> str:
        """All that the card says of the backbone, so that only equal ones are shared."""
        return json.dumps(self.card["backbone"], sort_keys=True)

    def on(self, base: Backbone) -> Backbone:
        """The backbone itself where the method leaves it as it is, else modules to change over its weights."""
        return base.copy_sharing_weights() if METHODS.find(self.method).changes_blocks else base


def _share(
    group: list[_Member], device: torch.device, *, backbone: str | None, precision: str, long_clips: str
) -> dict[str, ClassifierPredictor]:
    base = original_backbone(group[0].folder, group[0].card, backbone)
    predictors: dict[str, ClassifierPredictor] = {}
    for member in group:
        classifier = put_together(member.on(base), member.card, member.folder)
        assert not METHODS.find(member.method).trains_backbone
        predictor = ClassifierPredictor(
            classifier, member.card, device, precision=precision, long_clips=long_clips, fold=False
        )
        predictor.novelty = novelty_of(member.folder, predictor)
        predictor.files = tuple(model_files(member.folder))
        predictors[member.name] = predictor
    return predictors
