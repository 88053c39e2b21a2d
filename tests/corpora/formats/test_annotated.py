"""Tables with several labels, ratings, raters and dimensions: what is read, and what is refused with which line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from affetto.corpora.annotations import Range, Rating
from affetto.corpora.formats import tables
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError


def read(folder: Path, *lines: str, dimensions: str = "", label_map: dict[str, str] | None = None) -> Manifest:
    """The manifest of a table with these lines."""
    path = folder / "clips.csv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    options = {"dimensions": dimensions} if dimensions else {}
    return open_corpus("mine", path, options=options, label_map=label_map)


def clips(manifest: Manifest) -> dict[str, Clip]:
    return {clip.file: clip for clip in manifest.clips}


def test_a_cell_may_hold_several_labels(tmp_path: Path) -> None:
    found = clips(read(tmp_path, "file,emotion,speaker", "a.wav,sad|happy,s", "b.wav,sad,s"))
    assert (found["a.wav"].emotion, found["a.wav"].labels) == ("sadness", ("joy", "sadness"))
    assert (found["b.wav"].emotion, found["b.wav"].labels) == ("sadness", ())
    mapped = read(tmp_path, "file,emotion,speaker", "a.wav,sad|happy,s", "b.wav,sad,s", label_map={"sad": "drop"})
    assert [(clip.file, clip.emotion, clip.labels) for clip in mapped.clips] == [("a.wav", "joy", ())]


def test_counts_of_ratings_are_ratings_whose_majority_is_the_emotion(tmp_path: Path) -> None:
    manifest = read(tmp_path, "file,ratings,speaker", "a.wav,anger=3;joy=2,s", "b.wav,joy=1; sad=1,s")
    found = clips(manifest)
    assert found["a.wav"].emotion == "anger" and Counter(found["a.wav"].ratings) == {
        Rating(labels=("anger",)): 3,
        Rating(labels=("joy",)): 2,
    }
    assert found["b.wav"].emotion == "joy"
    assert any("1 clip has tied ratings" in note for note in manifest.notes)


def test_an_emotion_of_the_table_stands_before_the_majority(tmp_path: Path) -> None:
    (clip,) = read(tmp_path, "file,emotion,ratings,speaker", "a.wav,fear,anger=3;joy=2,s").clips
    assert clip.emotion == "fear" and len(clip.ratings) == 5


def test_the_rows_of_all_raters_are_one_clip(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        "file,speaker,rater,emotion,arousal",
        "a.wav,s,r1,joy,0.5",
        "b.wav,s,r1,fear,",
        "a.wav,s,r2,anger|joy,1",
        "a.wav,s,r3,anger,",
    )
    found = clips(manifest)
    assert found["a.wav"].ratings == (
        Rating("r1", ("joy",), (("arousal", 0.5),)),
        Rating("r2", ("anger", "joy"), (("arousal", 1.0),)),
        Rating("r3", ("anger",)),
    )
    assert (found["a.wav"].emotion, found["a.wav"].dimensions) == ("anger", (("arousal", 0.75),))
    assert (found["b.wav"].emotion, found["b.wav"].dimensions) == ("fear", ())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("0", "1"), Range(0, 1)),
        (("-0.2", "1"), Range(-1, 1)),
        (("0.5", "1.5"), None),
        (("1", "5"), Range(1, 5)),
        (("1", "6.5"), Range(1, 7)),
        (("0", "100"), None),
    ],
)
def test_the_range_of_a_dimension_is_found_by_its_values(tmp_path: Path, values, expected) -> None:
    lines = ("file,speaker,Valence", *(f"{n}.wav,s,{value}" for n, value in enumerate(values)))
    if expected is None:
        with pytest.raises(UserError, match=r"no usual range .*--dimension valence=valence:LOW:HIGH"):
            read(tmp_path, *lines)
        expected = Range(0, 100)
        manifest = read(tmp_path, *lines, dimensions="valence=VALENCE:0:100")
        assert not any("ranges taken" in note for note in manifest.notes)
    else:
        manifest = read(tmp_path, *lines)
        assert any(f"valence {expected}" in note for note in manifest.notes)
    assert manifest.dimensions == {"valence": expected}
    assert manifest.labels == () and manifest.clips[0].dimensions == (("valence", float(values[0])),)


def test_dimensions_of_other_names_are_read_where_the_user_names_their_columns(tmp_path: Path) -> None:
    lines = ("file,speaker,act,emotion", "a.wav,s,3,joy")
    manifest = read(tmp_path, *lines, dimensions="arousal=act:1:5,tension=act:0:3")
    assert manifest.clips[0].dimensions == (("arousal", 3.0), ("tension", 3.0))
    assert manifest.dimensions == {"arousal": Range(1, 5), "tension": Range(0, 3)}


HEADER = "file,speaker,emotion,"


@pytest.mark.parametrize(
    ("lines", "dimensions", "why"),
    [
        ((HEADER + "arousal", "a.wav,s,joy,high"), "", "clips.csv line 2: arousal must be a number, not 'high'"),
        ((HEADER + "arousal", "a.wav,s,joy,inf"), "", "line 2: arousal must be a finite number"),
        (
            (HEADER + "arousal", "a.wav,s,joy,9"),
            "arousal=arousal:1:7",
            "line 2: arousal is 9, outside its range 1 to 7",
        ),
        ((HEADER + "x", "a.wav,s,joy,9"), "arousal=act:1:7", "no column act for the dimension arousal; found: file"),
        ((HEADER + "x", "a.wav,s,joy,9"), "arousal=act", "must be NAME=COLUMN:LOW:HIGH"),
        ((HEADER + "x", "a.wav,s,joy,9"), "arousal=x:7:1", "with LOW below HIGH"),
        ((HEADER + "x", "a.wav,s,joy,9"), "a=x:0:9,a=x:0:9", "names the dimension a twice"),
        ((HEADER + "ratings", "a.wav,s,joy,joy=0"), "", "line 2: the ratings 'joy=0' sum to 0"),
        ((HEADER + "ratings", "a.wav,s,joy,joy=0.5"), "", "line 2: 'joy=0.5' is no number of ratings"),
        ((HEADER + "ratings", "a.wav,s,joy,joy"), "", "line 2: 'joy' is no number of ratings"),
        ((HEADER + "ratings", "a.wav,s,joy,joyy=1"), "", "unknown emotion 'joyy' in clips.csv line 2"),
        ((HEADER + "ratings", "a.wav,s,joy,joy=99999"), "", "more than 10,000 ratings"),
        ((HEADER + "rater", "a.wav,s,joy,r", "a.wav,s,joy,r"), "", "line 3: rater 'r' rates a.wav again"),
        ((HEADER + "rater", "a.wav,s,joy,r", "a.wav,t,joy,q"), "", "line 3 gives a.wav the speaker 't', line 2 's'"),
        ((HEADER + "rater", "a.wav,s,joy,"), "", "line 2 names no rater"),
        ((HEADER + "rater,ratings", "a.wav,s,joy,r,joy=1"), "", "the columns rater and ratings"),
        (("file,speaker,arousal", "a.wav,s,"), "", "line 2 has no emotion, ratings or dimension"),
        (("file,speaker,x", "a.wav,s,1"), "", "has no emotion column"),
    ],
)
def test_faulty_annotations_are_refused_with_their_line(tmp_path: Path, lines, dimensions, why) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, *lines, dimensions=dimensions)
    assert why in str(caught.value)


def test_a_table_of_dimensions_beside_one_of_emotions_is_no_second_listing(tmp_path: Path) -> None:
    (tmp_path / "features.csv").write_text("file,speaker,arousal\na.wav,s,1\n")
    assert tables.only_listing(tmp_path).name == "features.csv"
    (tmp_path / "clips.csv").write_text("file,speaker,emotion\na.wav,s,joy\n")
    assert tables.only_listing(tmp_path).name == "clips.csv"
