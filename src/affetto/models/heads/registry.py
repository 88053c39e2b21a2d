"""The registered heads: those of this package and those of plug-ins (entry points `affetto.heads`)."""

from __future__ import annotations

from affetto.models.heads.head import Head
from affetto.registry import Registry

HEADS: Registry[Head] = Registry("head", Head, ["affetto.models.heads"], "affetto.heads")
"""Heads by the names that `model.head` takes."""
