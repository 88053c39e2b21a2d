"""The settings that make a run's identity: the common sections and its own method's.

So a section for a new method, or a setting that came LATER and is off, changes no identity of a run made without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from affetto.models.methods.registry import METHODS
from affetto.training import effects

LATER: dict[str, dict[str, Any]] = {"model": {"layer_norm_swap": "none"}}
"""Settings that runs were made without, and what stands for that: such a run keeps its identity and its name."""
FOUNDING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "lora": ({"rank": 8, "alpha": 1.0, "dropout": 0.0, "targets": "ff"}, {"alpha": 8.0, "dropout": 0.1}),
    "adapter": ({"bottleneck": 128, "dropout": 0.1, "scale": 0.1, "placement": "parallel"}, {"scale": 1.0}),
}
"""Sections that once stood in the identity of every run, whatever its method: their values by default, and those that
the recommended recipe laid over them. Of these two alone they stay there, never to be changed, so that runs of other
methods keep their identities."""


def own_fields(settings: BaseModel, method: str) -> dict[str, Any]:
    """The sections that a method's runs have, as JSON.

    What came LATER and is off is left out, and with it a section of which nothing is left.
    """
    dump, record = settings.model_dump(mode="json"), METHODS.find(method)
    sections = {name: dump[name] for name in dump if effects.belongs(name, getattr(settings, name), record)}
    for section, added in LATER.items():
        if section in sections:
            sections[section] = {k: v for k, v in sections[section].items() if k not in added or v != added[k]}
    return {name: section for name, section in sections.items() if section}


def foreign_fields(settings: BaseModel, method: str, recommended: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The FOUNDING sections that the method's runs do not have: constants, whatever stands in them.

    Where a section is what the `recommended` recipe makes of it today, its constants are those that it once made.
    """
    fields = {}
    for name, (default, once) in FOUNDING.items():
        record = getattr(settings, name)
        if not effects.belongs(name, record, METHODS.find(method)):
            follows = all(getattr(record, key) == value for key, value in recommended[name].items())
            fields[name] = default | (once if follows else {})
    return fields
