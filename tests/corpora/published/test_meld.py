"""MELD's tables and the folders of its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.splits import make_split

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


def row(utterance: int, speaker: str, emotion: str) -> str:
    return f'{utterance},"Oh, well.",{speaker},{emotion},neutral,0,{utterance},8,21,"00:16:16,059","00:16:21,731"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, folder in FOLDERS.items():
        rows = row(0, f"{part}'s guest", "joy") + row(1, "Ross", "sadness")
        (tmp_path / f"{part}_sent_emo.csv").write_text(HEADER + rows, encoding="utf-8")
        (tmp_path / folder).mkdir()
        for utterance in (0, 1):
            (tmp_path / f"{folder}/dia0_utt{utterance}.mp4").touch()
    return tmp_path


def test_utterances_of_all_parts_with_words_and_speakers(root: Path) -> None:
    (root / "train_splits/wav").mkdir()
    (root / "train_splits/wav/dia0_utt1.wav").touch()
    (root / "train_splits/._dia0_utt1.wav").touch()
    manifest = open_corpus(None, root)
    clips = {(clip.part, clip.speaker): clip for clip in manifest.clips}
    assert len(clips) == 6 and manifest.corpus == "meld"
    assert clips["train", "Ross"].file == "train_splits/wav/dia0_utt1.wav"
    guest = clips["test", "test's guest"]
    assert (guest.file, guest.emotion) == ("output_repeated_splits_test/dia0_utt0.mp4", "joy")
    assert (guest.sentence, guest.prompt) == ("Oh, well.", "test-dia0_utt0")


def test_the_official_parts_are_refused_since_they_share_speakers(root: Path) -> None:
    with pytest.raises(UserError, match="speaker 'Ross' is in train and in"):
        make_split(open_corpus("meld", root), "official")


def test_missing_files_are_counted_and_an_error_under_strict(root: Path) -> None:
    (root / "dev_splits_complete/dia0_utt1.mp4").unlink()
    notes = " ".join(open_corpus("meld", root).notes)
    assert "1 utterance of the tables has no file, such as validation dia0_utt1" in notes
    with pytest.raises(UserError, match="unpack the whole corpus"):
        open_corpus("meld", root, strict=True)


def test_tables_without_audio_say_what_to_unpack(root: Path) -> None:
    for folder in FOLDERS.values():
        for file in (root / folder).iterdir():
            file.unlink()
    with pytest.raises(UserError, match=r"6 utterances of the tables have no file.*unpack the archives of the parts"):
        open_corpus("meld", root)
