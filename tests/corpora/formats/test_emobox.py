"""EmoBox's JSONL: no speakers in it, so they must come from somewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affetto.corpora.formats import emobox
from affetto.errors import UserError


def write(path: Path, *rows: dict[str, object] | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def row(key: str, **more: object) -> dict[str, object]:
    return {"key": key, "dataset": "emovo", "wav": f"downloads/{key}.wav", "length": 2.5, "emo": "angry", **more}


def test_speakers_by_pattern_over_the_key(tmp_path: Path) -> None:
    path = write(tmp_path / "all.jsonl", row("rab-f1-b1"), row("rab-m2-b1"))
    manifest = emobox.read(path, speaker_pattern="-([fm][0-9])-", name="mine")
    assert [(clip.file, clip.emotion, clip.speaker, clip.corpus) for clip in manifest.clips] == [
        ("downloads/rab-f1-b1.wav", "anger", "f1", "mine"),
        ("downloads/rab-m2-b1.wav", "anger", "m2", "mine"),
    ]
    assert "none of the first 2 files" in manifest.notes[0]


def test_speakers_of_its_own(tmp_path: Path) -> None:
    (clip,) = emobox.read(write(tmp_path / "all.jsonl", row("x", spk=7, gender="f"))).clips
    assert (clip.speaker, clip.gender) == ("7", "female")


def test_a_folder_of_parts_and_an_audio_root(tmp_path: Path) -> None:
    write(tmp_path / "fold_1/emovo_train_fold_1.jsonl", row("x", spk="a"))
    write(tmp_path / "fold_1/emovo_test_fold_1.jsonl", row("y", spk="b"))
    assert emobox.matches(tmp_path / "fold_1")
    manifest = emobox.read(tmp_path / "fold_1", audio_root=str(tmp_path))
    assert {clip.speaker: clip.part for clip in manifest.clips} == {"a": "train", "b": "test"}
    assert manifest.root == tmp_path


def test_sections_and_codes_are_read_as_emobox_writes_them(tmp_path: Path) -> None:
    lines = [
        row("x", emo="A", spk="a", start_time=1917.34, end_time=1925.26),
        row("y", emo="W", spk="a", start_time=None),
    ]
    path = write(tmp_path / "fold_1/all.jsonl", *lines)
    (tmp_path / "label_map.json").write_text('{"A": "Fear", "W": "Angry"}')  # in the folder around the fold's
    first, second = emobox.read(path).clips
    assert (first.start, first.end, first.emotion) == (1917.34, 1925.26, "fear")
    assert (second.start, second.end, second.emotion) == (None, None, "anger")
    (tmp_path / "label_map.json").write_text("[]")
    with pytest.raises(UserError, match=r"label_map\.json must hold one object"):
        emobox.read(path)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (row("y"), "all.jsonl has no speaker column"),
        ("{", "all.jsonl line 2 is no JSON"),
        ("[1]", "all.jsonl line 2 is no object"),
    ],
)
def test_without_speakers_or_json_it_is_refused(tmp_path: Path, second: dict[str, object] | str, said: str) -> None:
    first = row("x") if isinstance(second, dict) else row("x", spk="a")
    with pytest.raises(UserError, match=said):
        emobox.read(write(tmp_path / "all.jsonl", first, second))


def test_bad_rows_are_named_by_their_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"all\.jsonl line 2 names no emotion"):
        emobox.read(write(tmp_path / "all.jsonl", row("x", spk="a"), row("y", spk="a", emo=None)))
    with pytest.raises(UserError, match=r"all\.jsonl line 2 lists downloads/x\.wav again"):
        emobox.read(write(tmp_path / "all.jsonl", row("x", spk="a"), row("x", spk="a")))
    with pytest.raises(UserError, match="an empty table"):
        emobox.read(write(tmp_path / "all.jsonl"))
    with pytest.raises(UserError, match=r"no such file or folder; give the path of EmoBox's \.jsonl"):
        emobox.read(tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=r"neither a \.jsonl file nor a folder of some; it holds nothing"):
        emobox.read(tmp_path / "other")
