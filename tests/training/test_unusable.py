"""Clips and labels that no run can use: known before the split, so that split, audit, counts and checksum agree."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto.errors import UserError
from affetto.training.train import train
from training.corpora import RATE_HZ, spec, write_table


def spoil(table: Path, *names: str) -> None:
    """Samples that are no numbers: the file can be read, and only decoding it fails."""
    for name in names:
        soundfile.write(
            table.parent / "audio" / f"{name}-0.wav", np.full(8000, np.nan, np.float32), RATE_HZ, subtype="FLOAT"
        )


def test_the_split_is_of_the_clips_that_are_left(tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus", speakers=4)
    spoil(table, "s0-joy", "s3-fear")
    wanted = spec(table, "probe", backbone="whisper-mini", skip_bad=True)
    metrics = train(wanted, tmp_path / "run")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    (fold,) = split["audit"]["folds"]
    counts = {part: facts["clips"] for part, facts in fold["parts"].items()}
    assert counts == {"train": 13, "validation": 7, "test": 6}
    assert sum(counts.values()) == split["audit"]["clips"] == len(split["clips"]) == metrics["clips"] == 26
    assert metrics["test"]["n"] == 6
    assert sorted(metrics["left_out"]) == ["clips:audio/s0-joy-0.wav", "clips:audio/s3-fear-0.wav"]
    facts = json.loads((tmp_path / "run" / "spec.json").read_text())["facts"]
    assert facts["split"] == split["checksum"] == metrics["split_checksum"]
    # Whoever asks again finds it finished, as does who has taken them out of the table.
    assert train(wanted, tmp_path / "run") == metrics
    rows = [row for row in table.read_text().splitlines() if "s0-joy" not in row and "s3-fear" not in row]
    table.write_text("\n".join(rows) + "\n")
    assert train(spec(table, "probe", backbone="whisper-mini"), tmp_path / "run") == metrics


def test_copies_are_left_out_of_the_split_of_the_clips_that_are_left(tmp_path: Path) -> None:
    """A clip that cannot be decoded is no copy of any, and takes none of the others out of the test."""
    table = write_table(tmp_path / "corpus", speakers=4)
    audio = table.parent / "audio"
    for original, copy in (("s0-joy", "s3-joy"), ("s0-fear", "s3-fear"), ("s1-anger", "s2-anger")):
        (audio / f"{copy}-0.wav").write_bytes((audio / f"{original}-0.wav").read_bytes())
    spoil(table, "s0-fear", "s1-joy")
    wanted = spec(table, "probe", backbone="whisper-mini", skip_bad=True, allow_duplicates=True)
    metrics = train(wanted, tmp_path / "run")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    (fold,) = split["audit"]["folds"]
    assert fold["copies_left_out"] == {"train": 0, "validation": 1, "test": 1} and metrics["copies_left_out"] == 2
    assert {part: facts["clips"] for part, facts in fold["parts"].items()} == {"train": 12, "validation": 6, "test": 6}
    tested = (tmp_path / "run" / "predictions.jsonl").read_text()
    assert "s3-fear" in tested and "s3-joy" not in tested and metrics["test"]["n"] == 6


def test_a_class_that_is_left_without_training_clips_is_an_error(tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus", speakers=4)
    spoil(table, "s0-joy", "s1-joy")
    with pytest.raises(UserError, match=r"no training clip shows 'joy'"):
        train(spec(table, "probe", backbone="whisper-mini", skip_bad=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    spoil(table, "s2-joy", "s3-joy")  # gone altogether, it is no class of this run
    metrics = train(spec(table, "frozen", backbone="whisper-mini", skip_bad=True), tmp_path / "run")
    assert len(metrics["test"]["per_class"]) == 6 and metrics["clips"] == 24


@pytest.mark.parametrize("method", ["probe", "frozen"])
def test_clips_of_one_emotion_are_told_at_once(method: str, tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus", speakers=3)
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *(row for row in rows if ",joy," in row)]) + "\n")
    with pytest.raises(UserError, match=r"all 3 clips show 'joy', and a classifier needs two emotions"):
        train(spec(table, method, backbone="whisper-mini"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_clips_with_dimensions_and_no_emotion_have_no_classes(tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus", speakers=3)
    table.write_text(table.read_text().replace("emotion", "extra:emotion").replace("speaker", "arousal,speaker", 1))
    head, *rows = table.read_text().splitlines()
    at = head.split(",").index("arousal")
    cells = [row.split(",") for row in rows]
    table.write_text("\n".join([head, *(",".join([*row[:at], "0.5", *row[at:]]) for row in cells)]) + "\n")
    with pytest.raises(UserError, match=r"clips have no emotion .*; give a table with an emotion column"):
        train(spec(table, "probe", backbone="whisper-mini", target="classes"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
