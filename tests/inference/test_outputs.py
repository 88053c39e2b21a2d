"""Labels written as they come, and files that a later call goes on with."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.inference.batch.columns import Columns
from affetto.inference.batch.outputs import Writer, header, resume

LABELS = Columns(("joy", "sadness"))
ROWS = [
    {"file": "a, b\n.wav", "emotion": "joy", "probabilities": {"joy": 0.75, "sadness": 0.25}},
    {"file": "c.wav", "error": 'no "audio"'},
    {"file": "d.wav", "emotion": None, "probabilities": {"joy": 0.5, "sadness": 0.5}},
]


def text(kind: str, rows=ROWS, **options) -> str:
    stream = io.StringIO()
    writer = Writer(stream, kind, LABELS, sections=False, **options)
    for row in rows:
        writer.write(row)
    writer.close()
    return stream.getvalue()


def test_json_is_one_list_however_long() -> None:
    assert json.loads(text("json")) == ROWS
    assert json.loads(text("json", [])) == []


def test_json_lines_and_csv() -> None:
    assert [json.loads(line) for line in text("jsonl").splitlines()] == ROWS
    read = list(csv.reader(io.StringIO(text("csv"))))
    assert read[0] == header(LABELS, sections=False) == ["file", "emotion", "joy", "sadness", "error"]
    assert read[1:] == [
        ["a, b\n.wav", "joy", "0.750000", "0.250000", ""],
        ["c.wav", "", "", "", 'no "audio"'],
        ["d.wav", "", "0.500000", "0.500000", ""],
    ]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_whatever_a_kill_leaves_is_gone_on_with(tmp_path: Path, kind: str) -> None:
    """Cut at every byte: what was whole stays, what was not goes, and the rest makes the undisturbed file."""
    whole = text(kind).encode()
    file = tmp_path / f"out.{kind}"
    for cut in range(len(whole) + 1):
        file.write_bytes(whole[:cut])
        done = resume(file, kind, LABELS, sections=False)
        with file.open("a", newline="") as stream:
            writer = Writer(stream, kind, LABELS, sections=False, begun=True)
            for row in ROWS:
                if (row["file"], None, None) not in done:
                    writer.write(row)
        assert file.read_bytes() == whole, cut
    assert done == {("a, b\n.wav", None, None): True, ("c.wav", None, None): False, ("d.wav", None, None): True}


def test_another_protocol_is_said_in_each_row_and_not_gone_on_with(tmp_path: Path) -> None:
    rows = [row | {"protocol": "speaker-calibrated (3 clips)"} for row in ROWS]
    assert json.loads(text("json", rows)) == rows
    lines = list(csv.reader(io.StringIO(text("csv", rows, protocol=True))))
    assert lines[0] == ["file", "emotion", "joy", "sadness", "error", "protocol"]
    assert [line[-1] for line in lines[1:]] == ["speaker-calibrated (3 clips)"] * 3
    assert [line[:-1] for line in lines] == list(csv.reader(io.StringIO(text("csv"))))
    for kind in ("csv", "jsonl"):
        file = tmp_path / f"out.{kind}"
        file.write_text(text(kind, rows, protocol=True))
        with pytest.raises(UserError, match=r"speaker-calibrated \(3 clips\), new ones are not"):
            resume(file, kind, LABELS, sections=False)
        assert file.read_text() == text(kind, rows, protocol=True)


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("file,emotion,anger,error\na.wav,anger,1,\nb.wav,anger,1,\n")
    with pytest.raises(UserError, match="with these labels"):
        resume(file, "csv", LABELS, sections=False)
    assert file.read_text().startswith("file,emotion,anger")
    other = tmp_path / "out.jsonl"
    good = json.dumps({"file": "a.wav", "emotion": "joy", "probabilities": {"joy": 0.75, "sadness": 0.25}})
    other.write_text(f"{good}\nrubbish\n{good}\n")
    with pytest.raises(UserError, match="line 2"):
        resume(other, "jsonl", LABELS, sections=False)
    assert "rubbish" in other.read_text()
    assert set(tmp_path.iterdir()) == {file, other}
    ours = ",".join(header(LABELS, sections=False))
    for content, line in (("my shopping list\n", 1), ("my shopping list", 1), (f"{ours}\na.wav,joy,x,1,\n", 2)):
        file.write_text(content)
        with pytest.raises(UserError, match=rf"out.csv line {line}: not a line of csv"):
            resume(file, "csv", LABELS, sections=False)
        assert file.read_text() == content
    for content in (good.replace("sadness", "anger") + "\n", "my shopping list\n", "[1]\n"):
        other.write_text(content)
        with pytest.raises(UserError, match="line 1: not a line of jsonl with these labels"):
            resume(other, "jsonl", LABELS, sections=False)
        assert other.read_text() == content
    with pytest.raises(UserError, match="--resume works with jsonl and csv"):
        resume(file, "json", LABELS, sections=False)
