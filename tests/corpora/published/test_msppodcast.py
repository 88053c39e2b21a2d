"""MSP-Podcast's tables: consensus, official parts, dimensions, and raters in both layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.annotations import Range, Rating
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.splits import make_split

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
ROWS = """MSP-PODCAST_0001_0008.wav,N,2.4,4.0,2.8,25,Female,Train
MSP-PODCAST_0001_0009.wav,C,4.4,2.0,5.0,Unknown,Male,Train
MSP-PODCAST_0002_0001.wav,X,4.4,2.0,5.0,26,Male,Train
MSP-PODCAST_0003_0001.wav,O,4.4,2.0,5.0,27,Male,Development
MSP-PODCAST_0003_0002.wav,N,4.4,2.0,5.0,27,Male,Development
MSP-PODCAST_0004_0001.wav,C,4.4,2.0,5.0,28.0,Male,Test1
MSP-PODCAST_0005_0001.wav,N,4.4,2.0,5.0,29,,Test2
"""
DETAILS = """FileName,EmoDetail
MSP-PODCAST_0001_0008.wav,"WORKER01; Other-confused; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;"
MSP-PODCAST_0001_0008.wav,"WORKER18; Neutral; Neutral; A:1.000000; V:4.000000; D:2.000000;"
MSP-PODCAST_0001_0008.wav,"WORKER44; Surprise; A:3.000000; V:5.000000; D:3.000000;"
"""
COLUMNS = """FileName,Workers,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom
MSP-PODCAST_0001_0008.wav,WORKER01,Other-confused,"Concerned,Confused",3,3,4
MSP-PODCAST_0001_0008.wav,WORKER18,Neutral,Neutral,1,4,2
MSP-PODCAST_0001_0008.wav,WORKER44,Surprise,Surprise,3,5,3
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("Labels", "Audios", "Transcripts"):
        (tmp_path / name).mkdir()
    (tmp_path / "Labels/labels_consensus.csv").write_text(HEADER + ROWS, encoding="utf-8")
    (tmp_path / "Transcripts/MSP-PODCAST_0001_0008.txt").write_text("well, you know\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("inner", ["", "Labels", "Audios"])
def test_eight_classes_parts_and_dimensions(root: Path, inner: str) -> None:
    manifest = open_corpus(None, root / inner, options={"test": "both"})
    assert manifest.corpus == "msppodcast" and manifest.labels == ("neutrality", "contempt")
    first, unknown, *_, test = manifest.clips
    assert first.file == "Audios/MSP-PODCAST_0001_0008.wav" and first.sentence == "well, you know"
    assert first.dimensions == (("arousal", 2.4), ("dominance", 2.8), ("valence", 4.0))
    assert (unknown.speaker, test.gender, test.part) == ("unknown-MSP-PODCAST_0001", None, "test")
    assert [clip.speaker for clip in manifest.clips][3] == "28"
    assert manifest.dimensions == dict.fromkeys(("arousal", "dominance", "valence"), Range(1, 7))
    notes = " ".join(manifest.notes)
    assert "1 clip without agreement of the raters (X) is left out" in notes
    assert "1 clip of other is left out" in notes and "labels_detailed.csv is not there" in notes
    assert "5 of the 5 clips of labels_consensus.csv have no file, such as Audios/MSP-PODCAST_0001_0008.wav" in notes
    split = make_split(open_corpus("msppodcast", root))
    assert split.protocol == "column" and len(split.folds[0].test) == 1


@pytest.mark.parametrize(
    ("test", "tested", "left_out"),
    [
        (None, ["28"], "1 clip of Test2 is left out; --option test=test2 or --option test=both takes them"),
        ("test2", ["29"], "1 clip of Test1 is left out; --option test=test1 or --option test=both takes them"),
        ("Both", ["28", "29"], None),
    ],
)
def test_the_two_tests_are_tested_apart_by_default(
    root: Path, test: str | None, tested: list[str], left_out: str | None
) -> None:
    manifest = open_corpus("msppodcast", root, options={"test": test} if test else None)
    assert [clip.speaker for clip in manifest.clips if clip.part == "test"] == tested
    assert [note for note in manifest.notes if "of Test" in note] == ([left_out] if left_out else [])
    assert {clip.part for clip in manifest.clips} == {"train", "validation", "test"}


def test_the_hidden_test_is_no_part_of_another(root: Path) -> None:
    """Its labels are hidden; a release that shows them would make it the third."""
    rows = ROWS + "MSP-PODCAST_0006_0001.wav,N,2.4,4.0,2.8,30,Male,test3\n"
    (root / "Labels/labels_consensus.csv").write_text(HEADER + rows, encoding="utf-8")
    manifest = open_corpus("msppodcast", root, options={"test": "both"})
    assert "30" not in {clip.speaker for clip in manifest.clips}
    assert "1 clip of Test3 is left out" in manifest.notes


def test_another_test_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="option test='test3' must be test1, test2 or both"):
        open_corpus("msppodcast", root, options={"test": "test3"})


def test_missing_files_are_an_error_under_strict(root: Path) -> None:
    for line in ROWS.splitlines()[:-1]:
        (root / "Audios" / line.split(",")[0]).touch()
    both = {"test": "both"}
    assert "1 of the 5 clips" in " ".join(open_corpus("msppodcast", root, options=both).notes)
    with pytest.raises(UserError, match=r"such as Audios/MSP-PODCAST_0005_0001.wav; unpack the whole corpus"):
        open_corpus("msppodcast", root, strict=True, options=both)


def test_other_is_kept_when_asked_but_no_agreement_never(root: Path) -> None:
    assert open_corpus("msppodcast", root, keep_other=True).labels == ("neutrality", "contempt", "other")
    assert open_corpus("msppodcast", root, label_map={"C": "anger"}).labels == ("anger", "neutrality")


@pytest.mark.parametrize("table", [DETAILS, COLUMNS])
def test_raters_in_both_layouts(root: Path, table: str) -> None:
    (root / "Labels/labels_detailed.csv").write_text(table, encoding="utf-8")
    clip, bare, *_ = open_corpus("msppodcast", root).clips
    assert clip.ratings == (
        Rating("WORKER01", (), (("arousal", 3), ("dominance", 4), ("valence", 3))),
        Rating("WORKER18", ("neutrality",), (("arousal", 1), ("dominance", 2), ("valence", 4))),
        Rating("WORKER44", ("surprise",), (("arousal", 3), ("dominance", 3), ("valence", 5))),
    )
    assert bare.ratings == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((",N,2.4", ",Q,2.4"), "unknown emotion class in labels_consensus.csv line 2 'Q'"),
        ((",2.4,", ",9.4,"), "labels_consensus.csv line 2: '9.4' is no judgement from 1 to 7"),
        (("Train", "Practice"), "unknown part in labels_consensus.csv line 2 'Practice'"),
        (("EmoDom", "Dominance"), "has no column EmoDom"),
    ],
)
def test_a_damaged_table_is_named(root: Path, change: tuple[str, str], message: str) -> None:
    (root / "Labels/labels_consensus.csv").write_text((HEADER + ROWS).replace(*change), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        open_corpus("msppodcast", root)
