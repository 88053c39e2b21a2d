"""Corpora of the demonstration: made once, and recognised when it runs again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from affetto.corpora import folders
from affetto.errors import UserError
from affetto.synthetic import registry as synthetic


@dataclass(frozen=True)
class Size:
    """Size of a synthetic corpus, and the seed that it is made from."""

    speakers: int
    clips: int
    seed: int = 0


def is_made(kind: str, folder: Path, size: Size) -> bool:
    """True if the folder holds this corpus. Raises UserError where it holds something else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if read_marker(folder) != {"synthetic": True, "kind": kind, **asdict(size)}:
        raise UserError(f"{folder} holds something else than the demo's corpus: give another --out, or remove it")
    return True


def make(kind: str, folder: Path, size: Size, progress: Callable[[int, int], None]) -> None:
    synthetic.make(kind, folder, **asdict(size), progress=progress)


def read_marker(folder: Path) -> dict[str, Any]:
    """Kind, size and seed that a synthetic corpus states; {} where the folder is no synthetic corpus."""
    if not folders.is_synthetic(folder):
        return {}
    marker = json.loads((folder / folders.MARKER).read_text(encoding="utf-8"))
    return {name: marker.get(name) for name in ("synthetic", "kind", "speakers", "clips", "seed")}
