"""Grids that come along are found by name; files are taken as they are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.experiments.grid import read
from affetto.experiments.named import grid_file, names


def test_names_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {"paper", "emovo-loso", "ablations"} <= set(names())
    assert len(read(grid_file(Path("paper"))).runs) == 216
    assert grid_file(tmp_path / "mine.yaml") == tmp_path / "mine.yaml"
    (tmp_path / "paper").mkdir()  # the --out of the run before
    assert len(read(grid_file(Path("paper"))).runs) == 216
    (tmp_path / "paper").rmdir()
    (tmp_path / "paper").write_text("a file of the user's own")
    assert grid_file(Path("paper")) == Path("paper")
    with pytest.raises(UserError, match="did you mean 'paper'"):
        grid_file(Path("papper"))
