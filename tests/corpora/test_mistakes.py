"""Every mistake that a newcomer makes with a corpus ends in one line: what, which item, what is allowed, what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from affetto.corpora.registry import check_layout, open_corpus
from affetto.errors import UserError

TABLE = "file,emotion,speaker\n"
SAMPLES = "file_name,sentence,sentence_language,actor,emotion_expressed\n"


def put(path: Path, content: str | bytes = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def told(name: str | None, path: Path, **more: object) -> str:
    """What the user is told of a corpus that cannot be read: it must be one line."""
    with pytest.raises(UserError) as raised:
        open_corpus(name, path, **more)  # type: ignore[arg-type]
    line = str(raised.value)
    assert line.isprintable(), line
    return line


def has(line: str, *parts: str) -> None:
    for part in parts:
        assert part in line, f"{part!r} is not in: {line}"


# -- folders ---------------------------------------------------------------------------------------------------

LOOKED_FOR = {
    "emovo": "Looked for folders f1, f2, f3, m1, m2, m3 with files such as rab-f1-b1.wav",
    "emozionalmente": "Looked for metadata/samples.csv, beside audio/",
    "demos": "Looked for the folders DEMOS and NEU with files such as PR_f_01_rab18b.wav",
    "table": "Looked for a .csv, .tsv, .txt with the columns file, emotion and speaker",
    "audiofolder": "Looked for metadata.csv or metadata.jsonl with file_name, or folders named after emotions",
    "emobox": "neither a .jsonl file nor a folder of some",
}


def test_a_corpus_of_another_layout_says_what_it_looks_like(tmp_path: Path) -> None:
    root = put(tmp_path / "EMOVO/f1/rab-f1-b1.wav").parent.parent
    for name in ("ravdess", "RAVDESS", "iemocap", "table"):
        has(told(name, root), "Looked for", f"It looks like EMOVO (--corpus emovo={root})")
    assert "looks like" not in told("ravdess", put(tmp_path / "thesis/notes.docx").parent)


def test_a_layout_is_checked_before_a_corpus_is_read(tmp_path: Path) -> None:
    root = put(tmp_path / "EMOVO/f1/rab-f1-b1.wav").parent.parent
    assert check_layout("emovo", root) == check_layout("EMOVO", root) == ()
    assert "is EMOVO, and runs under the name 'emovi'" in check_layout("emovi", root)[0]
    assert check_layout("mine", put(tmp_path / "clips.csv", TABLE)) == ()
    for name, place in (("ravdess", root), ("emovi", put(tmp_path / "thesis/notes.docx").parent)):
        with pytest.raises(UserError, match=r"It looks like EMOVO|looks like no known corpus"):
            check_layout(name, place)


def test_a_mistyped_name_is_noted_with_the_right_one(tmp_path: Path) -> None:
    root = put(tmp_path / "EMOVO/f1/rab-f1-b1.wav").parent.parent
    manifest = open_corpus("emovi", root)
    assert (manifest.corpus, manifest.key) == ("emovi", "emovo")
    assert f"is EMOVO, and runs under the name 'emovi'; its own is --corpus emovo={root}" in manifest.notes[-1]
    assert not any("runs under" in note for note in open_corpus(None, root).notes)
    table = put(tmp_path / "clips.csv", TABLE + "a.wav,joy,1\n")
    mine = open_corpus("mine", table)
    assert mine.key == "table" and not any("runs under" in note for note in mine.notes)


@pytest.mark.parametrize("name", LOOKED_FOR)
def test_a_wrong_root_names_what_was_looked_for_and_found(tmp_path: Path, name: str) -> None:
    put(tmp_path / "thesis/figures/one.pdf")
    put(tmp_path / "thesis/figures/two.pdf")
    put(tmp_path / "thesis/notes.docx")
    found = "the folder figures (2 .pdf files such as one.pdf), 1 .docx file named notes.docx"
    line = told(name, tmp_path / "thesis")
    has(line, str(tmp_path / "thesis"), LOOKED_FOR[name], found)
    assert "Give the " in line or "give EmoBox's" in line


@pytest.mark.parametrize("name", LOOKED_FOR)
def test_an_empty_folder_an_archive_and_nothing_at_all(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    packed = put(tmp_path / "download/corpus.zip", b"PK\3\4")
    has(told(name, tmp_path / "empty"), f"{tmp_path / 'empty'}", "nothing: the folder is empty")
    has(told(name, tmp_path / "download"), "1 .zip file named corpus.zip (an archive: unpack it)")
    has(told(name, packed), f"{packed} is an archive: unpack it, and give what it unpacks to")
    has(told(name, tmp_path / "nowhere"), f"{tmp_path / 'nowhere'}: no such file or folder; give the path of")


def test_an_unnamed_corpus_that_is_none_lists_the_known_ones(tmp_path: Path) -> None:
    put(tmp_path / "x/notes.docx")
    line = told(None, tmp_path / "x")
    has(line, "looks like no known corpus", "notes.docx", "emovo, emozionalmente, ", "table", "--as NAME")


def test_a_folder_of_two_corpora_is_not_read_as_the_first(tmp_path: Path) -> None:
    put(tmp_path / "EMOVO/f1/rab-f1-b1.wav")
    put(tmp_path / "NEU/f_01_neu01a.wav")
    has(told(None, tmp_path), f"{tmp_path} holds several corpora: demos, emovo. Give the folder of one, or name one")
    assert open_corpus("emovo", tmp_path).corpus == "emovo"


def test_a_folder_of_two_tables_says_so(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", TABLE + "x.wav,joy,s\n")
    put(tmp_path / "b.csv", TABLE + "y.wav,joy,s\n")
    for name in ("table", None):
        has(told(name, tmp_path), f"{tmp_path} holds 2 tables of clips: a.csv, b.csv; give one of them")


def test_files_of_a_corpus_in_other_folders_or_under_other_names(tmp_path: Path) -> None:
    put(tmp_path / "1/f1/rab-f2-b1.wav")
    has(told("emovo", tmp_path / "1"), "no file here names the actor in whose folder it lies", "f1/rab-f1-b1.wav")
    put(tmp_path / "2/f1/anger1.wav")
    has(told("emovo", tmp_path / "2"), "no EMOVO here", "found the folder f1 (1 .wav file named anger1.wav)")
    put(tmp_path / "3/DEMOS/anger1.wav")
    has(told("demos", tmp_path / "3"), "no DEMoS here", "found the folder DEMOS (1 .wav file named anger1.wav)")


# -- tables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\xff\xfe" * 50, ("is not UTF-8 text (line 1", "save the table as CSV in UTF-8")),
        (b"\0" * 999, ("line 1 holds zero bytes: no text", "save the table as CSV in UTF-8")),
        (TABLE.encode() + b"a.wav,joy,s\0\n", ("line 2 holds zero bytes",)),
        (TABLE.encode("utf-16"), ("is not UTF-8 text", "save the table as CSV in UTF-8")),
        ((TABLE + "perché.wav,joy,s\n").encode("latin-1"), ("is not UTF-8 text",)),
        ("", ("an empty table; its first line must name the columns, such as file,emotion,speaker",)),
        (TABLE, ("lists no clips: below its header (file, emotion, speaker) is nothing; add a line for each",)),
        ("a.wav,joy,s\nb.wav,joy,s\n", ("no file column (one of file, path", "found: a.wav, joy, s; expected: file")),
        (TABLE + "a.wav,joy,s\na.wav,sad,s\n", ("line 3 lists a.wav again (first: line 2)", "may be listed once")),
        (TABLE + "a.wav,joy,\n", ("line 2 names no speaker (''); each clip needs one: fill it in, or leave",)),
        (TABLE + "a.wav,joy,NaN\n", ("line 2 names no speaker ('NaN')",)),
        (TABLE + '"a.wav,joy,s\n', ("line 2 has 1 columns where the header has 3", "quotes closed")),
        (TABLE + "https://example.org/a.wav,joy,s\n", ("'https://example.org/a.wav' is an address", "download it")),
        ("file,emotion\na.wav,joy\n", ("no speaker column", "add it, or give --option speaker_pattern=PATTERN")),
    ],
)
def test_bad_tables(tmp_path: Path, content: str | bytes, said: tuple[str, ...]) -> None:
    has(told(None, put(tmp_path / "clips.csv", content)), "clips.csv", *said)


def test_a_long_header_is_not_recited(tmp_path: Path) -> None:
    line = told("table", put(tmp_path / "features.csv", ",".join(f"f{n}" for n in range(500)) + "\n"))
    has(line, "no file column", "f0, f1,", "and 488 more")
    assert len(line) < 500


def test_an_unknown_label_has_a_guess_and_advice_that_works(tmp_path: Path) -> None:
    path = put(tmp_path / "clips.csv", TABLE + "a.wav,hapy,s\nb.wav,sad,s\n")
    line = told(None, path)
    has(line, "unknown emotion 'hapy' in clips.csv line 2: did you mean 'happy'?", "Known: anger, disgust, fear")
    has(line, "--label hapy=EMOTION", "--label hapy=drop")
    assert open_corpus(None, path, label_map={"hapy": "joy"}).labels == ("joy", "sadness")
    assert open_corpus(None, path, label_map={"hapy": "drop"}).labels == ("sadness",)


def test_single_letters_are_not_guessed(tmp_path: Path) -> None:
    line = told(None, put(tmp_path / "clips.csv", TABLE + "a.wav,A,s\n"))
    has(line, "unknown emotion 'A' in clips.csv line 2: known: anger", "--label A=EMOTION")


def test_a_label_map_that_drops_everything_or_lacks_a_side(tmp_path: Path) -> None:
    path = put(tmp_path / "clips.csv", TABLE + "a.wav,joy,s\nb.wav,sad,s\n")
    line = told(None, path, label_map={"joy": "drop", "sad": "drop"})
    has(line, str(path), "the label map drops every clip (joy, sad); keep some of them")
    has(told(None, path, label_map={"joy": ""}), "the label map joy= lacks a side; give --label NAME=EMOTION")
    put(tmp_path / "emovo/f1/rab-f1-b1.wav")
    has(told("emovo", tmp_path / "emovo", label_map={"anger": "drop"}), "the label map drops every clip (anger)")


def test_files_listed_that_are_not_there(tmp_path: Path) -> None:
    path = put(tmp_path / "clips.csv", TABLE + "a.wav,joy,s\nb.wav,joy,s\n")
    (note,) = open_corpus(None, path).notes
    has(
        note,
        "none of the first 2 files listed is there",
        str(tmp_path / "a.wav"),
        f"relative paths start in {tmp_path}",
    )
    has(told(None, path, strict=True), note, "Move the table, or give --option audio_root=FOLDER")
    put(tmp_path / "b.wav")
    assert open_corpus(None, path, strict=True).notes == ()


def test_absolute_and_upward_paths_are_the_users_own_affair(tmp_path: Path) -> None:
    """A table is its user's; it may name what the user may read, and is not rewritten."""
    inside, outside = put(tmp_path / "tables/in.wav"), put(tmp_path / "audio/out.wav")
    path = put(tmp_path / "tables/clips.csv", TABLE + f"{inside},joy,s\n{outside},joy,s\n../audio/up.wav,joy,s\n")
    manifest = open_corpus(None, path)
    assert [clip.file for clip in manifest.clips] == ["../audio/up.wav", str(outside), "in.wav"]
    assert [manifest.path(clip).resolve() for clip in manifest.clips] == [tmp_path / "audio/up.wav", outside, inside]


