"""The page's uploads: on disk for some minutes, so that they can be played, under random names.

A token stands for each; who sends anything else reaches no file. The folder is locked while its server lives, so that
the next one to start knows what a killed one has left, and removes it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from affetto.serving.limits import Limits
from affetto.serving.refusals import RefusalError, storage_full, too_large

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: nothing can be told of other servers there, and nothing of theirs is removed
    fcntl = None

KEPT_SECONDS = 300
"""The time that an upload stays."""
MOST_UPLOADS = 16
"""Capacity of the folder, in uploads of the largest size."""
PREFIX, LOCK = "affetto-page-", "lock"
TOKEN = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{3,4}")
_SUFFIXES = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg", b"ID3": "mp3", b"\xff\xfb": "mp3"}
"""Suffix by the first bytes of a file, so that a browser knows how to play it."""


class Shelf:
    """Uploads by their tokens, in a folder that nobody else may read."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._sizes: dict[str, int] = {}

    @classmethod
    @contextlib.contextmanager
    def opened(cls, limits: Limits) -> Iterator[Shelf]:
        """Open a shelf in a new folder, which is removed with it; remove what killed servers have left first.

        Raises OSError where there is no place for one.
        """
        sweep(Path(tempfile.gettempdir()))
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        remove = partial(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(remove)
        try:
            with _locked(folder):
                yield cls(folder, limits)
        finally:
            remove()
            atexit.unregister(remove)

    async def keep(self, content: bytes) -> str:
        """Store an upload and return its token. Raises RefusalError (507) where the shelf or the disk is full."""
        if sum(self._sizes.values()) + len(content) > MOST_UPLOADS * self.limits.max_bytes:
            raise storage_full(KEPT_SECONDS)
        suffix = next((suffix for magic, suffix in _SUFFIXES.items() if content.startswith(magic)), "bin")
        token = f"{secrets.token_hex(16)}.{suffix}"
        self._sizes[token] = len(content)
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._drop, token)
        try:
            await asyncio.to_thread((self.folder / token).write_bytes, content)
        except OSError:
            self._drop(token)
            raise storage_full(KEPT_SECONDS) from None
        return token

    def path(self, token: str) -> Path:
        """The file of a token. Raises RefusalError (404) for any other text, and once its time has passed."""
        if token not in self._sizes:
            raise RefusalError(404, "no_upload", "no such upload, or its time has passed: send the recording again")
        return self.folder / token

    def read(self, token: str) -> bytes:
        """The upload. Raises RefusalError as `path`."""
        try:
            with self.path(token).open("rb") as file:
                content = file.read(self.limits.max_bytes + 1)
        except FileNotFoundError:  # its time passed just now
            raise RefusalError(404, "no_upload", "the upload's time has passed: send the recording again") from None
        if len(content) > self.limits.max_bytes:
            raise too_large(self.limits.max_megabytes)
        return content

    def _drop(self, token: str) -> None:
        self._sizes.pop(token, None)
        (self.folder / token).unlink(missing_ok=True)


def sweep(root: Path) -> None:
    """Remove the folders of servers that have ended without removing theirs."""
    if fcntl is None:
        return
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its server lives
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder marked as in use, until this process ends in whatever way."""
    with (folder / "unlocked").open("wb") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Only now is there a file of that name, so that none is ever found that is not locked.
        (folder / "unlocked").rename(folder / LOCK)
        yield
