"""AI4SER's tables of judgements, whose columns the data set's page does not name."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.annotations import Range
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "01").mkdir()
    (tmp_path / "02").mkdir()
    (tmp_path / "01/ang_03_01.wav").touch()
    (tmp_path / "02/neu_03_02.wav").touch()
    header = "FILE;DIS;HAP;FEA;ANG;SUR;SAD;NEU\n"
    hits = header + "ang_03_01.wav;0,1;0;0;0,8;0;0;0,1\nneu_03_02.wav;0;0;0;0;0;0;1\n"
    (tmp_path / "EMOTIONS-HIT-RATIO.csv").write_text(hits, encoding="utf-8")
    (tmp_path / "AROUSAL.csv").write_text("FILE;MEAN\n01/ang_03_01.wav;4,5\nneu_03_02;2.0\n", encoding="utf-8")
    (tmp_path / "VALIDATION.csv").write_text("FILE;MEAN\nang_03_01.wav;1.5\n", encoding="utf-8")
    return tmp_path


def test_judgements_of_listeners(root: Path) -> None:
    manifest = open_corpus(None, root)
    anger, neutral = manifest.clips
    assert manifest.corpus == "ai4ser" and anger.prompt == "03"
    assert (anger.dimensions, neutral.dimensions) == ((("arousal", 4.5), ("valence", 1.5)), (("arousal", 2.0),))
    assert dict(anger.extra)["hit_anger"] == "0.8" and dict(anger.extra)["hit_disgust"] == "0.1"
    assert manifest.dimensions == {"arousal": Range(1, 5), "valence": Range(1, 5)}
    assert any("no DOMINANCE.csv beside the audio" in note for note in manifest.notes)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("AROUSAL.csv", "FILE;MEAN\nang_03_01.wav;high\n", "AROUSAL.csv line 2: 'high' is no number"),
        ("AROUSAL.csv", "FILE\nang_03_01.wav\n", "has one column"),
        ("EMOTIONS-HIT-RATIO.csv", "FILE;ANG;SAD\nang_03_01.wav;1;0\n", "columns of the seven emotions are expected"),
    ],
)
def test_a_damaged_table_is_named(root: Path, name: str, text: str, message: str) -> None:
    (root / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        open_corpus("ai4ser", root)


def test_values_beyond_every_usual_range_take_a_range_of_their_own(root: Path) -> None:
    (root / "AROUSAL.csv").write_text("FILE;MEAN\nang_03_01.wav;8.5\nneu_03_02;2.0\n", encoding="utf-8")
    advice = r"the values of arousal go from 2 to 8.5, which is no usual range .*--dimension arousal=arousal:LOW:HIGH"
    with pytest.raises(UserError, match=advice):
        open_corpus("ai4ser", root)
    manifest = open_corpus("ai4ser", root, options={"dimensions": "arousal=arousal:1:9"})
    assert manifest.dimensions == {"arousal": Range(1, 9), "valence": Range(1, 5)}
    with pytest.raises(UserError, match=r"arousal is 8.5 in AROUSAL.csv, outside its range 1 to 8; mend it"):
        open_corpus("ai4ser", root, options={"dimensions": "arousal=arousal:1:8"})
    for wrong in ("tension=tension:0:1", "arousal=mean:1:9"):
        with pytest.raises(UserError, match=r"must be NAME=NAME:LOW:HIGH with one of arousal, dominance, valence"):
            open_corpus("ai4ser", root, options={"dimensions": wrong})
