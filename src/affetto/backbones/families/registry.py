"""The registered families: those of this package and those of plug-ins (entry points `affetto.families`)."""

from __future__ import annotations

from affetto.backbones.families.family import Family
from affetto.registry import Registry

FAMILIES: Registry[Family] = Registry("model family", Family, ["affetto.backbones.families"], "affetto.families")  # type: ignore[type-abstract]
"""Families by transformers' `model_type`."""
