"""ShEMO's words, which stand in a JSON file beside the audio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affetto.corpora.registry import open_corpus

TEXTS = {"F21N37": {"transcript": "یک"}, "m36s02": {"transcript": "دو"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("ShEMO/female/F21N37.wav", "ShEMO/male/M36S02.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "ShEMO"


def words(root: Path, note: str = "") -> list[str | None]:
    """The words of the clips; `note` stands in a note of the reader, and no note is on words where it is empty."""
    manifest = open_corpus(None, root)
    notes = [line for line in manifest.notes if "words" in line]
    assert [note in line for line in notes] == [True] * bool(note), notes
    return [clip.sentence for clip in manifest.clips]


@pytest.mark.parametrize("place", [".", "..", "female"])
def test_words_come_from_the_file_in_or_around_the_audio(root: Path, place: str) -> None:
    assert words(root) == [None, None]
    (root / place / "shemo.json").write_text(json.dumps(TEXTS), encoding="utf-8")
    assert words(root) == ["یک", "دو"]


@pytest.mark.parametrize("text", ['{"F21N37": {"transcript"', "[1]", "\xff"])
def test_a_damaged_file_of_words_is_noted(root: Path, text: str) -> None:
    (root / "shemo.json").write_bytes(text.encode("latin-1"))
    assert words(root, "shemo.json cannot be read") == [None, None]


@pytest.mark.parametrize(
    "entry", [{}, {"M36S02": {"emotion": "sad"}}, {"M36S02": "sad"}, {"M36S02": {"transcript": ""}}]
)
def test_clips_without_words_are_noted_and_the_others_keep_theirs(root: Path, entry: dict[str, object]) -> None:
    (root / "shemo.json").write_text(json.dumps({"F21N37": TEXTS["F21N37"], **entry}), encoding="utf-8")
    assert words(root, "1 clip has no words in ") == ["یک", None]
