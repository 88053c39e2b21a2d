"""The registered methods: those of this package and those of plug-ins (entry points `affetto.methods`)."""

from __future__ import annotations

from affetto.errors import UserError
from affetto.models.methods.base import Method
from affetto.models.methods.combination import SIGN, combine
from affetto.registry import Registry


class Methods(Registry[type[Method]]):
    """Methods by name, from those that train least to those that train most.

    Combinations (`lora+adapter`) are found by their names too. Iteration gives single methods alone.
    """

    def __init__(self) -> None:
        super().__init__("method", type, ["affetto.models.methods"], "affetto.methods", order=_rank, accepts=_is_method)

    def __getitem__(self, name: str) -> type[Method]:
        if name not in self:
            raise KeyError(name)
        return self.find(name)

    def __contains__(self, name: object) -> bool:
        self._load()  # outside the `try`: a broken plug-in is an error here too
        try:
            self.find(str(name))
        except UserError:
            return False
        return True

    def find(self, name: str, *, hint: str = "") -> type[Method]:
        """The method or combination of that name. Raises UserError for an unknown or impossible one."""
        components = tuple(super(Methods, self).find(part, hint=hint) for part in name.split(SIGN))
        return components[0] if len(components) == 1 else combine(components)

    def owners(self, section: str) -> list[str]:
        """Names of the methods that a section of the settings belongs to."""
        return [name for name, method in self.items() if section in method.sections()]


def _is_method(value: object) -> bool:
    """True for a class with a name of its own; bases of several methods have none."""
    return isinstance(value, type) and issubclass(value, Method) and "name" in vars(value)


def _rank(method: type[Method]) -> tuple[bool, bool, bool, str]:
    return method.takes_steps, method.changes_blocks, method.trains_embedding, method.name


METHODS = Methods()
