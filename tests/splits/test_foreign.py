"""Splits that somebody published: files of parts, folders of folds, columns, and what crosses them."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.cli import main
from affetto.corpora.conversion import convert
from affetto.errors import UserError
from affetto.splits.foreign import open_split, part_of
from affetto.splits.foreign_audit import Figures, ForeignAudit, audit_foreign


def listing(path: Path, *keys: str) -> None:
    """EmoBox's lines for keys such as `s1-anger-2`: speaker, emotion, sentence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ({"key": f"x-{key}", "wav": f"{key}.wav", "emo": key.split("-")[1]} for key in keys)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def table(path: Path, *rows: dict[str, object]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def audited(path: Path, figures: Figures | None = None, **more: Any) -> ForeignAudit:
    return audit_foreign(open_split(None, path, **more), figures=figures)


PATTERN = {"speaker_pattern": "x-(s[0-9]+)-"}


def test_folders_of_folds_are_compared_fold_by_fold(tmp_path: Path) -> None:
    listing(tmp_path / "fold_2/c_train_fold_2.jsonl", "s1-anger-1", "s2-fear-1")
    listing(tmp_path / "fold_2/c_test_fold_2.jsonl", "s3-anger-1", "s3-fear-1")
    listing(tmp_path / "fold_10/c_train_fold_10.jsonl", "s1-anger-1", "s2-fear-1", "s3-anger-1")
    listing(tmp_path / "fold_10/c_test_fold_10.jsonl", "s2-anger-1", "s3-fear-1", "s4-boredom-1")
    listing(tmp_path / "all.jsonl", "s9-anger-1")
    audit = audited(tmp_path, options=PATTERN)
    clean, leaky = audit["folds"]
    assert (clean["name"], leaky["name"]) == ("fold_2", "fold_10")  # in the order of the numbers
    assert clean["speakers"]["test in train"] == {"speakers": 1, "shared": 0, "clips": 0, "names": []}
    assert leaky["speakers"]["test in train"] == {"speakers": 3, "shared": 2, "clips": 2, "names": ["s2", "s3"]}
    assert audit["verdict"] == "shared" and audit["crosses"]
    assert audit["classes"] == {"anger": 3, "fear": 2, "boredom": 1}
    where = "(fold_10; 1 of 2 folds)"
    assert audit["remarks"][0] == (
        f"speakers: 2 of 3 speakers of test are also in train {where}: s2, s3; theirs are 2 clips of test"
    )


def test_a_clip_in_two_parts_crosses_whoever_speaks(tmp_path: Path) -> None:
    listing(tmp_path / "c_train.jsonl", "s1-anger-1", "s1-fear-1")
    listing(tmp_path / "c_valid.jsonl", "s1-fear-1", "s1-fear-1")
    audit = audited(tmp_path)
    (fold,) = audit["folds"]
    assert (fold["clips_in_two_parts"], fold["unknown_speakers"]) == (1, 3)
    assert audit["verdict"] == "undecided" and audit["crosses"]
    assert audit["notes"] == ["c_valid.jsonl: 1 line lists a clip again and was passed over"]
    assert any(line.startswith("speakers: unknown for 3") for line in audit["remarks"])


def test_speakers_come_from_a_table_too(tmp_path: Path) -> None:
    listing(tmp_path / "c_train.jsonl", "a-anger-1", "b-fear-1")
    listing(tmp_path / "c_test.jsonl", "c-anger-1")
    stm = tmp_path / "data.seg.wrd.stm"
    lines = (("a-anger-1", "one"), ("b-fear-1", "two"), ("c-anger-1", "one"))
    stm.write_text("".join(f"x-{k} 1 {s} 0 2.1 <id=x-{k},lang=en,spk={s},emotion=anger> anger\n" for k, s in lines))
    assert audited(tmp_path, options={"speaker_table": str(stm)})["verdict"] == "shared"
    pairs = table(tmp_path / "who.tsv", {"file": "a-anger-1.wav", "speaker": "one"})
    audit = audited(tmp_path, options={"speaker_table": str(pairs)})
    assert (audit["verdict"], audit["folds"][0]["unknown_speakers"]) == ("undecided", 2)
    with pytest.raises(UserError, match="no table of speakers"):
        audited(tmp_path, options={"speaker_table": str(table(tmp_path / "no.csv", {"a": 1}))})


def rows(**columns: list[object]) -> list[dict[str, object]]:
    names = [f"{n}.wav" for n in range(4)]
    base = {"file": names, "emotion": ["anger", "fear"] * 2, "speaker": ["s1", "s1", "s2", "s2"], **columns}
    return [dict(zip(base, values, strict=True)) for values in zip(*base.values(), strict=True)]


