"""Logs: lines that are appended, and those of a fit that goes on after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.training.log import Log
from affetto.training.runs import LOG, RunFolder


def history(*epochs: int) -> list[dict[str, float]]:
    return [{"epoch": epoch, "loss": 1 / epoch} for epoch in epochs]


def epochs(folder: RunFolder) -> list[tuple[str, int]]:
    return [(row["stage"], row["epoch"]) for row in folder.read_lines(LOG)]


def test_an_epoch_is_appended_after_those_of_the_stage_before(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    Log(folder, "select").update(history(1, 2))
    log = Log(folder, "refit")
    log.update(history(1))
    file = (tmp_path / LOG).stat().st_ino
    log.update(history(1, 2))
    log.update(history(1, 2))
    assert (tmp_path / LOG).stat().st_ino == file, "a file that is written anew is another one"
    assert epochs(folder) == [("select", 1), ("select", 2), ("refit", 1), ("refit", 2)]


@pytest.mark.parametrize("resumed_at", [1, 2, 4])
@pytest.mark.parametrize("torn", ["", '{"stage": "refit", "ep'])
def test_after_a_kill_the_log_has_neither_gaps_nor_doubles(resumed_at: int, torn: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    Log(folder, "select").update(history(1))
    Log(folder, "refit").update(history(1, 2, 3))
    with (tmp_path / LOG).open("a") as file:
        file.write(torn)
    log = Log(folder, "refit")  # the checkpoint is of the epoch before `resumed_at`
    for epoch in range(resumed_at, 6):
        log.update(history(*range(1, epoch + 1)))
    assert epochs(folder) == [("select", 1), *(("refit", epoch) for epoch in range(1, 6))]


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / LOG).symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"log.jsonl: cannot be written \(No space left on device\); make room"):
        folder.append_lines(LOG, history(1))
