"""Hugging Face's AudioFolder in its forms, on trees of empty files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affetto.corpora.formats import audiofolder
from affetto.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_metadata_csv(tmp_path: Path) -> None:
    touch(tmp_path, "x.wav")
    (tmp_path / "metadata.csv").write_text("file_name,label,speaker\nx.wav,happy,s\n")
    (clip,) = audiofolder.read(tmp_path, strict=True).clips
    assert (clip.file, clip.emotion, clip.speaker, clip.part) == ("x.wav", "joy", "s", None)


def test_metadata_jsonl_in_the_folders_of_the_parts(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        touch(tmp_path, f"data/{part}/x.wav")
        row = {"file_name": "x.wav", "emotion": "sad", "speaker_id": part}
        (tmp_path / f"data/{part}/metadata.jsonl").write_text(json.dumps(row) + "\n")
    assert audiofolder.matches(tmp_path)
    clips = audiofolder.read(tmp_path, strict=True).clips
    assert {(clip.file, clip.part) for clip in clips} == {
        ("data/train/x.wav", "train"),
        ("data/valid/x.wav", "validation"),
        ("data/test/x.wav", "test"),
    }


def test_class_folders(tmp_path: Path) -> None:
    touch(
        tmp_path, "happy/s1_1.wav", "happy/s2_1.FLAC", "sad/s1_2.wav", "sad/notes.txt", "sad/._s1_2.wav", "papers/a.pdf"
    )
    assert audiofolder.matches(tmp_path)
    manifest = audiofolder.read(tmp_path, name="mine", speaker_pattern="/(s[0-9])_")
    assert [(clip.file, clip.emotion, clip.speaker) for clip in manifest.clips] == [
        ("happy/s1_1.wav", "joy", "s1"),
        ("happy/s2_1.FLAC", "joy", "s2"),
        ("sad/s1_2.wav", "sadness", "s1"),
    ]
    assert manifest.corpus == manifest.clips[0].corpus == "mine"


def test_class_folders_in_the_folders_of_the_parts(tmp_path: Path) -> None:
    touch(tmp_path, "train/joy/s1.wav", "test/joy/s2.wav")
    clips = audiofolder.read(tmp_path, speaker_pattern="(s[0-9])").clips
    assert [(clip.file, clip.part) for clip in clips] == [("test/joy/s2.wav", "test"), ("train/joy/s1.wav", "train")]


def test_without_speakers_it_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "joy/x.wav")
    with pytest.raises(UserError, match=r"has no speaker column .* give --option speaker_pattern"):
        audiofolder.read(tmp_path)


def test_an_unknown_class_is_refused_with_a_guess(tmp_path: Path) -> None:
    touch(tmp_path, "joy/s1.wav", "angr/s1.wav")
    with pytest.raises(UserError, match=f"unknown emotion 'angr' in {tmp_path.name}/: did you mean 'angry'"):
        audiofolder.read(tmp_path, speaker_pattern="(s[0-9])")
    manifest = audiofolder.read(tmp_path, speaker_pattern="(s[0-9])", label_map={"angr": "anger"})
    assert manifest.per_emotion()["anger"] == 1


def test_a_wrong_root_says_what_was_looked_for(tmp_path: Path) -> None:
    assert not audiofolder.matches(tmp_path)
    with pytest.raises(UserError, match=r"Looked for metadata\.csv or metadata\.jsonl .* the folder is empty"):
        audiofolder.read(tmp_path)
