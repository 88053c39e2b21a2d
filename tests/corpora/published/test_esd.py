"""ESD's languages and parts, and eNTERFACE's videos."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.registry import open_corpus
from affetto.errors import UserError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


ESD = (
    "0011/Angry/train/0011_000351.wav",
    "0011/Neutral/evaluation/0011_000001.wav",
    "0001/Neutral/test/0001_000001.wav",
)


def test_parts_languages_and_prompts_of_esd(tmp_path: Path) -> None:
    root = touch(tmp_path, *ESD)
    clips = {clip.file: clip for clip in open_corpus(None, root).clips}
    assert [clips[name].part for name in ESD] == ["train", "validation", "test"]
    assert [clips[name].prompt for name in ESD] == ["english-001", "english-001", "mandarin-001"]
    english = open_corpus("esd", root, options={"language": "English"})
    assert english.speakers == ("0011",)
    with pytest.raises(UserError, match="must be english, mandarin or both"):
        open_corpus("esd", root, options={"language": "French"})


LINES = {
    "0011": ("0011_000001\tThe nine the eggs, I keep.\tNeutral\n0011_000351\tThe café.\tAngry", "The café."),
    "0001": ("0001_000001\t打远一看\t中立", "打远一看"),
}


@pytest.mark.parametrize(
    ("speaker", "encoding"),
    [
        *(("0011", encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1")),
        *(("0001", encoding) for encoding in ("utf-8", "utf-16", "gb2312", "gb18030")),
    ],
)
def test_words_of_esd_are_read_in_any_encoding_of_the_archive(tmp_path: Path, speaker: str, encoding: str) -> None:
    root = touch(tmp_path, *ESD)
    text, sentence = LINES[speaker]
    (root / speaker / f"{speaker}.txt").write_bytes(text.replace("\n", "\r\n").encode(encoding))
    manifest = open_corpus("esd", root)
    assert sentence in {clip.sentence for clip in manifest.clips if clip.speaker == speaker}
    assert {clip.sentence for clip in manifest.clips if clip.speaker != speaker} == {None}
    assert {clip.prompt for clip in manifest.clips} == {"english-001", "mandarin-001"}
    assert not any("words" in note for note in manifest.notes)


def test_texts_of_esd_that_are_damaged_or_lack_a_clip_are_noted(tmp_path: Path) -> None:
    root = touch(tmp_path, *ESD)
    (root / "0011/0011.txt").write_text("0011_000001 Neutral\n0011_000351\tYes.\tAngry\n\n", encoding="utf-8")
    (root / "0001/0001.txt").write_bytes(b"0001_000001\t\xff\xff\t\n")
    manifest = open_corpus("esd", root)
    assert {clip.file: clip.sentence for clip in manifest.clips if clip.sentence} == {ESD[0]: "Yes."}
    notes = [note for note in manifest.notes if "words" in note]
    assert "0001.txt cannot be read" in notes[0]
    assert notes[1] == f"1 clip has no words in the text of the speaker: {ESD[1]}"


def test_videos_of_enterface_are_refused_with_the_way_to_their_sound(tmp_path: Path) -> None:
    root = touch(tmp_path, "subject 1/anger/sentence 1/s1_an_1.avi")
    for name in (None, "enterface"):
        with pytest.raises(UserError, match=r"as videos, which are not read.*ffmpeg -i s1_an_1.avi -vn s1_an_1.wav"):
            open_corpus(name, root)
    assert open_corpus(None, touch(root, "subject 1/anger/sentence 1/s1_an_1.wav")).speakers == ("1",)
