"""The DEMoS reader, on trees of empty files: it goes by names and decodes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.published import demos
from affetto.errors import UserError

FILES = (
    "DEMOS/PR_f_01_rab18b.wav",
    "DEMOS/NP_m_02_gio03a.wav",
    "DEMOS/NP_m_02_col01a.wav",
    "NEU/f_01_neu01a.wav",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).touch()
    return tmp_path / "corpus"


def test_reads_both_folders(root: Path) -> None:
    manifest = demos.read(root)
    clips = {clip.file: clip for clip in manifest.clips}
    assert set(clips) == {FILES[0], FILES[1], FILES[3]}
    anger = clips[FILES[0]]
    assert (anger.emotion, anger.speaker, anger.gender, anger.prompt) == ("anger", "01", "female", "rab18b")
    assert anger.extra == (("prototypical", "yes"),)
    assert clips[FILES[1]].extra == (("prototypical", "no"),)
    assert clips[FILES[1]].gender == "male"
    assert (clips[FILES[3]].emotion, clips[FILES[3]].extra) == ("neutrality", ())
    assert manifest.official["neutrality"] == 332
    assert sum(manifest.official.values()) == 8568


@pytest.mark.parametrize("given", ["..", "DEMOS", "NEU"])
def test_every_folder_of_it_means_all_of_it(root: Path, given: str) -> None:
    manifest = demos.read(root / given)
    assert manifest.root == root
    assert manifest.per_emotion()["neutrality"] == 1


def test_all_files_in_one_folder(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / Path(name).name).touch()
    assert len(demos.read(tmp_path).clips) == 3


def test_guilt_is_left_out_with_a_note_or_kept_as_a_class(root: Path) -> None:
    assert any(note.startswith("1 clip of guilt is left out") for note in demos.read(root).notes)
    kept = demos.read(root, keep_guilt=True)
    assert kept.per_emotion()["guilt"] == 1
    assert kept.official["guilt"] == 1129
    assert not any("left out" in note for note in kept.notes)


@pytest.mark.parametrize(("target", "clips"), [("sadness", 1), ("drop", 0)])
def test_a_label_map_may_name_guilt(root: Path, target: str, clips: int) -> None:
    manifest = demos.read(root, label_map={"guilt": target}, keep_guilt=True)
    assert manifest.per_emotion()["sadness"] == clips
    assert "guilt" not in manifest.labels


def test_counts_and_strays_are_noted(root: Path) -> None:
    (root / "DEMOS/XX_f_01_rab18b.wav").touch()
    notes = demos.read(root).notes
    assert "1 audio file does not fit" in notes[0]
    assert "3 clips, officially 8568" in notes[-1]
    with pytest.raises(UserError, match="neutrality 1 of 332"):
        demos.read(root, strict=True)


def test_a_wrong_root_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert not demos.matches(tmp_path)
    with pytest.raises(UserError, match=r"Looked for the folders DEMOS and NEU .* found the folder other"):
        demos.read(tmp_path)
