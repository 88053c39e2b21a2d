"""The chapter of stress tests: which runs have one, its curves, tables and gaps; and its table in a model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from affetto.evaluation.stress.registry import PERTURBATIONS
from affetto.export.stress_table import stress_table
from affetto.reporting.chapters.stress import STRESS_TESTS
from affetto.reporting.render.slim import PAGE, slim_layout, width
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.stress_sheets import effect_sheet, gap_sheet, latex_text
from affetto.training.runs import STRESS, STRESSED
from reporting.folders import write_run

INTERVAL = {"level": 0.95, "by": "t", "over": "speakers", "units": 6, "effective": 6.0}


def score(fall: float) -> dict[str, Any]:
    """A score that is 0.6 untouched."""
    return {
        "title": "UAR",
        "untouched": 0.6,
        "perturbed": 0.6 - fall,
        "difference": -fall,
        "interval": [-fall - 0.03, -fall + 0.02],
        "verdict": "falls" if fall > 0.05 else "holds",
    }


def content(fall: float = 0.04) -> dict[str, Any]:
    """A test under all perturbations; each level falls by as much as the one before, and more."""
    group = {"value": 0.62, "interval": [0.5, 0.7], "gap": 0.05, "gap_interval": [-0.1, 0.2], "threshold": 0.06}
    return {
        "corpus": "emovo",
        "synthetic": True,
        "trained_on_synthetic": True,
        "clips": 588,
        "speakers": 6,
        "untouched": {"interval": INTERVAL},
        "thresholds": {"uar": 0.041},
        "gaps": [
            {
                "column": "gender",
                "groups": [
                    {
                        "value": name,
                        "clips": 294,
                        "speakers": 3,
                        "scores": {"uar": {"title": "UAR", "verdict": "undecided", **group}},
                    }
                    for name in ("female", "male")
                ],
            }
        ],
        "perturbations": [
            {
                "name": record.name,
                "title": record.title,
                "unit": record.unit,
                "neutral": record.neutral,
                "may_alter": record.may_alter,
                "levels": [
                    {
                        "level": level,
                        "changed": 0.1 * number,
                        "random_heads": {"median": 0.2 * number, "low": 0.1},
                        "scores": {"uar": score(fall * number)},
                    }
                    for number, level in enumerate(record.levels, 1)
                ],
            }
            for record in PERTURBATIONS.values()
        ],
    }


def with_test(folder: Path, test: dict[str, Any] | None) -> Path:
    if test is not None:
        (folder / STRESS).mkdir()
        (folder / STRESS / STRESSED).write_text(json.dumps(test))
    return folder


def test_its_tables_for_an_article_fit_a_page() -> None:
    texts = latex_text(content()).split("% \\usepackage")[1:]
    assert len(texts) == 2 and "random" not in texts[0].partition(r"\toprule")[2]
    for sheet, text in zip((effect_sheet(content()), gap_sheet(content())), texts, strict=True):
        assert sheet is not None and text.count(r"\begin{tabular}{") == 1
        assert width(slim_layout(sheet)[1]) <= PAGE


def test_a_run_with_a_test_has_curves_a_table_and_gaps(tmp_path: Path) -> None:
    with_test(write_run(tmp_path / "run"), content())
    section = STRESS_TESTS.section(Evidence(collect(tmp_path)))
    assert section is not None
    (picture,) = section.pictures
    effects, groups = section.sheets
    assert (picture.name, effects.name, groups.name) == ("stress-uar", "stress", "stress-groups")
    assert "white 0 dB SNR −12.0" in picture.alt
    rows = [[cell.text for cell in row] for row in effects.rows]
    assert len(rows) == sum(len(record.levels) for record in PERTURBATIONS.values())
    assert [row[1] for row in rows if row[0] == "gain"] == ["10 dB", "−20 dB"]
    assert rows[2] == ["white*", "0 dB SNR", "30.0", "60.0", "−12.0 (−15.0 to −10.0)", "falls"]
    assert "Untouched: UAR 60.0. 588 clips of 6 speakers." in effects.caption
    assert [cell.text for cell in groups.rows[0]] == [
        *("gender female", "294", "3", "62.0 (50.0–70.0)", "+5.0 (−10.0 to +20.0)", "±6.0", "undecided"),
    ]
    assert effects.stamp == "synthetic speech"
    assert picture.draw(tmp_path / "curves.png").stat().st_size > 10_000


def test_several_runs_share_the_figure_and_a_broken_test_is_named(tmp_path: Path) -> None:
    for seed, test in enumerate((content(), content(0.02), {"corpus": "emovo"}, None)):
        with_test(write_run(tmp_path / f"s{seed}", seed=seed), test)
    evidence = Evidence(collect(tmp_path))
    section = STRESS_TESTS.section(evidence)
    assert section is not None and len(section.pictures) == 1
    assert [sheet.name for sheet in section.sheets] == [
        *("stress-s0", "stress-groups-s0", "stress-s1", "stress-groups-s1"),
    ]
    assert len(section.folded) == 2
    assert any("s2/stress/stress.json: no stress test" in note for note in evidence.notes)
    section.pictures[0].draw(tmp_path / "curves.svg")
    assert "s1" in (tmp_path / "curves.svg").read_text()


def test_without_a_test_there_is_no_chapter(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    assert STRESS_TESTS.section(Evidence(collect(tmp_path))) is None


def test_a_model_card_has_each_perturbation_at_its_last_level() -> None:
    lines = stress_table(content()).splitlines()
    rows = [line for line in lines if line.startswith("| ")][2:]
    assert len(rows) == len(PERTURBATIONS)
    assert rows[0] == "| white noise\\* | 0 dB SNR | 30.0 | −12.0 (−15.0 to −10.0) | falls |"
    assert lines[-1].startswith("Untouched: UAR 60.0.") and "\\* People may hear" in lines[-1]


@pytest.mark.parametrize("field", ["perturbations", "thresholds", "clips"])
def test_a_test_of_another_format_is_left_out(field: str, tmp_path: Path) -> None:
    test = content()
    del test[field]
    with_test(write_run(tmp_path / "run"), test)
    evidence = Evidence(collect(tmp_path))
    assert STRESS_TESTS.section(evidence) is None and any("no stress test" in note for note in evidence.notes)
