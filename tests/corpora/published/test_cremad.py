"""CREMA-D's tables: votes of those who heard the voice, and the actors' demographics."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.annotations import votes
from affetto.corpora.published import cremad
from affetto.corpora.ratings import human_recall
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError

HEADER = '"","A","D","F","H","N","S","fileName","numResponses"\n'
ROWS = (
    '"100001",6,2,0,0,1,0,"1001_DFA_ANG_XX",9\n'
    '"200001",0,9,0,0,0,0,"1001_DFA_ANG_XX",9\n'
    '"100002",0,0,0,0,2,3,"1002_DFA_SAD_XX",5\n'
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("1001_DFA_ANG_XX", "1002_DFA_SAD_XX"):
        (tmp_path / "AudioWAV").mkdir(exist_ok=True)
        (tmp_path / f"AudioWAV/{name}.wav").touch()
    (tmp_path / "processedResults").mkdir()
    (tmp_path / cremad.VOTES).write_text(HEADER + ROWS, encoding="utf-8")
    table = 'ActorID,Age,Sex,Race,Ethnicity\n1001,51,"Male","Caucasian","Not Hispanic"\n'
    (tmp_path / cremad.DEMOGRAPHICS).write_text(table, encoding="utf-8")
    return tmp_path


def test_ratings_are_the_answers_to_the_voice_alone(root: Path) -> None:
    anger, sadness = open_corpus("cremad", root).clips
    assert votes(anger.ratings) == {"anger": 6, "disgust": 2, "neutrality": 1}
    assert votes(sadness.ratings) == {"neutrality": 2, "sadness": 3}
    assert dict(anger.extra)["raters_agree"] == "6" and dict(anger.extra)["age"] == "51"
    assert human_recall(open_corpus("cremad", root)) == {"anger": 6 / 9, "sadness": 3 / 5}


def test_ratings_follow_the_label_map(root: Path) -> None:
    (anger, _) = open_corpus("cremad", root, label_map={"disgust": "anger", "neutral": "drop"}).clips
    assert votes(anger.ratings) == {"anger": 8}


def test_without_the_table_the_raters_are_not_known(root: Path) -> None:
    (root / cremad.VOTES).unlink()
    manifest = open_corpus("cremad", root)
    assert any("the raters are not known" in note for note in manifest.notes)
    assert not any(clip.ratings for clip in manifest.clips)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + ROWS.replace(",6,", ",six,"), "tabulatedVotes.csv line 2: A is 'six', no number"),
        (HEADER.replace('"H",', "") + ROWS.replace(",0,1,", ",1,"), "columns where the header has|has no column H"),
    ],
)
def test_a_damaged_table_is_named(root: Path, text: str, message: str) -> None:
    (root / cremad.VOTES).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        open_corpus("cremad", root)
