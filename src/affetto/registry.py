"""Registries: the records of built-in modules and of installed plug-ins, by name.

A record is a module-level value of one type. Built-in records are collected from all modules of the packages that a
registry names, so that a new file is all that a new record needs. Other distributions add theirs by an entry point,
which refers to a record or to a sequence of records:

    [project.entry-points."affetto.corpora"]
    toy = "toys.corpus:CORPUS"
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from affetto.errors import UserError, unknown


class Record(Protocol):
    """A value that a registry can hold."""

    @property
    def name(self) -> str: ...


R = TypeVar("R", bound=Record)


class Registry(Mapping[str, R], Generic[R]):
    """Records of one type by name, collected on first use and sorted by `order`.

    `kind` names the type in error messages (`corpus`), `packages` are the packages whose modules hold the built-in
    records, `group` is the group of the plug-ins' entry points. `accepts` tells records from other values where the
    type `record` is not enough: for records that are classes. Every access raises UserError where two records have one
    name, or where a plug-in cannot be loaded.
    """

    def __init__(
        self,
        kind: str,
        record: type[R],
        packages: Sequence[str],
        group: str,
        order: Callable[[R], Any] = lambda record: record.name,
        accepts: Callable[[object], bool] | None = None,
    ) -> None:
        self.kind, self.group = kind, group
        self._record, self._packages, self._order = record, tuple(packages), order
        self._accepts = accepts or (lambda value: isinstance(value, record))
        self._records: dict[str, R] | None = None

    def __getitem__(self, name: str) -> R:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def find(self, name: str, *, hint: str = "") -> R:
        """The record of that name; UserError with the nearest known name where there is none."""
        records = self._load()
        if name not in records:
            raise unknown(self.kind, name, records, hint=hint)
        return records[name]

    def reload(self) -> None:
        """Forget all records: the next access collects them anew, with plug-ins that were installed since."""
        self._records = None

    def _load(self) -> dict[str, R]:
        if self._records is None:
            records: dict[str, tuple[R, str]] = {}
            for package in self._packages:
                for module in _modules(package):
                    self._add(records, self._members(module), f"the module {module.__name__}")
            for point in entry_points(group=self.group):
                self._add(records, self._plugged(point), _title(point))
            ordered = sorted((record for record, _ in records.values()), key=self._order)
            self._records = {record.name: record for record in ordered}
        return self._records

    def _add(self, records: dict[str, tuple[R, str]], added: Iterable[R], source: str) -> None:
        for record in added:
            earlier, origin = records.setdefault(record.name, (record, source))
            if earlier is not record:
                raise UserError(
                    f"two records of the {self.kind} {record.name!r}: {origin} and {source}; "
                    "rename or uninstall the plug-in"
                )

    def _members(self, module: ModuleType) -> list[R]:
        return [value for value in vars(module).values() if self._accepts(value)]

    def _plugged(self, point: EntryPoint) -> list[R]:
        """The records that an entry point refers to."""
        try:
            value = point.load()
        except Exception as problem:
            raise UserError(
                f"{_title(point)} cannot be loaded ({type(problem).__name__}: {problem}); update or uninstall it"
            ) from problem
        records = list(value) if isinstance(value, Sequence) else [value]
        for record in records:
            if not self._accepts(record):
                raise UserError(
                    f"{_title(point)} refers to {point.value}, which is no {self.kind} but a "
                    f"{type(record).__name__}; update or uninstall it"
                )
        return records


def _modules(package: str) -> Iterator[ModuleType]:
    """All modules directly in a package, in the order of their names."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        yield importlib.import_module(f"{package}.{module.name}")


def _title(point: EntryPoint) -> str:
    package = f" of the package {point.dist.name}" if point.dist is not None else ""
    return f"the plug-in {point.name!r}{package} ({point.group})"
