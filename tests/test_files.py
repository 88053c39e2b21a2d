"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from affetto.files import TEMPORARY, replacing, replacing_folder, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_the_block_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("before")
    with replacing(path) as temporary:
        temporary.write_text("after")
        assert path.read_text() == "before"
        assert temporary.name.startswith(".x.json.") and temporary.name.endswith(TEMPORARY)
    assert path.read_text() == "after" and names(tmp_path) == ["x.json"]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("before")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("aft")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()
    assert path.read_text() == "before" and names(tmp_path) == ["x.json"]


def test_two_writers_have_two_temporaries(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("1")
        second.write_text("2")
    assert path.read_text() == "1" and names(tmp_path) == ["x"]


def test_a_single_writer_overwrites_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / f".x{TEMPORARY}").write_text("half")
    with replacing(tmp_path / "x", shared=False) as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == ["x"]


def test_text_is_written_below_new_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "x.txt", "è", sync=True)
    assert (tmp_path / "a" / "b" / "x.txt").read_bytes() == "è".encode()


def test_a_folder_is_readable_as_the_umask_allows(tmp_path: Path) -> None:
    earlier = os.umask(0o022)
    try:
        with replacing_folder(tmp_path / "model") as temporary:
            (temporary / "weights").write_text("x")
            (temporary / "weights").chmod(0o600)
    finally:
        os.umask(earlier)
    assert (tmp_path / "model" / "weights").stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == ["model"]


def test_only_overwrite_removes_what_is_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("old")
    with pytest.raises(OSError, match="model"), replacing_folder(tmp_path / "model") as temporary:
        (temporary / "new").write_text("new")
    assert names(tmp_path) == ["model"] and names(tmp_path / "model") == ["old"]
    with replacing_folder(tmp_path / "model", overwrite=True) as temporary:
        (temporary / "new").write_text("new")
    assert names(tmp_path) == ["model"] and names(tmp_path / "model") == ["new"]
