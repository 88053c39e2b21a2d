"""Folds and runs that are fitted together: each has the numbers that it has alone, and its own errors and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from affetto.errors import UserError
from affetto.models.pooling import StateSpan
from affetto.training import device as devices
from affetto.training import joint, loop
from affetto.training.display import Display
from affetto.training.runs import LOG, RunFolder
from affetto.training.spec import RunSpec
from affetto.training.stacking import drive
from affetto.training.train import _Run, run_steps, train
from training.corpora import spec, write_table

DROPOUT = {"model.head_dropout": "0.2", "training.batch_size": "7"}
"""Batches of 7: the last of an epoch is smaller in some folds than in others."""
LAST, EMA = {"training.average": "last_k", "training.average_epochs": "2"}, {"training.average": "ema"}

DRAWN: dict[str, tuple[str, dict[str, str]]] = {
    "lora": ("paper", {"lora.dropout": "0.2"}),
    "frozen": (
        "recommended",
        {"model.dropout_samples": "3", "augment.mixup": "0.4", "training.sampler": "balanced"},
    ),
}
"""Recipes and settings whose steps draw at random, by method."""


@pytest.fixture
def stretches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the fits that are trained together, in order."""
    sizes: list[int] = []
    stretch = joint._stretch

    def watched(stacked: Any, members: Any, program: Any) -> None:
        sizes.append(len(members))
        stretch(stacked, members, program)

    monkeypatch.setattr(joint, "_stretch", watched)
    return sizes


def log(folder: Path) -> list[dict[str, Any]]:
    """The log without times."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in RunFolder(folder).read_lines(LOG)]


def assert_close(actual: Any, expected: Any) -> None:
    """Numbers within 1e-5, all else equal."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key in expected:
            assert_close(actual[key], expected[key])
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-5, abs=2e-6)
    else:
        assert actual == expected


def assert_same_run(folder: Path, expected: Path) -> None:
    """Logs, best epochs, predictions and files are those of the other run."""
    files = sorted(str(path.relative_to(expected)) for path in expected.rglob("*") if path.is_file())
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == files
    for path in expected.rglob(LOG):
        assert_close(log(folder / path.parent.relative_to(expected)), log(path.parent))
    for path in expected.rglob("*predictions.jsonl"):
        name = path.relative_to(expected)
        rows = [[json.loads(line) for line in (root / name).read_text().splitlines()] for root in (folder, expected)]
        assert_close(*rows)
    summaries = [json.loads((root / "metrics.json").read_text()) for root in (folder, expected)]
    actual, alone = ([fold["best_epoch"] for fold in metrics.get("folds", [])] for metrics in summaries)
    assert actual == alone
    assert_close(*(metrics["test"] for metrics in summaries))


@pytest.mark.parametrize(
    ("method", "recipe", "overrides"),
    [
        ("frozen", "recommended", DROPOUT | DRAWN["frozen"][1] | {"augment.feature_mask": "0.3"} | LAST),
        ("lora", "paper", DROPOUT | {"lora.dropout": "0.2", "augment.time_mask": "0.2", "training.method_lr": "0.01"}),
        ("adapter", "recommended", DROPOUT | {"model.layer": "2", "model.head": "statistics"} | EMA),
    ],
)
def test_folds_fitted_together_are_those_fitted_one_by_one(
    method: str, recipe: str, overrides: dict[str, str], tmp_path: Path, stretches: list[int]
) -> None:
    table = write_table(tmp_path / "corpus", parts=False, speakers=5)
    asked = spec(
        table, method, recipe, split="loso", overrides=overrides | {"training.epochs": "3"}, final=False, probe=False
    )
    train(asked, tmp_path / "alone", stack=1)
    assert not stretches
    train(asked, tmp_path / "together", stack=3)
    assert max(stretches) == 3
    assert_same_run(tmp_path / "together", tmp_path / "alone")


