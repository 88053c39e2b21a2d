"""The record of a corpus that can be made of synthetic speech, and the writing of its folder."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.corpora.folders import MARKER
from affetto.errors import UserError

Progress = Callable[[int, int], None]
"""Called after each clip with the clips done and the clips to do."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """A corpus that can be made: `make(folder, speakers=None, clips=None, seed=0, progress=None)` writes it."""

    name: str
    make: Callable[..., None]
    advice: str
    """The next command for the user; `{folder}` stands for the corpus."""
    miniature: tuple[int, int] | None = None
    """Speakers and clips of the corpus in a grid's miniature; None for a corpus that no grid names."""


@contextmanager
def written_at_once(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its name at the end and vanishes on any error.

    Raises UserError where `folder` is not new or empty, or cannot be written.
    """
    folder = folder.resolve()
    partial = folder.parent / f".{folder.name}.making-{os.getpid()}"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists and is not an empty folder; name a new one, or empty it first")
        if folder == Path.cwd() or os.path.ismount(folder):
            raise UserError(f"{folder} cannot be replaced (it is in use); name a new folder inside it")
        partial.mkdir(parents=True)
        try:
            yield partial
            if folder.exists():
                folder.rmdir()
            partial.replace(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as problem:
        raise UserError(f"{folder} cannot be written ({problem.strerror or problem})") from None


def write_marker(root: Path, kind: str, *, speakers: int, clips: int, seed: int) -> None:
    """Mark a folder as synthetic, so that all results say so."""
    from affetto.synthetic import voice

    marker: dict[str, Any] = {"made_by": f"affetto {__version__} corpora make {kind}", "synthetic": True, "kind": kind}
    marker |= {"speakers": speakers, "clips": clips, "seed": seed, "espeak": voice.version()}
    (root / MARKER).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def check_size(kind: str, speakers: int, clips: int, most_speakers: int) -> None:
    """Raise UserError for a number of speakers or clips that cannot be made."""
    if not 1 <= speakers <= most_speakers:
        raise UserError(f"{kind}: {speakers} speakers cannot be made; give 1 to {most_speakers}")
    if clips < speakers:
        raise UserError(f"{kind}: {clips} clips are too few for {speakers} speakers; give at least one clip a speaker")


def gender_of(index: int) -> str:
    """Gender of the speaker of that number: women and men in turn."""
    return "male" if index % 2 else "female"