def test_columns_of_parts_and_of_folds(tmp_path: Path) -> None:
    path = table(
        tmp_path / "clips.csv",
        *rows(split=["train", "train", "dev", "test"], fold=[1, 1, 2, 2], prompt=["p", "q", "r", "p"]),
    )
    audit = audited(path)
    assert [fold["name"] for fold in audit["folds"]] == ["split", "fold 1", "fold 2"]
    assert audit["folds"][0]["speakers"]["test in validation"]["names"] == ["s2"]
    assert audit["folds"][0]["prompt_overlap_percent"] == 100
    assert audit["verdict"] == "shared"
    assert audited(path, columns=["fold"])["verdict"] == "disjoint"
    with pytest.raises(UserError, match="has no column splt"):
        audited(path, columns=["splt"])
    with pytest.raises(UserError, match="the column fold has 1 values; it must hold parts"):
        audited(table(tmp_path / "same.csv", *rows(fold=[1] * 4)))


def test_without_parts_there_is_nothing_to_audit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name no parts of a split"):
        audited(table(tmp_path / "clips.csv", *rows()))


@pytest.mark.parametrize(("wa", "contradicts"), [(62.97, False), (61.21, True), (62.98, False)])
def test_two_accuracies_of_a_balanced_test_are_one_number(tmp_path: Path, wa: float, contradicts: bool) -> None:
    path = table(tmp_path / "clips.csv", *rows(split=["train", "train", "test", "test"]))
    audit = audited(path, Figures(wa, 62.97))
    assert audit["speakers_are_balanced"] and audit["folds"][0]["test_is_balanced"]
    assert audit["claim"]["contradicts"] is contradicts


def test_two_accuracies_of_an_unbalanced_test_prove_nothing(tmp_path: Path) -> None:
    path = table(
        tmp_path / "clips.csv", *rows(emotion=["anger", "anger", "fear", "anger"], split=["train"] * 1 + ["test"] * 3)
    )
    audit = audited(path, Figures(50, 60))
    assert not audit["claim"]["contradicts"]
    assert any("prove nothing" in line for line in audit["remarks"])
    assert any(line == "classes: in split no clip of train shows fear" for line in audit["remarks"])


def test_a_test_of_one_class_is_not_called_balanced(tmp_path: Path) -> None:
    path = table(tmp_path / "clips.csv", *rows(emotion=["anger"] + ["fear"] * 3, split=["train"] * 3 + ["test"]))
    remarks = audited(path)["remarks"]
    assert any("clips of one class each" in line for line in remarks)
    assert not any("by arithmetic" in line for line in remarks)


def test_copies_of_a_recording_cross_and_strict_fails(
    tmp_path: Path,
    tone: Callable[..., np.ndarray],
    write_wav: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(4):
        write_wav(f"{number}.wav", tone(hz=200.0 + 37 * max(number, 1)))  # 0 and 1 are one recording
    parts = ["train", "test", "train", "test"]
    path = table(tmp_path / "clips.csv", *rows(speaker=["s1", "s2", "s3", "s4"], split=parts))

    def affetto(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["affetto", "corpora", "audit", str(path), *words])
        with pytest.raises(SystemExit) as ending:
            main()
        return int(ending.value.code or 0), capsys.readouterr().out

    code, text = affetto("--json", "--strict")
    audit = json.loads(text)
    assert (code, audit["verdict"], audit["crosses"], audit["folds"][0]["duplicates"]) == (1, "disjoint", True, 1)
    assert affetto("--json")[0] == 0
    assert "speakers disjoint, but clips or recordings are in two parts" in " ".join(affetto()[1].split())
    code, text = affetto("--metadata-only", "--strict")
    assert code == 0 and "audio: not compared" in text
    assert affetto("--wa", "60")[0] == 2


def test_a_part_is_a_word_of_a_file_s_name() -> None:
    assert part_of("emovo_train_fold_1") == ("train", "emovo fold 1")
    assert part_of("mer2023_test1")[0] == "test" and part_of("latest_list")[0] is None


def test_a_layout_with_rules_of_its_own_is_read_by_them(tmp_path: Path) -> None:
    listing(tmp_path / "c_train.jsonl", "s1-anger-1", "s2-boredom-1")
    listing(tmp_path / "c_test.jsonl", "s1-fear-1")
    manifest = open_split(None, tmp_path, options=PATTERN).manifest
    parts = {"s1-anger-1.wav": "train", "s2-boredom-1.wav": "train", "s1-fear-1.wav": "test"}
    clips = tuple(replace(clip, part=parts[Path(clip.file).name]) for clip in manifest.clips)
    convert(replace(manifest, clips=clips), tmp_path / "db", "audformat")
    assert (tmp_path / "db/db.emotion.train.csv").is_file()  # a name with a part, whose header stands in db.yaml
    assert audited(tmp_path / "db")["verdict"] == "shared"
    header = (tmp_path / "db/db.yaml").read_text()
    (tmp_path / "db/db.yaml").write_text(header.replace("speaker", "unnamed"))
    for table_of_part in (tmp_path / "db").glob("*.csv"):
        table_of_part.write_text(table_of_part.read_text().replace("speaker", "unnamed"))
    assert audited(tmp_path / "db")["verdict"] == "undecided"
    with pytest.raises(UserError, match="--column is for tables"):
        audited(tmp_path / "db", columns=["split"])
