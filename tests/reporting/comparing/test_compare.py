"""Two folders of runs beside each other: pairs, differences, facts that differ, and the exit status for CI."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from affetto.cli import main
from affetto.errors import UserError
from affetto.measures.registry import MEASURES
from affetto.reporting.comparing.compare import compare
from affetto.reporting.comparing.facts import Change
from affetto.reporting.comparing.sheet import lines, to_dict
from affetto.reporting.results.collect import collect
from affetto.reporting.stats import differences, paired
from affetto.reporting.stats.systems import System
from affetto.training.runs import METRICS, RunFolder
from reporting.folders import write_grid, write_run
from reporting.target_folders import write_target_run


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two grids: frozen with two seeds in both, worse in B and with another torch; LoRA in A alone."""
    root = tmp_path_factory.mktemp("compare")
    first = [({"method": "frozen", "seed": seed}, {"skill": 0.6}) for seed in (0, 1)] + [({"method": "lora"}, {})]
    second = [({"method": "frozen", "seed": seed}, {"skill": 0.2}) for seed in (0, 1, 2)]
    write_grid(root / "a", first)
    write_grid(root / "b", second)
    for folder in (root / "b" / "runs").iterdir():
        edit(folder, {"provenance": {"versions": {"affetto": "0.1.0", "torch": "2.14.0"}, "commit": "0123456789ab"}})
    return root / "a", root / "b"


def edit(folder: Path, fields: dict) -> None:
    run = RunFolder(folder)
    run.write(METRICS, (run.read(METRICS) or {}) | fields)


def systems(folder: Path) -> System:
    runs = [run for run in collect(folder).runs if run.axes.method == "frozen" and run.axes.seed < 2]
    return System("frozen", "emovo", {run.axes.seed: run.predictions for run in runs})


def test_scores_are_those_of_the_paired_comparison_and_runs_of_one_folder_are_named(folders) -> None:
    comparison = compare(*folders)
    (item,) = comparison.compared
    assert item.pair.seeds == (0, 1) and item.clips == 2 * 84 and item.speakers == 6
    expected = paired.compare([(systems(folders[1]), systems(folders[0]))])
    assert item.main.name == "macro_f1"
    assert item.main.value == pytest.approx(expected.difference) and item.main.value < 0
    assert item.main.interval == pytest.approx(expected.interval)
    assert comparison.only_first == ("LoRA, seed 0",) and comparison.only_second == ("frozen, seed 2",)
    assert 0 < item.relabelled < item.clips


def test_a_measure_of_probabilities_has_an_interval_over_speakers(folders) -> None:
    """The interval of Brier's score, which is a mean over clips, follows from the means of each speaker."""
    first, second = systems(folders[0]), systems(folders[1])
    (brier,) = differences.of_classes(first, second, (0, 1), ["brier"])
    gaps = np.array([_brier_gaps(first, second, seed) for seed in (0, 1)])  # (seeds, speakers) of equal size
    over_speakers = gaps.mean(axis=0).var(ddof=1) / 6
    assert brier.value == pytest.approx(gaps.mean())
    assert brier.value > 0 and brier.fall > 0, "less skill is a larger error, and a larger error is a fall"
    low, high = brier.interval
    assert (high - low) / 2 > np.sqrt(over_speakers) * 2


def _brier_gaps(first: System, second: System, seed: int) -> np.ndarray:
    sums = []
    for system in (first, second):
        run = system.runs[seed]
        errors = ((run.probabilities - np.eye(7)[run.truth]) ** 2).sum(axis=1)
        sums.append(np.bincount(system.speaker_numbers, errors) / np.bincount(system.speaker_numbers))
    return sums[1] - sums[0]


def test_facts_that_differ_are_listed_with_their_values(folders) -> None:
    (item,) = compare(*folders).compared
    assert [(seed, change.name) for seed, change in item.changes if change.kind != "machine"] == [
        (0, "torch"),
        (1, "torch"),
    ]
    text = list(lines(compare(*folders)))
    assert "differs: version torch: 2.13.0 → 2.14.0" in text
    assert "wall time: 2 min 01 s in A, 2 min 01 s in B" in text
    assert "only in A: LoRA, seed 0" in text


def test_changed_settings_are_paired_and_named(tmp_path: Path) -> None:
    """An unchanged configuration stays with its equal; what is left of the same axes belongs together."""
    write_run(tmp_path / "a" / "usual")
    write_run(tmp_path / "a" / "short", overrides={"training.epochs": "5"})
    write_run(tmp_path / "b" / "usual")
    write_run(tmp_path / "b" / "shorter", overrides={"training.epochs": "3"}, weights="ab" * 32)
    comparison = compare(tmp_path / "a", tmp_path / "b")
    changes = {item.label: [change for _, change in item.changes] for item in comparison.compared}
    assert Change(kind="setting", name="training.epochs", first="5", second="3") in changes.popitem()[1]
    assert changes.popitem()[1] == [] and not comparison.only_first


