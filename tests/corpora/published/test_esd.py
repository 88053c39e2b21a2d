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


def test_videos_of_enterface_are_refused_with_the_way_to_their_sound(tmp_path: Path) -> None:
    root = touch(tmp_path, "subject 1/anger/sentence 1/s1_an_1.avi")
    for name in (None, "enterface"):
        with pytest.raises(UserError, match=r"as videos, which are not read.*ffmpeg -i s1_an_1.avi -vn s1_an_1.wav"):
            open_corpus(name, root)
    assert open_corpus(None, touch(root, "subject 1/anger/sentence 1/s1_an_1.wav")).speakers == ("1",)
