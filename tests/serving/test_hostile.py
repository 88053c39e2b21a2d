"""Hostile recordings to predict: nothing crashes, hangs or goes unnamed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.inference.batch.inputs import Input, recordings
from affetto.inference.batch.labelling import label
from inference.test_predictor import Loudness
from serving.hostile import SOUND, contents, encoded


def hostile(folder: Path) -> list[str]:
    """More than 300 inputs that no recording should look like, as a user may come to name them."""
    made: list[str] = []

    def put(name: str, content: bytes) -> None:
        (folder / name).write_bytes(content)
        made.append(str(folder / name))

    for name, content in contents().items():
        put(name, content)
    for name in (
        "è pérché.wav",
        "感情.wav",
        "a\nb.wav",
        "-x.wav",
        "[1].wav",
        "'\"$(id).wav",
        "x" * 250 + ".wav",
        os.fsdecode(b"\xff.wav"),
    ):
        put(name, encoded(SOUND))
    os.mkfifo(folder / "pipe.wav")
    (folder / "folder.wav").mkdir()
    (folder / "link.wav").symlink_to(folder / "link.wav")
    made += [
        str(folder / name) for name in ("pipe.wav", "folder.wav", "link.wav", "absent.wav", "y" * 300, "*.nothing")
    ]
    made += ["nul\0byte.wav", "", "http://localhost/x.wav", "/dev/zero"]
    return made


def test_three_hundred_hostile_inputs_are_each_answered_or_named(tmp_path: Path) -> None:
    inputs = hostile(tmp_path)
    assert len(inputs) >= 300
    good = bad = 0
    answered = set()
    for name, row in zip(inputs, label(Loudness(), map(Input, inputs)), strict=True):
        assert row["file"] == name
        if "error" in row:
            bad += 1
            assert "\n" not in row["error"] and len(row["error"]) > 10, row
        else:
            good += 1
            answered.add(Path(name).name)
            assert sum(row["probabilities"].values()) == pytest.approx(1), row
    assert bad > 150 and good > 10
    assert {
        "è pérché.wav",
        "感情.wav",
        "[1].wav",
        "a\nb.wav",
        os.fsdecode(b"\xff.wav"),
        "eight8000.wav",
        "silent8000.wav",
    } <= answered
    for kind in ("pipe", "folder", "link", "absent", "nan192000", "one8000", "text3", "cut0"):
        assert f"{kind}.wav" not in answered


@pytest.mark.parametrize(
    "row", ["good.wav,-1,", "good.wav,x,", "good.wav,0.5,0.1", ",,", "good.wav,0,1,2"], ids=lambda row: row
)
def test_a_table_s_line_that_cannot_be_is_named(row: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"file,start,end\na.wav,,\n{row}\n")
    with pytest.raises(UserError, match="line 3"):
        list(recordings([str(tmp_path / "t.csv")]))


def test_a_table_that_points_out_of_its_folder_meets_what_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file\n../../../../../../../../etc/passwd\n/dev/zero\n")
    rows = list(label(Loudness(), recordings([str(tmp_path / "t.csv")])))
    assert len(rows) == 2 and all("error" in row for row in rows)
