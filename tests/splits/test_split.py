"""The split's file: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.splits import Fold, Split
from affetto.splits.split import membership


def a_split(folds: tuple[Fold, ...] | None = None) -> Split:
    folds = folds or (
        Fold("f1", ("c:3.wav", "c:4.wav"), ("c:2.wav",), ("c:1.wav",)),
        Fold("f2", ("c:1.wav",), ("c:3.wav",), ("c:2.wav",)),  # leaves 4 out
    )
    return Split("loso", 0, "c", folds, membership(folds), {"folds": [], "share": 0.1}, ("perché no",))


def test_saved_and_loaded_alike(tmp_path: Path) -> None:
    split = a_split()
    split.save(tmp_path / "new" / "split.json")
    assert Split.load(tmp_path / "new" / "split.json") == split
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["split.json"]


def test_saving_over_a_file_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text("before")
    a_split().save(path)
    assert Split.load(path) == a_split()


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "split.json"
    a_split().save(path)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        a_split((Fold("all", ("x",), ("y",), ("z",)),)).save(path)
    assert Split.load(path) == a_split()
    assert [file.name for file in tmp_path.iterdir()] == ["split.json"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("checksum", "0" * 64),
        ("seed", 1),
        ("notes", []),
        ("audit", {"folds": [], "share": 0.2}),
        ("clips", ["c:1.wav", "c:2.wav", "c:3.wav"]),
        ("folds", [{"name": "f1", "validation": ["c:1.wav"], "test": ["c:2.wav"], "left_out": []}]),
    ],
)
def test_changed_file_is_refused(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "split.json"
    a_split().save(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, key: value}))
    with pytest.raises(UserError, match="changed since it was written"):
        Split.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a split file"),
        ("[]", "not a split file of format 1"),
        ('{"format": 2}', r"format 1 \(found: 2\)"),
        ('{"format": 1}', "not a split file"),
        ('{"format": 1, "clips": [], "folds": [3]}', "not a split file"),
        ('{"format": 1, "clips": [], "folds": {"a": 1}}', "not a split file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        Split.load(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.json: cannot read the split"):
        Split.load(tmp_path / "nowhere.json")


def test_checksum_sees_membership_and_nothing_else() -> None:
    fold = Fold("all", ("a", "b"), ("c",), ("d",))
    assert membership([fold]) == membership([Fold("all", ("b", "a"), ("c",), ("d",))])
    others = [
        Fold("all", ("a",), ("b", "c"), ("d",)),
        Fold("all", ("a", "b"), ("d",), ("c",)),
        Fold("1", ("a", "b"), ("c",), ("d",)),
        Fold("all", ("a", "b", "c"), (), ("d",)),
        Fold("all", ("a", "b"), ("e",), ("d",)),
    ]
    assert len({membership([other]) for other in (fold, *others)}) == 6


def test_folds_by_name() -> None:
    assert a_split().fold("f2").test == ("c:2.wav",)
    with pytest.raises(UserError, match="unknown fold 'f3'"):
        a_split().fold("f3")
