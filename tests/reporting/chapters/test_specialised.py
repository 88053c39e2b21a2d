"""From A to B: children beside the parents that their weights tell, not their names."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from affetto.reporting.chapters import specialised
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.papers.dasaro2024.table_1 import table_1
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.training.provenance import specialised as told
from affetto.training.runs import METRICS
from reporting.folders import write_run

MADE = {
    "objective": "ctc",
    "method": "full",
    "hours_heard": 3.27,
    "steps": 204,
    "cka": [1.0, 0.9, 0.5],
    "cer": 0.0125,
    "wer": 0.083,
    "validation_loss": 0.063,
    "corpus": {"name": "common-voice", "version": None, "language": "it", "synthetic": True, "hours": 1.09},
}


def digest(name: str) -> str:
    return f"{zlib.crc32(name.encode()):08x}" * 8  # as `write_run` makes it up


def evidence(folder: Path, parent: str) -> Evidence:
    write_run(folder / "parent", backbone="wav2vec2-base", skill=0.4)
    write_run(folder / "other", backbone="wavlm-base-plus", skill=0.9)
    write_run(folder / "child", backbone="/somewhere/mine-it", skill=0.6)
    file = folder / "child" / METRICS
    content = json.loads(file.read_text())
    content["specialised"] = {**MADE, "parent": {"name": "a/copy", "family": "wav2vec2", "digest": digest(parent)}}
    file.write_text(json.dumps(content))
    return Evidence(collect(folder))


def test_a_child_is_compared_with_the_parent_of_its_weights(tmp_path: Path) -> None:
    found = evidence(tmp_path, "wav2vec2-base")
    sheet = specialised.difference_table(found)
    assert sheet is not None and sheet.name == "from-a-to-b"
    pairs = [(row[0].text, row[1].text) for row in sheet.rows]
    assert pairs and {first for first, _ in pairs} == {"mine-it"}
    assert {second for _, second in pairs} == {"Wav2Vec 2.0 Base (A)"}
    frozen = next(row for row in sheet.rows if "frozen" in row[2].text)
    children = {one.axes.backbone: one for one in found.configurations if one.axes.method == "frozen"}
    gap = found.spread(children["/somewhere/mine-it"]).mean - found.spread(children["wav2vec2-base"]).mean
    assert frozen[4].key == pytest.approx(100 * gap)
    assert "synthetic" in sheet.stamp


def test_without_the_parent_there_is_no_difference_but_the_backbone_is_listed(tmp_path: Path) -> None:
    found = evidence(tmp_path, "xlsr-53")
    assert specialised.difference_table(found) is None
    sheet = specialised.backbone_table(found)
    assert sheet is not None
    shown = [cell.text for cell in sheet.rows[0]]
    assert shown[:6] == ["mine-it", "B", "copy", "ctc", "full", "common-voice (synthetic speech)"]
    assert shown[6:] == ["1.09", "3.27", "204", "0.063", "1.2", "8.3"]
    chapter = next(one for one in build_sections(found) if one.name == "specialised")
    assert [item.name for item in (*chapter.sheets, *chapter.pictures)] == ["specialised", "specialised-cka"]


def test_table_1_lists_it_under_scenario_b(tmp_path: Path) -> None:
    sheet = table_1(evidence(tmp_path, "wav2vec2-base"))
    scenarios = {row[0].text: row[2].text for row in sheet.rows}
    assert scenarios["mine-it"] == "B" and scenarios["Wav2Vec 2.0 Base"] == "A"


def test_a_report_without_specialised_backbones_has_no_such_chapter(tmp_path: Path) -> None:
    write_run(tmp_path / "one")
    assert "specialised" not in [one.name for one in build_sections(Evidence(collect(tmp_path)))]


def test_the_figure_says_its_values_in_words(tmp_path: Path) -> None:
    picture = specialised.similarity_picture(evidence(tmp_path / "runs", "wav2vec2-base"))
    assert picture is not None and "mine-it: 1.00, 0.90, 0.50" in picture.alt
    assert picture.draw(tmp_path / "cka.svg").stat().st_size > 2000


def test_a_run_knows_what_its_backbone_was_made_from(tmp_path: Path) -> None:
    made: dict[str, Any] = {
        **{k: v for k, v in MADE.items() if k not in ("cer", "wer", "validation_loss")},
        "parent": {"name": "x"},
        "history": [{"validation_loss": 0.5, "cer": 0.1, "wer": 0.2}],
        "corpus": {"name": "cv", "version": "1", "language": "it", "synthetic": False, "train": {"hours": 2.0}},
    }
    (tmp_path / "specialized.json").write_text(json.dumps(made))
    assert told(str(tmp_path)) is None  # unfinished: its configuration comes last
    (tmp_path / "config.json").write_text("{}")
    found = told(str(tmp_path))
    assert found is not None and found["cer"] == 0.1 and found["corpus"]["hours"] == 2.0
    assert told("facebook/wav2vec2-base") is None