def test_single_runs_are_compared_whatever_their_axes(tmp_path: Path) -> None:
    write_run(tmp_path / "a", method="frozen")
    write_run(tmp_path / "b", method="lora")
    (item,) = compare(tmp_path / "a", tmp_path / "b").compared
    assert item.label == "frozen → LoRA"
    assert Change(kind="axis", name="method", first="frozen", second="lora") in [change for _, change in item.changes]


@pytest.mark.parametrize(
    ("target", "measure"),
    [
        ("distribution", "macro_f1"),
        ("multilabel", "multilabel_macro_f1"),
        ("dimensions", "mean_ccc"),
        ("joint", "macro_f1"),
    ],
)
def test_every_target_is_compared_by_its_main_measure(target: str, measure: str, tmp_path: Path) -> None:
    write_target_run(tmp_path / "a", target, skill=0.9)
    write_target_run(tmp_path / "b", target, skill=0.3)
    comparison = compare(tmp_path / "a", tmp_path / "b", threshold=1)
    (item,) = comparison.compared
    scored = [
        {score.name: score.value for score in run.target.scored(run.test)}
        for folder in ("a", "b")
        for run in collect(tmp_path / folder).every_done
    ]
    assert item.main.name == measure and item.main.interval is not None
    for score in item.scores:
        if score.name in scored[0]:
            assert (score.first, score.second) == pytest.approx((scored[0][score.name], scored[1][score.name]))
    assert {score.name for score in item.scores} >= set(scored[0])
    assert not comparison.passes and item.main.fall == pytest.approx(100 * (item.main.first - item.main.second))
    json.dumps(to_dict(comparison))


def test_a_fall_is_counted_in_the_direction_of_the_measure(folders) -> None:
    (item,) = compare(*folders, measure="log_loss").compared
    assert not MEASURES["log_loss"].higher_is_better and item.main.second > item.main.first and item.main.fall > 0
    (item,) = compare(folders[1], folders[0], measure="log_loss").compared
    assert item.main.fall < 0


def test_runs_on_other_clips_are_not_compared(tmp_path: Path) -> None:
    for folder, speakers in (("a", 6), ("b", 8)):
        write_run(tmp_path / folder / "emovo", speakers=speakers)
        write_run(tmp_path / folder / "demos", corpus="demos")
    comparison = compare(tmp_path / "a", tmp_path / "b", threshold=50)
    assert not comparison.only_first
    assert len(comparison.compared) == 1 and not comparison.fallen and not comparison.passes
    assert re.search("EMOVO.*: .*not tested on the same clips", comparison.refused[0])
    with pytest.raises(UserError, match=r"no run of both folders can be compared \(.*same clips"):
        compare(tmp_path / "a" / "emovo", tmp_path / "b" / "emovo")


def test_mistakes(folders, tmp_path: Path) -> None:
    write_run(tmp_path / "begun", part=0)
    with pytest.raises(UserError, match=r"the run in .*begun is not done"):
        compare(folders[0], tmp_path / "begun")
    with pytest.raises(UserError, match="unknown measure 'macro_f2': did you mean 'macro_f1'"):
        compare(*folders, measure="macro_f2")
    for threshold in (-1.0, float("nan")):
        with pytest.raises(UserError, match="--threshold"):
            compare(*folders, threshold=threshold)
    write_run(tmp_path / "other", corpus="demos")
    write_run(tmp_path / "other2", corpus="demos", method="lora")
    with pytest.raises(UserError, match="have no run in common"):
        compare(folders[0], tmp_path)


@pytest.mark.parametrize(("threshold", "status"), [(None, 0), (90, 1), (1, 1)])
def test_the_command(threshold, status, folders, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    words = ["compare", *folders, *([] if threshold is None else ["--threshold", threshold])]
    shown = run_command(words, monkeypatch, capfd, status)
    assert max(map(len, shown.out.splitlines())) <= 80 and "B − A" in shown.out and "torch" in shown.out
    assert ("worse by" in shown.err) == (threshold == 1)
    assert ("1 run of A has no finished counterpart in B" in shown.err) == (threshold is not None)
    content = json.loads(run_command([*words, "--json"], monkeypatch, capfd, status).out)
    assert content["pairs"][0]["measure"] == "macro_f1" and content["passes"] is (status == 0)


def run_command(words: list, monkeypatch: pytest.MonkeyPatch, capfd, status: int):
    monkeypatch.setattr(sys, "argv", ["affetto", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    assert (left.value.code or 0) == status
    return capfd.readouterr()


def test_equal_folders_pass_the_strictest_threshold(folders) -> None:
    comparison = compare(folders[0], folders[0], threshold=0)
    assert comparison.passes and all(item.main.interval == (0, 0) for item in comparison.compared)
    assert "settings, inputs, versions and identities are equal" in list(lines(comparison))
