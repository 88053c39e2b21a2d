"""Settings in the identity of a run: the common sections and those of its own method.

A section for a new method, or a setting that came LATER and is off, changes no identity of a run made without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from affetto.models.methods.registry import METHODS
from affetto.training import effects

LATER: dict[str, dict[str, Any]] = {
    "model": {"layer_norm_swap": "none", "dropout_samples": 1, "states": 1},
    "training": {
        "loss": "cross_entropy",
        "focal_gamma": 2.0,
        "class_balanced_beta": 0.99,
        "sampler": "shuffled",
        "average": "none",
        "average_decay": 0.99,
        "average_epochs": 5,
        "adversary": "none",
        "adversary_weight": 1.0,
        "cross_fit": 0,
        "speakers": 0,
    },
    "target": {"dimension_loss": "ccc+mse", "dimension_weight": 1.0, "joint": "classes", "threshold": "tuned"},
    "augment": {
        "mixup": 0.0,
        "copies": [],
        "copies_auxiliary": False,
        "tempo": 0.0,
        "pitch": 0.0,
        "tract": 0.0,
        "room": 0.0,
        "codec": 0.0,
    },
    "auxiliary": {"weight": 1.0, "balance": "none", "standardise": "pooled"},
}
"""Settings that runs of earlier versions lack, with the value that stands for their absence: these runs keep their
identities and names."""
PATHS: dict[str, set[str]] = {"augment": {"noise_folder"}}
"""Settings that are paths. Digests of their content are among the facts of a run, in their place."""
FOUNDING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "lora": ({"rank": 8, "alpha": 1.0, "dropout": 0.0, "targets": "ff"}, {"alpha": 8.0, "dropout": 0.1}),
    "adapter": ({"bottleneck": 128, "dropout": 0.1, "scale": 0.1, "placement": "parallel"}, {"scale": 1.0}),
}
"""Sections that once were in the identity of every run, whatever its method: their values by default, and those that
the recommended recipe laid over them. They stay there as constants, never to be changed, so that runs of other methods
keep their identities. No section is added to them."""


def own_fields(settings: BaseModel, method: str) -> dict[str, Any]:
    """The common sections and those of the method, as JSON.

    Settings that came LATER and are off are left out, and so is a section that is empty without them.
    """
    dump, record = settings.model_dump(mode="json"), METHODS.find(method)
    sections = {name: dump[name] for name in dump if effects.belongs(name, getattr(settings, name), record)}
    for section, added in LATER.items():
        if section in sections:
            sections[section] = {k: v for k, v in sections[section].items() if k not in added or v != added[k]}
    for section, paths in PATHS.items():
        sections[section] = {k: v for k, v in sections[section].items() if k not in paths}
    return {name: section for name, section in sections.items() if section}


def foreign_fields(settings: BaseModel, method: str, recommended: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Constants for the FOUNDING sections that do not belong to the method, whatever their values.

    For a section with the values of today's `recommended` recipe they are those that the recipe once had.
    """
    fields = {}
    for name, (default, once) in FOUNDING.items():
        record = getattr(settings, name)
        if not effects.belongs(name, record, METHODS.find(method)):
            follows = all(getattr(record, key) == value for key, value in recommended[name].items())
            fields[name] = default | (once if follows else {})
    return fields
