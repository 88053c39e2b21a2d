"""Manifests: names that are unique, a checksum that notices what matters, several corpora as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from affetto.corpora.formats import tables
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.manifest import Clip, Manifest, NoClipsError, merge
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from corpora.writing import write_table

FULL = Clip("a.wav", "joy", "s1", "mine", "female", "hello", "train", 0.5, 2.0, (("raters", "joy|fear"),))


def manifest(*clips: Clip, root: Path = Path("/corpus"), corpus: str = "mine") -> Manifest:
    return Manifest(corpus, root, clips)


def test_a_clip_is_named_by_file_section_and_corpus() -> None:
    assert Clip("a.wav", "joy", "s").name == "a.wav"
    assert FULL.id == "mine:a.wav#0.5-2"
    assert Clip("a.wav", "joy", "s", start=3.0).name == "a.wav#3-"
    assert Clip("a.wav", "joy", "s", end=1.25).name == "a.wav#0-1.25"


def test_sections_far_into_a_recording_keep_names_of_their_own() -> None:
    first = Clip("day.wav", "joy", "s", start=86_000.01, end=86_003.0)
    both = manifest(first, replace(first, start=86_000.02))
    assert [clip.name for clip in both.clips] == ["day.wav#86000.01-86003", "day.wav#86000.02-86003"]


def test_clips_are_sorted_and_each_is_there_once() -> None:
    one, two = Clip("1.wav", "joy", "s"), Clip("2.wav", "joy", "s")
    assert manifest(two, one).clips == (one, two)
    with pytest.raises(UserError, match=r"/corpus: clip ':1\.wav' is listed 2 times"):
        manifest(one, two, replace(one, emotion="fear"))


def test_a_manifest_of_nothing_is_refused() -> None:
    with pytest.raises(NoClipsError, match=r"no clips in /corpus: none is listed, or all are left out; check"):
        manifest()
    with pytest.raises(NoClipsError):
        manifest(FULL).only(lambda clip: clip.emotion == "fear")


def test_counts_have_the_seven_emotions_first_and_classes_of_ones_own_last() -> None:
    clips = (Clip("1.wav", "zeal", "s"), Clip("2.wav", "surprise", "t"), Clip("3.wav", "anger", "s"))
    found = manifest(*clips)
    assert found.labels == ("anger", "surprise", "zeal")
    assert found.speakers == ("s", "t")
    assert list(found.per_emotion()) == [*EMOTIONS, "zeal"]
    assert found.per_emotion()["joy"] == 0


def test_only_keeps_the_rest_and_says_why() -> None:
    whole = manifest(FULL, replace(FULL, file="b.wav", emotion="fear"))
    kept = whole.only(lambda clip: clip.emotion == "fear", "joy is left out")
    assert [clip.file for clip in kept.clips] == ["b.wav"]
    assert (kept.notes, whole.notes) == (("joy is left out",), ())


@pytest.mark.parametrize(
    "change",
    [
        {"emotion": "fear"},
        {"speaker": "s2"},
        {"gender": None},
        {"prompt": "bye"},
        {"part": "test"},
        {"start": 0.25},
        {"end": None},
        {"file": "b.wav"},
        {"corpus": "yours"},
    ],
)
def test_the_checksum_changes_with_all_that_a_result_depends_on(change: dict[str, object]) -> None:
    changed = replace(FULL, **change)  # type: ignore[arg-type]
    assert manifest(changed).checksum() != manifest(FULL).checksum()


def test_the_checksum_depends_on_neither_order_place_nor_ratings() -> None:
    other = Clip("b.wav", "fear", "s2", "mine")
    expected = manifest(FULL, other).checksum()
    assert manifest(other, FULL).checksum() == expected
    assert manifest(FULL, other, root=Path("/elsewhere")).checksum() == expected
    assert manifest(replace(FULL, extra=()), other).checksum() == expected


def test_fields_cannot_run_into_one_another_in_the_checksum() -> None:
    first, second = Clip("a.wav", "joy", "s1", prompt="x"), Clip("a.wav", "joy", "s1", gender="x")
    assert manifest(first).checksum() != manifest(second).checksum()


# -- several corpora -------------------------------------------------------------------------------------------


def test_two_corpora_with_the_same_names_merge_into_clips_of_their_own() -> None:
    one = manifest(replace(FULL, corpus="one"), root=Path("/1"), corpus="one")
    two = manifest(replace(FULL, corpus="two"), root=Path("/2"), corpus="two")
    both = merge([one, replace(two, synthetic=True, licence="CC0", notes=("look",))])
    assert both.corpus == "one+two"
    assert [clip.id for clip in both.clips] == ["one:a.wav#0.5-2", "two:a.wav#0.5-2"]
    assert [both.path(clip) for clip in both.clips] == [Path("/1/a.wav"), Path("/2/a.wav")]
    assert both.speakers == ("one:s1", "two:s1")  # two people, though each corpus calls its own one s1
    assert {clip.prompt for clip in both.clips} == {"one:hello", "two:hello"}
    assert (both.synthetic, both.licence, both.notes) == (True, "CC0", ("two: look",))


def test_one_corpus_stays_as_it_is_and_two_of_one_name_are_refused() -> None:
    one = manifest(FULL)
    assert merge([one]) is one
    with pytest.raises(UserError, match=r"two corpora are named alike \(mine, mine\): name each of them, as --corpus"):
        merge([one, one])


# -- written and read again ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["emovo", "demos", "emozionalmente"])
def test_a_corpus_written_as_a_table_reads_back_equal(tmp_path: Path, kind: str) -> None:
    files = {
        "emovo": ["f1/rab-f1-b1.wav", "m1/neu-m1-l1.wav"],
        "demos": ["DEMOS/PR_f_01_rab18b.wav", "NEU/f_01_neu01a.wav"],
        "emozionalmente": ["audio/1.wav"],
    }[kind]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    if kind == "emozionalmente":
        (tmp_path / "metadata").mkdir()
        columns = "file_name,sentence,sentence_language,actor,emotion_expressed"
        (tmp_path / "metadata/samples.csv").write_text(f'{columns}\n1.wav,"Sì, ""qui""",it,a,joy\n', encoding="utf-8")
        ratings = "file_name,emotion_recognized\n1.wav,joy\n1.wav,fear\n"
        (tmp_path / "metadata/evaluations.csv").write_text(ratings)
    read = open_corpus(kind, tmp_path)
    write_table(read, tmp_path / "clips.csv")
    again = tables.read(tmp_path / "clips.csv", name=kind, strict=True)
    # The answers of raters stand in `extra`; a table that is written has no column of its own for them.
    assert again.clips == tuple(replace(clip, ratings=()) for clip in read.clips)
    assert again.checksum() == read.checksum()
    write_table(again, tmp_path / "twice.csv")
    assert (tmp_path / "twice.csv").read_bytes() == (tmp_path / "clips.csv").read_bytes()


def test_paths_outside_the_root_survive_the_round_trip(tmp_path: Path) -> None:
    clips = tuple(Clip(file, "joy", "s", "mine") for file in ("../up.wav", "/elsewhere/x.wav", "in.wav"))
    write_table(manifest(*clips, root=tmp_path), tmp_path / "clips.tsv")
    assert tables.read(tmp_path / "clips.tsv", name="mine").clips == clips