def test_draws_of_dropout_are_those_of_the_setting_and_tell_architectures_apart(tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus", speakers=4)
    architectures = set()
    for draws in (1, 3):
        asked = spec(table, overrides=DROPOUT | {"model.dropout_samples": str(draws)}, probe=False)
        run = _Run(asked, tmp_path / str(draws), devices.accelerator(torch.device("cpu")), Display(quiet=True))
        run._read()
        made = run.builder.fresh(StateSpan(1))
        assert made.head.dropout_samples == draws
        architectures.add(run.builder.architecture(made, StateSpan(1)))
    assert len(architectures) == 2


def two_runs(table: Path, seed: int = 0, **overrides: str) -> RunSpec:
    values = DROPOUT | {name.replace("__", "."): value for name, value in overrides.items()}
    return spec(
        table, "lora", "paper", split="column", seed=seed, probe=False, overrides=values | {"lora.dropout": "0.2"}
    )


def test_runs_of_other_seeds_rates_and_epochs_are_one_training_and_leave_it_when_done(
    tmp_path: Path, stretches: list[int]
) -> None:
    table = write_table(tmp_path / "corpus", speakers=4)
    specs = [
        two_runs(table, 0, training__epochs="3"),
        two_runs(table, 1, training__epochs="1", training__lr="0.01"),
        two_runs(table, 2, training__epochs="2", training__label_smoothing="0.2"),
    ]
    for number, asked in enumerate(specs):
        train(asked, tmp_path / f"alone{number}", stack=1)
    outcomes = drive([run_steps(asked, tmp_path / f"together{n}") for n, asked in enumerate(specs)], 8)
    assert stretches == [3, 2]
    assert all(isinstance(outcome, dict) for outcome in outcomes)
    for number in range(3):
        assert_same_run(tmp_path / f"together{number}", tmp_path / f"alone{number}")


def test_an_error_of_one_fit_leaves_the_others_their_numbers(tmp_path: Path, stretches: list[int]) -> None:
    table = write_table(tmp_path / "corpus", speakers=4)
    train(two_runs(table), tmp_path / "alone", stack=1)
    specs = [two_runs(table, 1, training__lr="1e30"), two_runs(table)]
    failed, good = drive([run_steps(asked, tmp_path / f"run{n}") for n, asked in enumerate(specs)], 2)
    assert isinstance(failed, UserError)
    assert "training diverged in epoch" in str(failed)
    assert isinstance(good, dict)
    assert max(stretches) == 2
    assert_same_run(tmp_path / "run1", tmp_path / "alone")


@pytest.mark.parametrize(
    ("first", "then", "method"), [(3, 1, "lora"), (1, 3, "lora"), (3, 3, "lora"), (3, 1, "frozen")]
)
def test_a_run_stopped_between_two_steps_goes_on_stacked_or_alone(
    first: int, then: int, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path / "corpus", parts=False, speakers=3, takes=2)
    recipe, drawn = DRAWN[method]
    overrides = DROPOUT | drawn | {"training.epochs": "2"}
    asked = spec(table, method, recipe, split="loso", overrides=overrides, final=False, probe=False)
    train(asked, tmp_path / "undisturbed", stack=1)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    after_step, left = loop.Loop.after_step, [4]

    def stops(self: Any, step: int) -> None:
        after_step(self, step)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "after_step", stops)
        with pytest.raises(KeyboardInterrupt):
            train(asked, tmp_path / "run", stack=first)
    assert list((tmp_path / "run").rglob("checkpoint.safetensors"))
    train(asked, tmp_path / "run", stack=then)
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


def test_a_stack_that_does_not_fit_the_memory_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretches: list[int]
) -> None:
    table = write_table(tmp_path / "corpus", parts=False, speakers=4)
    asked = spec(table, "lora", "paper", split="loso", overrides=DROPOUT, final=False, probe=False)
    train(asked, tmp_path / "alone", stack=1)
    learn = joint._learn

    def needs_memory(stacked: Any, members: Any, batches: Any) -> None:
        if len(members) > 2:
            raise torch.OutOfMemoryError
        learn(stacked, members, batches)

    monkeypatch.setattr(joint, "_learn", needs_memory)
    train(asked, tmp_path / "halves", stack=4)
    assert stretches[0] == 4
    assert set(stretches[1:]) == {2}
    assert_same_run(tmp_path / "halves", tmp_path / "alone")
