"""Resources of a run on a cluster: `resources: {cpus: 2, gpus: 0.5}` of a grid file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.errors import UserError, unknown

NAMES = ("cpus", "gpus")


@dataclass(frozen=True)
class Resources:
    """Resources for --engine ray; no part of a run's identity. Less than one GPU is a share of one."""

    cpus: float = 1
    gpus: float = 0

    def fit(self, node: dict[str, float]) -> bool:
        """True if a node with these Ray resources can ever take the run."""
        return node.get("CPU", 0) >= self.cpus and node.get("GPU", 0) >= self.gpus

    def __str__(self) -> str:
        return f"{{cpus: {self.cpus:g}, gpus: {self.gpus:g}}}"


def check(file: Path, resources: Any) -> dict[str, float]:
    """Check the `resources` of a grid file or of one of its overrides. Raises UserError for bad values."""
    if not isinstance(resources, dict) or not resources:
        raise UserError(f"{file}: `resources` is a mapping, as {{cpus: 2, gpus: 0.5}}, not {resources!r}")
    for name, value in resources.items():
        if name not in NAMES:
            raise unknown(f"resource in {file}", str(name), NAMES)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise UserError(f"{file}: resource {name} is {value!r}; it is a number of them, 0 or more")
        if value > 1 and value != int(value):
            raise UserError(f"{file}: resource {name} is {value!r}; above 1 it is a whole number")
    return dict(resources)
