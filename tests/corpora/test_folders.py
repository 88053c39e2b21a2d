"""Folders of audio are walked by one rule, whoever asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from affetto.corpora.transcribed.registry import open_speech
from affetto.inference.batch.inputs import recordings


def test_folders_behind_links_are_walked_once(tmp_path: Path) -> None:
    for place in ("corpus/s1", "elsewhere"):
        (tmp_path / place).mkdir(parents=True)
        soundfile.write(tmp_path / place / "0001.wav", np.zeros(1600), 16_000)
    (tmp_path / "corpus/s2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus/again").symlink_to(tmp_path / "corpus/s1")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "corpus")
    corpus = open_speech("folder", tmp_path / "corpus", with_sentences=False)
    assert {(one.file, one.speaker) for one in corpus.utterances} == {("s1/0001.wav", "s1"), ("s2/0001.wav", "s2")}
    named = [one.name for one in recordings([str(tmp_path / "corpus")])]
    assert named == [str(tmp_path / "corpus" / file) for file in ("s1/0001.wav", "s2/0001.wav")]
