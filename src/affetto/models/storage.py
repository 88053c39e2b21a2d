"""The store of prefixes as a whole: its namespaces, their sizes, and making room.

It is a cache: a deleted prefix is computed again when it is needed, even in a run that is under way.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.files import TEMPORARY, cache_folder

LIMIT_VARIABLE, DEFAULT_LIMIT = "AFFETTO_CACHE_LIMIT", "50GB"
ABANDONED_SECONDS = 3600
"""Age at which an unfinished file counts as left by a killed process: writing takes a moment."""
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class Namespace:
    """The prefixes of one backbone, cut, window and precision."""

    folder: Path
    identity: dict[str, Any]
    clips: int
    size_bytes: int
    """Unfinished files included."""
    unfinished: int
    """Files that are being written, or were when their process was killed."""
    last_used: float
    """Seconds since the epoch."""


def default_root() -> Path:
    """affetto's cache folder. Raises UserError where there is none."""
    return cache_folder("store frozen states in")


def namespaces(root: Path | None = None) -> list[Namespace]:
    """Namespaces in the store, the longest unused first. A store that does not exist yet is empty."""
    top = (root or default_root()) / "prefixes"
    result = []
    for folder in sorted(top.iterdir()) if top.is_dir() else []:
        files = [(stat.st_size, stat.st_mtime) for _, stat in _files(folder)]
        unfinished = [stat.st_size for _, stat in _unfinished(folder)]
        try:
            identity = json.loads((folder / "namespace.json").read_text())
        except (OSError, ValueError):
            identity = {}
        used = max([mtime for _, mtime in files] + [_mtime(folder / "namespace.json")])
        result.append(
            Namespace(
                folder=folder,
                identity=identity,
                clips=len(files),
                size_bytes=sum(size for size, _ in files) + sum(unfinished),
                unfinished=len(unfinished),
                last_used=used,
            )
        )
    return sorted(result, key=lambda namespace: (namespace.last_used, namespace.folder.name))


def prune(limit_bytes: int, root: Path | None = None, keep: Path | None = None) -> tuple[int, int]:
    """Delete prefixes, of the longest unused namespaces first, until the store is within the limit.

    Abandoned unfinished files are deleted in any case. `keep` is a namespace that is in use. Returns the numbers of
    deleted files and bytes. Two processes that prune at once do no harm to each other.
    """
    stored = namespaces(root)
    total = sum(namespace.size_bytes for namespace in stored)
    files = freed = 0
    for namespace in stored:
        for file, stat in _unfinished(namespace.folder):
            if time.time() - stat.st_mtime > ABANDONED_SECONDS:
                file.unlink(missing_ok=True)
                files, freed = files + 1, freed + stat.st_size
    for namespace in stored:
        if namespace.folder == keep:
            continue
        for file, stat in _files(namespace.folder):
            if total - freed <= limit_bytes:
                return files, freed
            file.unlink(missing_ok=True)
            files, freed = files + 1, freed + stat.st_size
        _remove_empty(namespace.folder)
    return files, freed


def limit_bytes() -> int:
    """Bytes that the store may grow to by itself: `$AFFETTO_CACHE_LIMIT`. Raises UserError where that is no size."""
    return parse_size(os.environ.get(LIMIT_VARIABLE) or DEFAULT_LIMIT, LIMIT_VARIABLE)


def parse_size(text: str, option: str) -> int:
    """`"20GB"`, `"500 MB"` or plain bytes, as bytes (powers of 1000). Raises UserError, which names the option.

    >>> parse_size("1.5GB", "--max-size")
    1500000000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f"{option} {text!r}: no size; write it as 20GB, 500MB or a number of bytes")
    return int(float(match[1]) * UNITS[match[2].upper()])


def touch(folder: Path) -> None:
    """Note that a namespace is in use."""
    with contextlib.suppress(OSError):  # not there (any more), or another user's
        os.utime(folder / "namespace.json")


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    yield from _present(sorted(folder.glob("*/*.safetensors")))


def _unfinished(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files under their writers' names, of prefixes and of the namespace's description."""
    yield from _present(sorted([*folder.glob(f".*{TEMPORARY}"), *folder.glob(f"*/.*{TEMPORARY}")]))


def _present(files: list[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for file in files:
        try:
            yield file, file.stat()
        except FileNotFoundError:
            continue


def _mtime(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _remove_empty(folder: Path) -> None:
    """Remove the emptied folders, unless another process has put a file in meanwhile."""
    with contextlib.suppress(OSError):
        for inner in [path for path in folder.iterdir() if path.is_dir()]:
            inner.rmdir()
        (folder / "namespace.json").unlink(missing_ok=True)
        folder.rmdir()
