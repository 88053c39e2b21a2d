"""Tables of clips: what is read, what is refused and with which line, and that writing and reading agree."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from affetto.corpora.formats import tables
from affetto.corpora.manifest import Clip, Manifest, merge
from affetto.errors import UserError
from affetto.inference.batch.inputs import recordings
from corpora.writing import write_table
from counting import count_calls

HEADER = "file,emotion,speaker"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """`table("header", "row", …)` → the path of such a table."""

    def write(*lines: str, name: str = "clips.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
        return tmp_path / name

    return write


def test_reads_every_column(table: Callable[..., Path], tmp_path: Path) -> None:
    path = table(
        "file,emotion,speaker,gender,split,prompt,start,end,language",
        "a/1.wav,Happy, s1 ,F,dev,hello,0.5,2,it",
        f"{tmp_path}/a/2.wav,rabbia,s2,maschio,test,,,,it",
        "/elsewhere/3.wav,neu,s2,,,,,,it",
    )
    manifest = tables.read(path, name="mine")
    assert manifest.corpus == "mine"
    assert manifest.root == tmp_path
    clips = {clip.file: clip for clip in manifest.clips}
    assert clips["a/1.wav"] == Clip("a/1.wav", "joy", "s1", "mine", "female", "hello", "validation", 0.5, 2.0)
    assert clips["a/2.wav"] == Clip("a/2.wav", "anger", "s2", "mine", "male", None, "test")
    assert clips["/elsewhere/3.wav"] == Clip("/elsewhere/3.wav", "neutrality", "s2", "mine")


@pytest.mark.parametrize(
    "header", ["path,label,speaker_id", "file_name,emo,spk", "Filename,Emotion,ACTOR", "wav,emo,spk"]
)
def test_columns_have_other_names(table: Callable[..., Path], header: str) -> None:
    (clip,) = tables.read(table(header, "x.wav,sad,s")).clips
    assert (clip.file, clip.emotion, clip.speaker) == ("x.wav", "sadness", "s")


@pytest.mark.parametrize("alias", ["dev", "val", "valid", "eval", "validation", "Validation"])
def test_names_of_the_validation_part(table: Callable[..., Path], alias: str) -> None:
    (clip,) = tables.read(table(f"{HEADER},split", f"x.wav,sad,s,{alias}")).clips
    assert clip.part == "validation"


def test_sentences_are_told_from_prompts_that_are_ids(table: Callable[..., Path]) -> None:
    def told(*lines: str) -> tuple[str | None, str | None]:
        (clip,) = tables.read(table(*lines)).clips
        return clip.prompt, clip.sentence

    assert told(f"{HEADER},sentence", "x.wav,sad,s,Sì") == ("Sì", "Sì")
    assert told(f"{HEADER},prompt", "x.wav,sad,s,b1") == ("b1", None)
    assert told(f"{HEADER},prompt", "x.wav,sad,s,Buona sera") == ("Buona sera", "Buona sera")
    assert told(f"{HEADER},sentence,prompt", "x.wav,sad,s,Buona sera,b1") == ("b1", "Buona sera")


def test_paths_of_windows_get_a_hint(table: Callable[..., Path], write_wav: Callable[..., Path]) -> None:
    write_wav("f1/a.wav")
    path = table(HEADER, "f1/a.wav,sad,s", "f1\\b.wav,sad,s", "C:\\x\\c.wav,sad,s")
    (note,) = tables.read(path).notes
    assert "2 listed files are not there and have backslashes" in note and "f1/a.wav" in note
    with pytest.raises(UserError, match="backslashes"):
        tables.read(path, strict=True)


@pytest.mark.parametrize(("listed", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_in_a_file_s_name_are_one_character_or_two(
    listed: str, there: str, table: Callable[..., Path], write_wav: Callable[..., Path]
) -> None:
    path = write_wav(unicodedata.normalize(there, "perché/è.wav"))
    manifest = tables.read(table(HEADER, unicodedata.normalize(listed, "perché/è.wav") + ",sad,s"))
    assert manifest.path(manifest.clips[0]) == path and not manifest.notes
    (one,) = recordings([str(table("file", unicodedata.normalize(listed, "perché/è.wav"), name="list.csv"))])
    assert one.path == path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_and_encodings(table: Callable[..., Path], delimiter: str, encoding: str) -> None:
    lines = [line.replace(",", delimiter) for line in (f"{HEADER},prompt", "è.wav,sad,s,perché")]
    (clip,) = tables.read(table(*lines, encoding=encoding)).clips
    assert (clip.file, clip.prompt) == ("è.wav", "perché")


def test_nkululeko_and_audformat(table: Callable[..., Path]) -> None:
    (clip,) = tables.read(table("file,emotion,speaker,gender,language", "x.wav,happy,s,female,it")).clips
    assert (clip.emotion, clip.gender) == ("joy", "female")
    path = table(
        "file,start,end,speaker,emotion", "x.wav,0 days,0 days 00:01:02.500000,s,sad", "y.wav,0 days,NaT,s,sad"
    )
    first, second = tables.read(path).clips
    assert (first.start, first.end) == (0.0, 62.5)
    assert (second.start, second.end) == (0.0, None)


def test_sections_of_one_file_are_clips_of_their_own(table: Callable[..., Path]) -> None:
    path = table(f"{HEADER},start,end", "x.wav,sad,s,0,1", "x.wav,joy,s,1,2")
    assert [clip.name for clip in tables.read(path).clips] == ["x.wav#0-1", "x.wav#1-2"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["emotion,speaker", "sad,s"], "clips.csv has no file column (one of file, path, "),
        (["file,speaker", "x.wav,s"], "has no emotion column (one of emotion, label, emo); found: file, speaker"),
        (["file,emotion", "x.wav,sad"], "speaker-independent split needs one"),
        ([HEADER, "x.wav,sad,s", "y.wav,sda,s"], "'sda' in clips.csv line 3: did you mean 'sad'"),
        ([HEADER, "x.wav,,s"], "clips.csv line 2 names no emotion"),
        ([HEADER, "x.wav,sad, "], "clips.csv line 2 names no speaker"),
        ([HEADER, " ,sad,s"], "clips.csv line 2 names no file"),
        ([HEADER, "x.wav,sad,s", "", "./x.wav,sad,s"], "clips.csv line 4 lists x.wav again (first: line 2)"),
        ([HEADER, "x.wav,sad"], "clips.csv line 2 has 2 columns where the header has 3"),
        ([HEADER, "x,y.wav,sad,s"], "clips.csv line 2 has 4 columns"),
        ([HEADER], "clips.csv lists no clips"),
        ([], "an empty table"),
        ([f"{HEADER},gender", "x.wav,sad,s,fm"], "clips.csv line 2: unknown gender 'fm'; known: female, male"),
        ([f"{HEADER},split", "x.wav,sad,s,tst"], "clips.csv line 2: unknown split 'tst': did you mean 'test'"),
        ([f"{HEADER},start", "x.wav,sad,s,one"], "clips.csv line 2: 'one' is no time"),
        ([f"{HEADER},start", "x.wav,sad,s,-1"], "clips.csv line 2: '-1' is no time in a file"),
        ([f"{HEADER},end", "x.wav,sad,s,inf"], "clips.csv line 2: 'inf' is no time in a file"),
        ([f"{HEADER},start,end", "x.wav,sad,s,2,2"], "clips.csv line 2: the section ends at 2 s, not after its start"),
    ],
)
def test_bad_tables_are_refused_with_the_line(table: Callable[..., Path], lines: list[str], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as raised:
        tables.read(table(*lines))
    assert "\n" not in str(raised.value)


def test_files_that_are_no_tables(table: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder; give the path of a table"):
        tables.read(tmp_path / "nowhere.csv")
    with pytest.raises(UserError, match=r"no table of clips here.* found nothing: the folder is empty"):
        tables.read(tmp_path)
    with pytest.raises(UserError, match="is not UTF-8 text"):
        tables.read(table(HEADER, "perché.wav,sad,s", encoding="latin-1"))
    with pytest.raises(UserError, match=r"is a quote open there\?"):
        tables.read(table(HEADER, 'x.wav,sad,"s' + "s" * 200_000))


def test_a_label_map_renames_and_drops(table: Callable[..., Path]) -> None:
    path = table(HEADER, "1.wav,calm,s", "2.wav,happy,s", "3.wav,boredom,s", "4.wav,sad,s")
    manifest = tables.read(path, label_map={"calm": "neutrality", "boredom": "drop", "joy": "good"})
    assert {clip.file: clip.emotion for clip in manifest.clips} == {
        "1.wav": "neutrality",
        "2.wav": "good",
        "4.wav": "sadness",
    }
    assert "1 clip is left out" in manifest.notes[0]


def test_two_columns_for_one_thing_are_noted(table: Callable[..., Path]) -> None:
    manifest = tables.read(table(f"{HEADER},label", "x.wav,sad,s,joy"))
    assert manifest.clips[0].emotion == "sadness"
    assert "the columns emotion, label all name the emotion; emotion is read" in manifest.notes[0]


def test_speaker_pattern_finds_the_speaker(table: Callable[..., Path]) -> None:
    path = table("file,emotion", "rab-f1-b1.wav,rab", "rab-m2-b1.wav,rab")
    assert tables.read(path, speaker_pattern="-([fm][0-9])-").speakers == ("f1", "m2")
    for pattern, said in {
        "-(x)-": r"clips.csv line 2: speaker_pattern '-\(x\)-' finds no speaker in 'rab-f1-b1.wav'",
        "-[fm]-": "has 0 groups",
        "(": "is no regular expression",
    }.items():
        with pytest.raises(UserError, match=said):
            tables.read(path, speaker_pattern=pattern)


def test_audio_root_is_where_relative_paths_start(
    table: Callable[..., Path], write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    write_wav("sounds/x.wav")
    path = table(HEADER, "x.wav,sad,s")
    assert "the one file listed is not there" in tables.read(path).notes[0]
    with pytest.raises(UserError, match="give --option audio_root=FOLDER"):
        tables.read(path, strict=True)
    manifest = tables.read(path, audio_root=str(tmp_path / "sounds"), strict=True)
    assert manifest.path(manifest.clips[0]) == tmp_path / "sounds/x.wav"


def corpus(root: Path, name: str, *, synthetic: bool = False) -> Manifest:
    clips = (
        Clip("a.wav", "joy", "s1", name, "female", 'a "quoted", one', "train", extra=(("raters", "joy|fear"),)),
        Clip("b c.wav", "fear", "s2", name, None, None, None, 0.1, 1 / 3),
        Clip("b c.wav", "fear", "s2", name, None, None, None, 1.0, None, (("age", "3"), ("raters", "joy"))),
        Clip(f"/elsewhere/{name}.wav", "anger", "s2", name),
    )
    return Manifest(name, root, clips, synthetic)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_what_is_written_reads_back_equal(tmp_path: Path, suffix: str) -> None:
    manifest = corpus(tmp_path, "mine", synthetic=True)
    write_table(manifest, tmp_path / f"out{suffix}")
    back = tables.read(tmp_path / f"out{suffix}", name="mine")
    assert back.clips == manifest.clips
    assert back.checksum() == manifest.checksum()
    assert back.synthetic


def test_written_elsewhere_it_names_the_same_audio(tmp_path: Path) -> None:
    both = merge([corpus(tmp_path / "one", "one"), corpus(tmp_path / "two", "two")])
    write_table(both, tmp_path / "new/out.csv")
    back = tables.read(tmp_path / "new/out.csv")
    assert {(back.path(clip), clip.start, clip.speaker) for clip in back.clips} == {
        (both.path(clip), clip.start, clip.speaker) for clip in both.clips
    }
    assert not back.synthetic


def test_reads_a_table_with_work_in_proportion_to_its_lines(table: Callable[..., Path]) -> None:
    """A million lines take some eight seconds: about 45 calls a line."""
    work = []
    for lines in (1000, 4000):
        path = table(f"{HEADER},start", *(f"audio/{line}.wav,happy,s{line % 99},{line}.5" for line in range(lines)))
        work.append(count_calls(lambda path=path: tables.read(path)))  # type: ignore[misc]
    assert work[1] < 4.2 * work[0] and work[1] < 4000 * 60