def test_options_that_a_reader_does_not_have(tmp_path: Path) -> None:
    path = put(tmp_path / "clips.csv", TABLE + "a.wav,joy,s\n")
    line = told(None, path, options={"speaker": "x"})
    has(line, "unknown option for table 'speaker': did you mean 'speaker_table'? Known: speaker_pattern, speaker_table")
    put(tmp_path / "emovo/f1/rab-f1-b1.wav")
    line = told("emovo", tmp_path / "emovo", options={"x": "1"})
    assert line == "unknown option for emovo 'x': there are none. Leave it out."


# -- Emozionalmente's metadata ---------------------------------------------------------------------------------


@pytest.fixture
def emozionalmente(tmp_path: Path) -> Callable[..., Path]:
    """`emozionalmente(samples, users=…, evaluations=…)` → a root with these tables."""

    def write(samples: str | bytes, **others: str) -> Path:
        root = tmp_path / "emozionalmente"
        shutil.rmtree(root, ignore_errors=True)
        put(root / "metadata/samples.csv", samples)
        for name, text in others.items():
            put(root / f"metadata/{name}.csv", text)
        return root

    return write


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ("", ("samples.csv: an empty table", "such as file_name,sentence,actor,emotion_expressed")),
        (SAMPLES, ("samples.csv lists no clips", "get the file again")),
        (b"\x89PNG\xff" * 50, ("samples.csv is not UTF-8 text", "save the table as CSV in UTF-8")),
        ("file_name,sentence,actor\n1.wav,x,a\n", ("samples.csv has no column emotion_expressed; found: file_name",)),
        (SAMPLES + "1.wav,x,it,a,joy\n1.wav,x,it,a,joy\n", ("samples.csv line 3 lists 1.wav again (first: line 2)",)),
        (SAMPLES + "1.wav,x,it,,joy\n", ("samples.csv line 2 names no speaker ('')",)),
        (SAMPLES + ",x,it,a,joy\n", ("samples.csv line 2: '' names no file directly in audio/",)),
        (SAMPLES + "../../1.wav,x,it,a,joy\n", ("line 2: '../../1.wav' names no file directly in audio/",)),
        (SAMPLES + "/etc/passwd,x,it,a,joy\n", ("line 2: '/etc/passwd' names no file directly in audio/",)),
        (SAMPLES + "1.wav,x,it,a,joi\n", ("'joi' in samples.csv line 2: did you mean 'joy'?", "--label joi=EMOTION")),
        (SAMPLES + "1.wav,x,it,a,\n", ("samples.csv line 2 names no emotion",)),
    ],
)
def test_bad_samples(emozionalmente: Callable[..., Path], samples: str | bytes, said: tuple[str, ...]) -> None:
    has(told("emozionalmente", emozionalmente(samples)), *said)


