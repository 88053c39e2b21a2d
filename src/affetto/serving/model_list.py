"""Names and paths of the models that a server is to serve: of a command line, or of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from affetto.errors import UserError

NAME = r"[\w.-]{1,64}"
"""Regular expression of a model's name."""
Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Changes:
    """Models that may be added while a server runs."""

    folder: Path | None = None
    """Folder below which their paths must lie; None: no paths."""
    allows_hub: bool = False
    """True if pinned models of the hub may be added."""
    file: Path | None = None
    """List of the models, read again on SIGHUP; None: there is none."""


def models_by_name(models: Sequence[str]) -> dict[str, Path]:
    """Parse `NAME=PATH`, or a path whose last part is the name. Raises UserError for a repeated name."""
    folders: dict[str, Path] = {}
    for model in models:
        name, equals, path = model.partition("=")
        if not equals or not re.fullmatch(NAME, name) or Path(model).exists():
            folder = Path(model)
            path = model
            resolved = folder.resolve()
            name = resolved.parent.name if resolved.name == "model" else resolved.name
        if name in folders:
            raise UserError(f"two models are called {name!r}: give one another name, as in other={path}")
        folders[name] = Path(path)
    return folders


def read_models(file: Path) -> dict[str, Path]:
    """Read a list of models, one a line as on the command line; empty lines and those that begin with # are left out.

    Raises UserError for a file that cannot be read or has no model, and for a repeated name.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is no text in UTF-8"
        raise UserError(f"--models-file {file}: {reason}; give a text file with a model a line") from None
    models = models_by_name([line for line in lines if line and not line.startswith("#")])
    if not models:
        raise UserError(f"--models-file {file}: it has no model; write one a line, as PATH or NAME=PATH")
    return models


def stamp(path: Path) -> Stamp:
    """Names, sizes and times of a model's files, which change with its content; empty for a model of the hub."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = [(str(file), file.stat()) for file in files if file.is_file()]
    return tuple((name, state.st_size, state.st_mtime_ns) for name, state in facts)
