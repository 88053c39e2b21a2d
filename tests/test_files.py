"""Files and folders appear whole or not at all, and documents of others are read within bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from affetto.files import TEMPORARY, BoundsError, parse_yaml, replacing, replacing_folder, write_text
from bombs import bomb


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


# -- documents of others -------------------------------------------------------------------------------------------


def test_a_document_is_read_with_its_aliases() -> None:
    assert parse_yaml("a: &x [1, b]\nc: {<<: {d: *x}, e: true}\n") == {"a": [1, "b"], "c": {"d": [1, "b"], "e": True}}
    assert parse_yaml("") is None
    assert parse_yaml("k: " + "x" * 10_000)["k"] == "x" * 10_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (bomb(), "once its aliases are written out"),
        ("a: &a {k: v}\n" + "".join(f"b{n}: &b{n} {{<<: [{'*a, ' * 9}]}}\n" for n in range(3)) + bomb(), "aliases"),
        ("a: &a " + "x" * 500 + "\nb: &b [" + "*a, " * 100 + "]\nc: [" + "*b, " * 100 + "]", "aliases"),
        ("a: &a [*a]", "an alias within what it stands for"),
        ("- " * 5000, "more levels than can be read"),
        ("k: " + "x" * 1_000_001, "more than 1,000,000 characters"),
    ],
    ids=["aliases", "merges", "texts", "itself", "levels", "length"],
)
def test_a_document_that_would_fill_the_memory_is_refused(text: str, words: str) -> None:
    with pytest.raises(BoundsError, match=words) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[", "? [a]\n: b", "!!int ''", "!!bool x", "!!timestamp x", "!!python/name:os.x"])
def test_what_is_no_yaml_is_an_error_of_yaml(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)
