"""A classifier put together from a blueprint, saved to a folder and loaded from it.

The blueprint is plain JSON: what the method, pooling and head are, and the labels. A saved model is
`affetto.json` (blueprint, backbone, preprocessing, provenance), `head.safetensors`, the method's own files
(LoRA: peft's format) and, of later models, `novelty.safetensors` (`novelty.py`). The backbone's weights are
not copied: they are found again and checked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from affetto.backbones.backbone import Backbone
from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.files import replacing_folder
from affetto.models.card import checked, different_preprocessing, read_json
from affetto.models.classifier import Classifier
from affetto.models.heads.head import Shape
from affetto.models.heads.registry import HEADS
from affetto.models.methods.base import Method
from affetto.models.methods.registry import METHODS
from affetto.models.novelty import Novelty
from affetto.models.pooling import StatePooling
from affetto.targets.registry import target_of

FORMAT = 1
CARD, HEAD, METHOD = "affetto.json", "head.safetensors", "method"


def assemble(backbone: Backbone, blueprint: dict[str, Any], weights: Path | None = None) -> Classifier:
    """A classifier on `backbone`, fresh (by torch's random generator) or with the weights of a saved folder.

    `blueprint`: {"labels": […], "target": {"kind", …} unless it is classes, "method": {"name", "first_block",
    "settings"}, "pooling": {"kind", "layer", "state_norm", and "states" where not 1}, "head": {"name", "width",
    "dropout", "unmasked_mean"}}.
    """
    pooling = StatePooling(backbone.depth, backbone.width, **blueprint["pooling"])
    if pooling.last > backbone.depth:
        raise UserError(f"model.layer={pooling.last}: this backbone has states 0 … {backbone.depth}")
    if pooling.lowest < 0:
        raise UserError(
            f"model.states={pooling.states}: from state {pooling.last} down there are {pooling.last + 1} states; "
            "lower model.states, or raise model.layer"
        )
    settings = blueprint["method"]
    blocks = range(settings["first_block"], pooling.last)
    kind = METHODS.find(settings["name"])
    method: Method
    if weights is None:
        method = kind(backbone, blocks, **settings["settings"])
    else:
        method = kind.load(backbone, blocks, weights / METHOD, settings["settings"])
    head = _head(pooling.out_width, blueprint)
    classifier = Classifier(backbone, method, pooling, head, target_of(blueprint))
    if weights is not None:
        state = load_file(weights / HEAD)
        if pooling.weights is not None:
            with torch.no_grad():
                pooling.weights.copy_(state.pop("pooling.weights"))
        head.load_state_dict(state)
    return classifier


def save_classifier(classifier: Classifier, folder: Path, card: dict[str, Any], novelty: Novelty | None = None) -> None:
    """Write a model folder, whole or not at all. `card` must hold `blueprint` and `backbone`.

    Raises UserError where it cannot be written.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.head.state_dict().items()}
    if classifier.pooling.weights is not None:
        state["pooling.weights"] = classifier.pooling.weights.detach().cpu()
    text = json.dumps({"format": FORMAT, **card}, indent=2, ensure_ascii=False) + "\n"
    try:
        with replacing_folder(folder, overwrite=True) as temporary:
            save_file(state, temporary / HEAD)
            (temporary / METHOD).mkdir()
            classifier.method.save(temporary / METHOD)
            if novelty is not None:
                novelty.save(temporary)
            (temporary / CARD).write_text(text, encoding="utf-8")
    except (OSError, SafetensorError) as problem:
        raise UserError(f"{folder}: the model cannot be written ({problem}); make room and run again") from None


def read_card(folder: Path) -> dict[str, Any]:
    """The card (`affetto.json`) of a model folder. Raises UserError where it is missing or invalid."""
    file = folder / CARD
    if not file.is_file():
        raise UserError(f"{folder}: no {CARD} in it, so no model of affetto's; give a finished run's folder")
    card = read_json(file)
    if not isinstance(card, dict) or "format" not in card:
        raise UserError(f"{file}: broken (no object with a format); train the run again or copy its folder again")
    if card["format"] != FORMAT:
        raise UserError(f"{file}: format {card['format']}; this version of affetto reads format {FORMAT}")
    return checked(card, str(file))


def load_classifier(folder: Path, *, backbone: str | None = None) -> tuple[Classifier, dict[str, Any]]:
    """The classifier of a model folder, in eval mode, and its card.

    `backbone` names where the backbone's weights lie, if no longer where they were in training.
    Raises UserError if other weights, or another preprocessing, are found than it was trained on.
    """
    card = read_card(folder)
    return put_together(original_backbone(folder, card, backbone), card, folder), card


def original_backbone(folder: Path, card: dict[str, Any], name: str | None = None) -> Backbone:
    """The backbone that the model in `folder` was trained on, from `name` if it has moved. Raises UserError."""
    facts = card["backbone"]
    random = name is None and facts["random_weights"]
    try:
        loaded = load_backbone(
            name or facts["name"],
            random_weights=random,
            weights_seed=facts["weights_seed"],
            layer_norm_swap=facts.get("layer_norm_swap", "none"),
        )
    except UserError as problem:
        raise UserError(f"the model's backbone: {problem}. If it has moved, give --backbone DIR") from None
    if loaded.weights_digest() != facts["digest"]:
        raise UserError(
            f"{name or facts['name']} holds other weights than those that {folder} was trained on "
            f"(SHA-256 {facts['digest'][:12]}…): give the original ones with --backbone DIR"
        )
    difference = different_preprocessing(card, loaded.preprocessing)
    if difference:
        raise UserError(
            f"{name or facts['name']} has the weights that {folder} was trained on, but prepares the sound otherwise "
            f"({difference}): give the original folder with --backbone DIR, or mend its preprocessor_config.json"
        )
    return loaded


def put_together(backbone: Backbone, card: dict[str, Any], folder: Path) -> Classifier:
    """The classifier of a model folder on its own backbone, in eval mode. Raises UserError for broken weights."""
    try:
        classifier = assemble(backbone, card["blueprint"], folder)
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, TypeError) as problem:
        raise UserError(f"{folder}: its weights cannot be read ({problem}); copy the run's folder again") from None
    return classifier.eval().requires_grad_(False)


def _head(width: int, blueprint: dict[str, Any]) -> nn.Module:
    settings = blueprint["head"]
    head = HEADS.find(settings["name"], hint="A head of a plug-in needs its package.")
    if settings["unmasked_mean"] and not head.takes_frames:
        choices = ", ".join(name for name, record in HEADS.items() if record.takes_frames)
        raise UserError(f"model.unmasked_mean has no meaning with model.head={head.name}: choose one of {choices}")
    shape = Shape(
        width=width,
        classes=target_of(blueprint).outputs,
        hidden=settings["width"],
        dropout=settings["dropout"],
        unmasked_mean=settings["unmasked_mean"],
    )
    return head.build(shape)
