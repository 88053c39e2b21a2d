"""What a person names, as recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.inference.batch.inputs import Input, has_sections, recordings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.wav",
        "a.WAV",
        "notes.txt",
        ".hidden.wav",
        "deep/c.mp3",
        "__MACOSX/x.wav",
        ".git/y.wav",
        "perché.ogg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(*named: str, lines: tuple[str, ...] = ()) -> list[str]:
    return [one.name for one in recordings(named, lines)]


def test_a_folder_is_all_recordings_in_it_sorted(folder: Path) -> None:
    assert names(str(folder)) == [str(folder / n) for n in ("a.WAV", "b.wav", "perché.ogg", "deep/c.mp3")]


def test_a_pattern(folder: Path) -> None:
    assert names(f"{folder}/*.wav") == [str(folder / "b.wav")]
    assert names(f"{folder}/**/*.mp3") == [str(folder / "deep/c.mp3")]
    (folder / "odd[1].wav").touch()  # there, so it is a file and no pattern
    assert names(f"{folder}/odd[1].wav") == [f"{folder}/odd[1].wav"]


def test_standard_input_is_a_file_a_line_and_is_not_read_ahead() -> None:
    def lines():
        yield "one.wav\n"
        yield "\n"
        yield "two words.wav\r\n"
        raise AssertionError("read too far")

    found = recordings(["-"], lines())
    assert [next(found).name, next(found).name] == ["one.wav", "two words.wav"]


def test_a_table_lies_where_it_lies_and_may_have_sections(tmp_path: Path) -> None:
    table = tmp_path / "clips.tsv"
    table.write_text("start\tend\tFile\n1.5\t2\ta.wav\n\t\t/abs/b.wav\n")
    assert list(recordings([str(table)])) == [
        Input("a.wav", 1.5, 2.0, tmp_path / "a.wav"),
        Input("/abs/b.wav", None, None, Path("/abs/b.wav")),
    ]
    assert has_sections(["x.wav", str(table)]) and not has_sections(["x.wav", "-"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("emotion\njoy\n", "no column of files"),
        ("file\n \n", "line 2 names no file"),
        ("file,start,end\na.wav,2,1\n", "line 2: the section ends at 1 s"),
        ("file,start\na.wav,soon\n", "'soon' is no time"),
        ("", "an empty table"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, content: str, said: str) -> None:
    table = tmp_path / "clips.csv"
    table.write_text(content)
    with pytest.raises(UserError, match=said):
        list(recordings([str(table)]))


def test_what_holds_no_recording(tmp_path: Path) -> None:
    for name, said in ((str(tmp_path), "no recordings in it"), (f"{tmp_path}/*.wav", "no file fits this pattern")):
        with pytest.raises(UserError, match=said):
            names(name)
    with pytest.raises(UserError, match="no such table"):
        names(str(tmp_path / "absent.csv"))
    assert names("absent.wav") == ["absent.wav"]  # told in its turn, among the others
