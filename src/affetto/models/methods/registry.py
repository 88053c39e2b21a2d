"""The registered methods: those of this package and those of plug-ins (entry points `affetto.methods`)."""

from __future__ import annotations

from affetto.models.methods.base import Method
from affetto.registry import Registry


def _is_method(value: object) -> bool:
    """True for a class with a name of its own; bases of several methods have none."""
    return isinstance(value, type) and issubclass(value, Method) and "name" in vars(value)


def _rank(method: type[Method]) -> tuple[bool, bool, bool, str]:
    return method.takes_steps, method.changes_blocks, method.trains_embedding, method.name


METHODS: Registry[type[Method]] = Registry(
    "method", type, ["affetto.models.methods"], "affetto.methods", order=_rank, accepts=_is_method
)
"""Methods by name, from those that train least to those that train most."""


def owners(section: str) -> list[str]:
    """Names of the methods that a section of the settings belongs to."""
    return [name for name, method in METHODS.items() if section in method.sections()]
