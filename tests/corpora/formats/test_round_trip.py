"""Every format that is written reads back to the same clips."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from affetto.cli import main
from affetto.corpora.annotations import Range, Rating
from affetto.corpora.conversion import convert, writable
from affetto.corpora.formats.written_rows import ratings_cell
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.provenance import RECORD
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.splits.foreign import open_split

FORMATS = tuple(writable())
NAMED = (
    Rating("r1", ("anger",), (("arousal", 0.5),)),
    Rating("r2", ("joy", "anger")),
    Rating("r3", (), (("arousal", 1.0),)),
)
CLIPS = (
    Clip(
        file="s1/a.wav",
        emotion="anger",
        speaker="s1",
        gender="female",
        prompt="p1",
        sentence="Ciao, tutti",
        part="train",
    ),
    Clip(
        file="s1/b.wav", emotion="joy", speaker="s1", labels=("anger", "joy"), part="validation", extra=(("take", "2"),)
    ),
    Clip(
        file="s2/à.wav", emotion="fear", speaker="Zoë", start=0.1, end=0.7, part="test", dimensions=(("arousal", 0.1),)
    ),
    Clip(
        file="s2/à.wav", emotion="fear", speaker="Zoë", start=0.7, part="test", ratings=(Rating(labels=("fear",)),) * 3
    ),
    Clip(file="s2/c.wav", emotion="sadness", speaker="s2", ratings=NAMED, dimensions=(("arousal", 0.25),)),
)


@pytest.fixture
def manifest(tmp_path: Path, write_wav: Callable[..., Path], tone: Callable[..., np.ndarray]) -> Manifest:
    root = tmp_path / "corpus"
    for number, file in enumerate(sorted({clip.file for clip in CLIPS})):
        write_wav(Path("corpus") / file, tone(hz=200.0 + 40 * number))
    clips = tuple(replace(clip, corpus="corpus") for clip in CLIPS)
    return Manifest("corpus", root, clips, synthetic=True, dimensions={"arousal": Range(0, 1)})


def read(folder: Path, form: str) -> Manifest:
    return open_corpus(form, folder)


def facts(manifest: Manifest) -> list[tuple[object, ...]]:
    """All facts of the clips, with each recording by its bytes and not by its name."""
    return sorted(
        (
            (manifest.path(clip).read_bytes(), clip.start or 0.0, replace(clip, file="", corpus=""))
            for clip in manifest.clips
        ),
        key=lambda entry: entry[:2],
    )


@pytest.mark.parametrize("copy", [False, True], ids=["in place", "copied"])
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_reads_back_equal(manifest: Manifest, tmp_path: Path, form: str, copy: bool) -> None:
    out = tmp_path / "out"
    assert convert(manifest, out, form, copy=copy) == ()
    again = read(out, form)
    assert facts(again) == facts(manifest)
    assert again.synthetic and dict(again.dimensions) == dict(manifest.dimensions)
    if copy:  # the folder stands alone, wherever it is moved
        (tmp_path / "corpus").rename(tmp_path / "gone")
        out.rename(tmp_path / "moved")
        assert len(facts(read(tmp_path / "moved", form))) == len(CLIPS)


@pytest.mark.parametrize("form", FORMATS)
def test_a_plain_listing_stays_plain(manifest: Manifest, tmp_path: Path, form: str) -> None:
    clips = tuple(Clip(file=file, emotion="joy", speaker="s", corpus="corpus") for file in ("s1/a.wav", "s1/b.wav"))
    convert(replace(manifest, clips=clips, synthetic=False, dimensions={}), tmp_path / "out", form)
    again = read(tmp_path / "out", form)
    assert [replace(clip, file="", corpus="") for clip in again.clips] == [Clip("", "joy", "s")] * 2
    assert not again.synthetic and not again.dimensions


def test_a_format_is_recognised_by_its_folder(manifest: Manifest, tmp_path: Path) -> None:
    for form in FORMATS:
        convert(manifest, tmp_path / form, form)
        assert len(open_corpus(None, tmp_path / form).clips) == len(CLIPS), form


def test_ratings_in_a_cell() -> None:
    assert ratings_cell([Rating(labels=("joy",)), Rating(labels=("joy",)), Rating(labels=("fear",))]) == "joy=2;fear=1"
    assert json.loads(ratings_cell(NAMED))[0] == {"rater": "r1", "labels": ["anger"], "arousal": 0.5}


def test_what_must_be_asked_for_is_named(manifest: Manifest, tmp_path: Path) -> None:
    clip = replace(CLIPS[0], emotion="calm", corpus="corpus", dimensions=(("tension", 30.0),))
    official = {"calm": 1}
    odd = replace(manifest, clips=(clip,), dimensions={"tension": Range(0, 100)}, licence="CC0", official=official)
    notes = convert(odd, tmp_path / "out", "table")
    assert len(notes) == 3 and "--label 'calm=calm'" in notes[0] and "--dimension tension=tension:0:100" in notes[1]
    options = {"dimensions": "tension=tension:0:100"}
    again = open_corpus(None, tmp_path / "out", label_map={"calm": "calm"}, options=options)
    assert facts(again) == facts(odd) and again.dimensions == odd.dimensions
    assert again.licence == "CC0"  # it moves with the clips


@pytest.mark.parametrize("copy", [False, True], ids=["in place", "copied"])
@pytest.mark.parametrize("form", ["table", "datasets"])
def test_clips_that_cannot_be_used_are_counted_and_the_first_is_named(
    manifest: Manifest, tmp_path: Path, form: str, copy: bool
) -> None:
    whole = (tmp_path / "corpus/s1/b.wav").read_bytes()
    (tmp_path / "corpus/s1/a.wav").write_bytes(b"")
    (tmp_path / "corpus/s1/b.wav").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "corpus/s2/c.wav").write_bytes(b"no sound")
    (note,) = convert(manifest, tmp_path / "out", form, copy=copy)
    assert note.startswith("3 problems in the headers of 5 clips: ")
    assert "1 truncated" in note and "1 unreadable" in note
    assert "the first: s1/a.wav is empty (0 bytes); `affetto corpora inspect` lists all" in note


@pytest.mark.parametrize(
    ("official", "protocol", "words"),
    [
        ({}, "loso", "the default split of corpus is in"),
        ({"joy": 1}, "", "the official counts of corpus are in"),
        ({"joy": 1}, "loso", "the official counts and default split of corpus are in"),
    ],
)
def test_facts_of_the_record_alone_are_named(
    manifest: Manifest, tmp_path: Path, official: dict[str, int], protocol: str, words: str
) -> None:
    known = replace(manifest, official=official, protocol=protocol)
    assert convert(known, tmp_path / "out", "table") == (f"{words} {RECORD} alone",)


def test_existing_folders_are_replaced_where_they_are_conversions_alone(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(manifest, out, "table", copy=True)
    with pytest.raises(UserError, match="exists already"):
        convert(manifest, out, "table")
    with pytest.raises(UserError, match="holds recordings of"):
        convert(read(out, "table"), out, "table", overwrite=True)
    convert(manifest, out, "emobox", overwrite=True)
    assert json.loads((out / RECORD).read_text())["format"] == "emobox" and not (out / "corpus.csv").exists()
    with pytest.raises(UserError, match="no earlier conversion"):
        convert(manifest, tmp_path / "corpus", "table", overwrite=True)
    with pytest.raises(UserError, match="unknown format to write 'tabel': did you mean 'table'"):
        convert(manifest, tmp_path / "new", "tabel")


def test_nothing_is_left_of_a_conversion_that_fails(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "corpus/s1/a.wav").unlink()
    with pytest.raises(UserError, match=r"a\.wav cannot be copied"):
        convert(manifest, tmp_path / "out", "table", copy=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def test_a_file_from_outside_gets_a_name_of_its_own(manifest: Manifest, tmp_path: Path) -> None:
    outside = str((tmp_path / "corpus/s1/b.wav").resolve())
    clips = (
        replace(CLIPS[0], file="b.wav"),
        replace(CLIPS[1], file=outside),
        replace(CLIPS[4], file="../corpus/B.wav"),
    )
    for name in ("b.wav", "B.wav"):
        (tmp_path / "corpus" / name).write_bytes((tmp_path / "corpus/s1/a.wav").read_bytes())
    convert(replace(manifest, clips=clips), tmp_path / "out", "table", copy=True)
    assert {path.name for path in (tmp_path / "out/audio").iterdir()} == {"B.wav", "b-2.wav", "b-3.wav"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("prompt", "sentence"), [(None, "Sono qui"), ("due parole", None)])
def test_a_prompt_or_a_sentence_alone_stays_alone(
    manifest: Manifest, tmp_path: Path, prompt: str | None, sentence: str | None, form: str
) -> None:
    clip = replace(CLIPS[0], prompt=prompt, sentence=sentence)
    convert(replace(manifest, clips=(clip,)), tmp_path / "out", form)
    (again,) = read(tmp_path / "out", form).clips
    assert (again.prompt, again.sentence) == (prompt, sentence)


def test_folds_are_written_where_a_format_holds_them(manifest: Manifest, tmp_path: Path) -> None:
    ids = [clip.id for clip in manifest.clips]
    folds = {
        speaker: {clip: "test" if n == k else "train" for n, clip in enumerate(ids)} for k, speaker in enumerate("ab")
    }
    for form in ("table", "emobox"):
        convert(manifest, tmp_path / form, form, folds=folds)
        split = open_split(None, tmp_path / form)
        assert [len(fold.test) for fold in split.folds if fold.name != "split"] == [1, 1]
    with pytest.raises(UserError, match="holds one split, not 2 folds: use"):
        convert(manifest, tmp_path / "no", "nkululeko", folds=folds)
    convert(manifest, tmp_path / "alone", "nkululeko", folds={"all": dict.fromkeys(ids[:2], "train")})
    assert [clip.part for clip in read(tmp_path / "alone", "nkululeko").clips].count("train") == 2


def test_the_command_writes_the_folds_of_a_split(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = tuple(
        Clip(file=f"s1/{name}.wav", emotion="anger", speaker=name, corpus="first", extra=(("n", name),))
        for name in "abc"
    )
    convert(replace(manifest, corpus="first", clips=clips, dimensions={}), tmp_path / "first", "table")
    words = ["convert", tmp_path / "first", tmp_path / "second", "--to", "emobox", "--split", "loso"]
    monkeypatch.setattr(sys, "argv", ["affetto", "corpora", *map(str, words)])
    with pytest.raises(SystemExit) as ending:
        main()
    shown = capsys.readouterr()
    assert not ending.value.code and shown.out == f"{tmp_path / 'second'}: 3 clips of first as emobox\n"
    assert sorted(file.name for file in (tmp_path / "second/fold_3").iterdir()) == [
        f"first_{part}_fold_3.jsonl" for part in ("test", "train", "valid")
    ]
    assert open_split(None, tmp_path / "second").folds[2].name == "fold_3"