def test_bad_side_tables(emozionalmente: Callable[..., Path]) -> None:
    samples = SAMPLES + "1.wav,x,it,a,joy\n"
    line = told("emozionalmente", emozionalmente(samples, users="username,age\na,30\n"))
    has(line, "users.csv has no column gender; found: username, age; expected: username, gender")
    line = told("emozionalmente", emozionalmente(samples, users="username,gender\na,fem\n"))
    has(line, "users.csv line 2: unknown gender 'fem'; known: female, male, other")
    line = told("emozionalmente", emozionalmente(samples, evaluations="file_name\n1.wav\n"))
    has(line, "evaluations.csv has no column emotion_recognized")


def test_a_label_map_mends_unknown_labels_of_actors_and_of_raters(emozionalmente: Callable[..., Path]) -> None:
    evaluations = "file_name,emotion_recognized\n1.wav,glee\n1.wav,joy\n1.wav,fear\n2.wav,joy\n2.wav,joy\n"
    root = emozionalmente(SAMPLES + "1.wav,x,it,a,glee\n2.wav,x,it,a,joy\n", evaluations=evaluations)
    line = told("emozionalmente", root)
    has(line, "unknown emotion 'glee' in evaluations.csv line 2", "--label glee=EMOTION")
    manifest = open_corpus("emozionalmente", root, label_map={"glee": "joy"})
    assert manifest.per_emotion()["joy"] == 2
    assert [dict(clip.extra)["raters_agree"] for clip in manifest.clips] == ["2", "2"]
    assert any("joy 2 of 986" in note for note in manifest.notes)
