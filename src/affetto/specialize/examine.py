"""Examination of clips: each is decoded once before training, so that training meets no unreadable clip.

The results are stored, so that a clip that has not changed is not decoded again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from affetto import audio
from affetto.models.parallel import cores

Checked = dict[str, dict[str, Any]]
"""Entry of each file: its size and time when it was decoded, and `samples` and `audio` (SHA-256), or `problem`."""
LOT = 256
"""Clips that a process decodes before it checks the clock and exchanges entries with the other processes."""
KEEP_SECONDS = 60.0
"""Most seconds of decoding that a kill can lose."""


class Examiner:
    """Decodes clips that have not been decoded before, each by one of the processes that work together.

    `checked` holds the entries so far, and grows; `keep(checked)` is called about every minute. `gather` joins the
    lists of all processes, in their order, so that all have the same entries and draw the same sample.
    """

    def __init__(
        self,
        checked: Checked | None = None,
        keep: Callable[[Checked], None] = lambda _: None,
        *,
        process: int = 0,
        processes: int = 1,
        gather: Callable[[list[Any]], list[Any]] = list,
    ) -> None:
        self.checked: Checked = {} if checked is None else checked
        self.keep, self.process, self.processes, self.gather = keep, process, processes, gather

    def look(self, clips: Sequence[tuple[str, Path]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """(file, its entry) of each (file, path), in their order."""
        saved_at = time.monotonic()
        size = LOT * self.processes
        with ThreadPoolExecutor(cores()) as pool:
            for first in range(0, len(clips), size):
                lot = clips[first : first + size]
                share = lot[self.process :: self.processes]
                entries = pool.map(lambda clip: (clip[0], examine(clip[1], self.checked.get(clip[0]))), share)
                self.checked.update(self.gather(list(entries)))
                if time.monotonic() - saved_at >= KEEP_SECONDS:
                    self.keep(self.checked)
                    saved_at = time.monotonic()
                for file, _ in lot:
                    yield file, self.checked[file]


def examine(path: Path, before: dict[str, Any] | None) -> dict[str, Any]:
    """Entry of a clip: `before` if its file has not changed since, else by decoding it."""
    try:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
    except OSError:
        stamp = []
    if before is not None and before.get("stamp") == stamp:
        return before
    try:
        return {"stamp": stamp, "samples": len(audio.load(path)), "audio": audio.content_digest(path)}
    except audio.AudioError as problem:
        return {"stamp": stamp, "problem": str(problem)}
