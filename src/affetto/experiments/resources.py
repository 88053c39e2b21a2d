"""Resources of a cluster's machine that a run takes: `resources: {cpus: 2, gpus: 0.5}` in a grid file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.errors import UserError, unknown

NAMES = ("cpus", "gpus")


@dataclass(frozen=True)
class Resources:
    """Resources of a run, for --engine ray alone; no part of its identity. Under 1 a GPU is shared by several runs."""

    cpus: float = 1
    gpus: float = 0

    def fit(self, node: dict[str, float]) -> bool:
        """True if a node with these resources, named as Ray names them, can take the run."""
        return node.get("CPU", 0) >= self.cpus and node.get("GPU", 0) >= self.gpus

    def __str__(self) -> str:
        return f"{{cpus: {self.cpus:g}, gpus: {self.gpus:g}}}"


def check(file: Path, content: Any) -> dict[str, float]:
    """Check the `resources` of a grid file or of an override. Raises UserError where they are none."""
    if not isinstance(content, dict) or not content:
        raise UserError(f"{file}: `resources` is a mapping, as {{cpus: 2, gpus: 0.5}}, not {content!r}")
    for name, value in content.items():
        if name not in NAMES:
            raise unknown(f"resource in {file}", str(name), NAMES)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise UserError(f"{file}: resource {name} is {value!r}; it is a number of them, 0 or more")
        if value > 1 and value != int(value):
            raise UserError(f"{file}: resource {name} is {value!r}; above 1 it is a whole number")
    return dict(content)
