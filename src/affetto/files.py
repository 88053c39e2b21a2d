"""Files and folders that appear whole or not at all: they are written beside their place, then moved there.

A reader sees the old content or the new, never half of it, and a killed process leaves nothing but a hidden temporary:
its name begins with a dot and ends with `TEMPORARY`, and that is how sweepers recognise it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from affetto.errors import UserError

TEMPORARY = ".tmp"
"""Ending of the name of a file or folder that is still being written."""


@contextmanager
def replacing(path: Path, *, shared: bool = True) -> Iterator[Path]:
    """Temporary path beside `path`. The file that the block writes there replaces `path` when the block succeeds.

    If the block fails, `path` stays as it was and the temporary is removed. Several processes, on several machines,
    may write the same path at once; with `shared=False` only one does, and it overwrites what a killed process left.
    Raises OSError.
    """
    temporary = temporary_beside(path, f".{secrets.token_hex(6)}" if shared else "")  # machines share process numbers
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_beside(path: Path, suffix: str) -> Path:
    """Hidden name beside `path`, by which sweepers recognise a temporary."""
    return path.with_name(f".{path.name}{suffix}{TEMPORARY}")


def write_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Write a UTF-8 text file whole or not at all, and make the folders above it. Raises OSError.

    `sync` waits until the disk has it, so that the file survives a loss of power.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def replacing_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Temporary folder beside `folder`. It becomes `folder`, readable as the umask allows, when the block succeeds.

    With `overwrite` an earlier folder is removed first; without it `folder` must be absent or empty.
    Raises OSError.
    """
    temporary = temporary_beside(folder, f".{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        share(temporary)
        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.is_dir():
            folder.rmdir()
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def cache_folder(purpose: str) -> Path:
    """`$AFFETTO_CACHE`, else `affetto` in the user's cache folder. Raises UserError where there is none."""
    if os.environ.get("AFFETTO_CACHE"):
        return Path(os.environ["AFFETTO_CACHE"])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "affetto"
    except RuntimeError:  # no HOME, and a user whom the system does not know
        raise UserError(f"no home folder to {purpose} (HOME is not set): set AFFETTO_CACHE to a folder") from None


def share(folder: Path) -> None:
    """Let everybody whom the umask allows read a folder's files; safetensors makes them readable to the owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o666 & ~mask)
