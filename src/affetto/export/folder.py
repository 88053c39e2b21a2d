"""Folder of an export: new or empty before, complete or absent afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from affetto.errors import UserError
from affetto.files import replacing_folder


def examine(out: Path) -> None:
    """Raise UserError where `out` is a file, or a folder that holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not an empty folder: give another --out, or remove it")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that becomes `out` when all has gone well, and is removed when not.

    Raises UserError where `out` is a file or holds something, or where it cannot be written.
    """
    examine(out)
    try:
        with replacing_folder(out) as temporary:
            yield temporary
    except OSError as problem:
        raise UserError(f"{out}: cannot be written ({problem.strerror or problem}); give another --out") from None
