"""Log of a fit in `log.jsonl`: a line an epoch, appended to those of the stages before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affetto.training.runs import LOG, RunFolder


class Log:
    """Lines of one stage in a folder's log."""

    def __init__(self, folder: RunFolder, stage: str) -> None:
        self.folder, self.stage = folder, stage
        self.rows = folder.read_whole_lines(LOG)
        self.earlier = [row for row in self.rows if row.get("stage") != stage]
        self.is_clean = False
        """True if the file ends with a line that this object has written."""

    def update(self, history: Sequence[dict[str, Any]]) -> None:
        """Let the stage's lines be those of `history`.

        New records are appended. The first call removes what a killed process has logged beyond the checkpoint that the
        fit goes on from, and a line that it has not finished.
        """
        lines = [*self.earlier, *({"stage": self.stage, **record} for record in history)]
        if self.is_clean and lines[: len(self.rows)] == self.rows:
            if len(lines) > len(self.rows):
                self.folder.append_lines(LOG, lines[len(self.rows) :])
        else:
            self.folder.write_lines(LOG, lines)
        self.rows, self.is_clean = lines, True
