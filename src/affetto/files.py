"""Files and folders that appear whole or not at all: they are written beside their place, then moved there.

A reader sees the old content or the new, never half of it, and a killed process leaves nothing but a hidden temporary:
its name begins with a dot and ends with `TEMPORARY`, and that is how sweepers recognise it. Documents that others wrote
are read within bounds.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError

if TYPE_CHECKING:
    import yaml

TEMPORARY = ".tmp"
"""Ending of the name of a file or folder that is still being written."""
MOST_CHARACTERS = 1_000_000
"""Characters of a YAML document of others, with its aliases written out."""


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


# -- documents of others -------------------------------------------------------------------------------------------


class BoundsError(ValueError):
    """Error of a document that is too long, or becomes so by its aliases, or is nested too deeply; one line."""


def parse_yaml(text: str) -> Any:
    """Content of a YAML document that others wrote.

    A kilobyte of aliases of aliases may stand for more than any memory holds: its length with all aliases written out
    is measured before anything is made of it. Raises BoundsError, and YAMLError for what is no YAML.
    """
    import yaml

    if len(text) > MOST_CHARACTERS:
        raise BoundsError(f"more than {MOST_CHARACTERS:,} characters")
    # By the loader in Python: that in C has no end of its recursion but that of the stack.
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _length(node, {}) > MOST_CHARACTERS:
            raise BoundsError(f"more than {MOST_CHARACTERS:,} characters once its aliases are written out")
        return loader.construct_document(node)
    except RecursionError:
        raise BoundsError("more levels than can be read") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        # The library leaves out of account that a value may not fit its tag.
        raise problem if isinstance(problem, BoundsError) else yaml.YAMLError("a value does not fit its tag") from None
    finally:
        loader.dispose()


def _length(node: yaml.Node, lengths: dict[yaml.Node, int | None]) -> int:
    """About the characters of a node with its aliases written out. Raises BoundsError for one that holds itself."""
    if node not in lengths:
        lengths[node] = None
        parts = node.value  # a text, nodes, or pairs of nodes
        if not isinstance(parts, str):
            parts = [item for part in parts for item in (part if isinstance(part, tuple) else (part,))]
        lengths[node] = 1 + (len(parts) if isinstance(parts, str) else sum(_length(part, lengths) for part in parts))
    length = lengths[node]
    if length is None:
        raise BoundsError("an alias within what it stands for")
    return length
