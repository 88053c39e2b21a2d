"""What a run takes of a cluster's machine: `resources: {cpus: 2, gpus: 0.5}` of a grid file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.errors import UserError, unknown

NAMES = ("cpus", "gpus")


@dataclass(frozen=True)
class Resources:
    """For --engine ray alone; no part of a run's identity. Under one GPU is a share of one that runs have together."""

    cpus: float = 1
    gpus: float = 0

    def fit(self, node: dict[str, float]) -> bool:
        """Whether a node with these resources of Ray's can ever take the run."""
        return node.get("CPU", 0) >= self.cpus and node.get("GPU", 0) >= self.gpus

    def __str__(self) -> str:
        return f"{{cpus: {self.cpus:g}, gpus: {self.gpus:g}}}"


def check(file: Path, given: Any) -> dict[str, float]:
    """The `resources` of a grid file or of one of its overrides. Raises UserError for what is none."""
    if not isinstance(given, dict) or not given:
        raise UserError(f"{file}: `resources` is a mapping, as {{cpus: 2, gpus: 0.5}}, not {given!r}")
    for name, value in given.items():
        if name not in NAMES:
            raise unknown(f"resource in {file}", str(name), NAMES)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise UserError(f"{file}: resource {name} is {value!r}; it is a number of them, 0 or more")
        if value > 1 and value != int(value):
            raise UserError(f"{file}: resource {name} is {value!r}; above 1 it is a whole number")
    return dict(given)
