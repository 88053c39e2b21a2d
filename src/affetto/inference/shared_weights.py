"""Loading of several models that share memory: those on the same backbone use one copy of its weights.

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
from affetto.inference.backends.trained import ClassifierPredictor, resolve_precision
from affetto.inference.loading import kind_of, load, model_folder
from affetto.inference.predictor import Predictor
from affetto.models.methods.registry import METHODS
from affetto.models.saved import original_backbone, put_together, read_card
from affetto.training import device as devices


def load_together(
    models: Mapping[str, str | Path], *, device: str = "auto", backbone: str | None = None, precision: str = "auto"
) -> dict[str, Predictor]:
    """Names and folders of models → predictors by name, as `load` makes them. Raises UserError as `load` does."""
    on = devices.choose(device)
    single: dict[str, str | Path] = {}
    groups: dict[tuple[str, str], list[_Member]] = {}
    for name, model in models.items():
        member = _member(name, model)
        computed_in = None if member is None else resolve_precision(precision, member.card["precision"], on)
        if member is None or computed_in is None or not member.shares(computed_in):
            single[name] = model
        else:
            groups.setdefault((member.backbone_facts(), computed_in), []).append(member)
    loaded: dict[str, Predictor] = {}
    for group in groups.values():
        if len(group) == 1:
            single[group[0].name] = models[group[0].name]
        else:
            loaded |= _share(group, on, backbone, precision)
    loaded |= {
        name: load(model, device=device, backbone=backbone, precision=precision) for name, model in single.items()
    }
    return {name: loaded[name] for name in models}


def weights(predictor: Predictor) -> dict[int, int]:
    """Memory of a predictor's weights: address → bytes. Empty for models that are not torch's."""
    classifier = getattr(predictor, "classifier", None)
    if classifier is None:
        return {}
    tensors = [*classifier.parameters(), *classifier.buffers()]
    return {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors if t.numel()}


def shared_bytes(first: Predictor, second: Predictor) -> int:
    """Bytes of weights that two predictors have in common."""
    addresses = weights(first)
    return sum(size for address, size in weights(second).items() if address in addresses)


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
        method = METHODS.find(self.method)
        return not (method.changes_blocks if precision == "int8" else method.trains_backbone)

    def backbone_facts(self) -> str:
        """All that the card says of the backbone, so that only equal ones are shared."""
        return json.dumps(self.card["backbone"], sort_keys=True)

    def on(self, base: Backbone) -> Backbone:
        """The backbone itself where the method leaves it as it is, else modules to change over its weights."""
        return base.copy_sharing_weights() if METHODS.find(self.method).changes_blocks else base


def _member(name: str, model: str | Path) -> _Member | None:
    """None for what is no model folder of ours: `load` may know it."""
    folder = Path(model)
    if not folder.is_dir() or kind_of(folder) != "trained":
        return None
    folder = model_folder(folder)
    card = read_card(folder)
    is_ours = card["blueprint"].get("method", {}).get("name") in METHODS
    return _Member(name, folder, card) if is_ours else None


def _share(group: list[_Member], device: torch.device, backbone: str | None, precision: str) -> dict[str, Predictor]:
    base = original_backbone(group[0].folder, group[0].card, backbone)
    predictors: dict[str, Predictor] = {}
    for member in group:
        classifier = put_together(member.on(base), member.card, member.folder)
        assert not METHODS.find(member.method).trains_backbone
        predictors[member.name] = ClassifierPredictor(classifier, member.card, device, precision, fold=False)
    return predictors
