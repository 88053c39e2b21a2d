"""A run that is killed goes on where it was, and ends with the numbers of an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from affetto.training.runs import run_seconds
from affetto.training.train import train
from training.corpora import spec, timeless, write_table
from training.test_train import lines, same_weights

# Each step is kept, so that a kill may fall between any two. The process kills itself some milliseconds
# after its n-th checkpoint, wherever it is by then.
DRIVER = """
import os, signal, sys, threading, time, torch
from affetto.training import checkpoint, loop
from affetto.training.spec import RunSpec
from affetto.training.train import train
torch.set_num_threads(1)
loop.CHECKPOINT_SECONDS = 0.0
# However slow the disk is: a step without a checkpoint would be one kill fewer.
checkpoint.Checkpoint.is_due = property(lambda self: (self.wait(), True)[1])
write, left, after = checkpoint.write, int(sys.argv[3]), float(sys.argv[4])
def counted(*arguments):
    global left
    write(*arguments)
    left -= 1
    if left == 0:
        threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL)).start()
checkpoint.write = counted
train(RunSpec.model_validate_json(sys.argv[1]), sys.argv[2], stack=int(sys.argv[5]))
"""


def run(text: str, out: Path, kill_at: int = 0, after: float = 0.0, stack: int = 1) -> int:
    """The exit status of a process that trains `text` into `out`, killed after its `kill_at`-th checkpoint."""
    made = subprocess.run(
        [sys.executable, "-c", DRIVER, text, str(out), str(kill_at), str(after), str(stack)],
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert made.returncode in (0, -signal.SIGKILL), made.stderr.decode()
    return made.returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "recipe", "split", "epochs"),
    [("lora", "recommended", "kfold:3", "2"), ("adapter", "paper", "column", "6")],
)
def test_a_killed_run_ends_as_an_undisturbed_one(
    method: str, recipe: str, split: str, epochs: str, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "corpus")
    dropout = {f"{method}.dropout": "0.2", "model.head_dropout": "0.2"}
    wanted = spec(table, method, recipe, split=split, overrides=dropout | {"training.epochs": epochs})
    text = wanted.model_dump_json()
    assert run(text, tmp_path / "undisturbed") == 0
    chance, out, kills = random.Random(0), tmp_path / "killed", 0
    while kills < 4 and run(text, out, chance.randint(1, 4), chance.uniform(0, 0.05)) != 0:
        kills += 1
    assert kills >= 2
    assert run(text, out) == 0
    killed, expected = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("killed", "undisturbed")
    )
    assert timeless(killed) == timeless(expected)
    for name in ("predictions.jsonl", "validation_predictions.jsonl"):
        assert lines(out / name) == lines(tmp_path / "undisturbed" / name)
    for file in (tmp_path / "undisturbed").rglob("log.jsonl"):
        rows = [lines(root / file.relative_to(tmp_path / "undisturbed")) for root in (out, tmp_path / "undisturbed")]
        assert [row | {"seconds": 0} for row in rows[0]] == [row | {"seconds": 0} for row in rows[1]], file
    assert same_weights(out, tmp_path / "undisturbed")
    assert not list(out.rglob("*.tmp")) and not list(out.rglob("checkpoint.safetensors"))


@pytest.mark.slow
def test_folds_that_train_as_one_and_are_killed_go_on_in_any_company(tmp_path: Path) -> None:
    """Together, alone and together again: each fold is where its own checkpoint was."""
    table = write_table(tmp_path / "corpus")
    chosen = {"lora.dropout": "0.2", "training.epochs": "5"}
    wanted = spec(table, "lora", split="kfold:3", final=False, overrides=chosen)
    text = wanted.model_dump_json()
    assert run(text, tmp_path / "undisturbed") == 0
    chance, out, kills = random.Random(1), tmp_path / "killed", []
    for stack in (3, 1, 3, 2):
        # A call gets past some 4 of the 30 checkpoints, so that each of the first three ends by its kill.
        if run(text, out, chance.randint(2, 4), chance.uniform(0, 0.01), stack) != 0:
            kills.append(stack)
    assert kills[:3] == [3, 1, 3]
    assert run(text, out, stack=3) == 0
    killed, expected = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("killed", "undisturbed")
    )
    best = [[fold["best_epoch"] for fold in metrics["folds"]] for metrics in (killed, expected)]
    assert best[0] == best[1]
    for name in ("predictions.jsonl", "validation_predictions.jsonl"):
        for row, other in zip(lines(out / name), lines(tmp_path / "undisturbed" / name), strict=True):
            assert row["file"] == other["file"]
            assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
    logs = sorted(file.relative_to(out) for file in out.rglob("log.jsonl"))
    assert len(logs) == 3
    for file in logs:
        rows = [lines(root / file) for root in (out, tmp_path / "undisturbed")]
        assert [row["loss"] for row in rows[0]] == pytest.approx([row["loss"] for row in rows[1]], rel=1e-4)
        assert [row["epoch"] for row in rows[0]] == [row["epoch"] for row in rows[1]], "no epoch twice"
    assert not list(out.rglob("*.tmp")) and not list(out.rglob("checkpoint.safetensors"))


def test_a_run_stopped_after_a_fold_does_not_train_that_fold_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from affetto.training import stacking

    table = write_table(tmp_path / "corpus")
    wanted = spec(table, split="kfold:3")
    expected = train(wanted, tmp_path / "undisturbed", stack=1)
    real, calls = stacking.fit, []

    def third_breaks(**named):
        calls.append(named["task"].identity.split()[1:])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(**named)

    monkeypatch.setattr(stacking, "fit", third_breaks)
    with pytest.raises(KeyboardInterrupt):
        train(wanted, tmp_path / "stopped", stack=1)
    before = json.loads((tmp_path / "stopped" / "time.json").read_text())
    assert before["calls"] == 1 and before["seconds"] > 0
    (tmp_path / "stopped" / "time.json").write_text(json.dumps(before | {"seconds": 1000.0}))
    again = train(wanted, tmp_path / "stopped", stack=1)
    assert timeless(again) == timeless(expected)
    assert (expected["calls"], again["calls"]) == (1, 2)
    assert 1000 < again["wall_seconds"] < 2000 and not (tmp_path / "stopped" / "time.json").exists()
    first = calls[0][0]
    # Fold one: select and refit, once each. Fold two: select once, its refit broke off and came again.
    assert [stage for name, stage in calls if name == first] == ["select", "refit"]
    assert [stage for name, stage in calls[2:] if name == calls[2][0]] == ["select", "refit", "refit"]


def test_two_processes_never_work_on_one_run(tmp_path: Path) -> None:
    from filelock import FileLock

    from affetto.errors import UserError

    table = write_table(tmp_path / "corpus")
    out = tmp_path / "run"
    out.mkdir()
    with FileLock(out / ".lock"), pytest.raises(UserError, match="another process is at work"):
        train(spec(table), out)
    train(spec(table), out)
    assert (out / "metrics.json").exists()


def test_what_a_kill_left_half_written_is_taken_for_nothing(tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus")
    expected = train(spec(table, "lora"), tmp_path / "undisturbed")
    out = tmp_path / "run"
    (out / "model").mkdir(parents=True)
    source = tmp_path / "undisturbed"
    for name in ("spec.json", "split.json"):
        (out / name).write_bytes((source / name).read_bytes())
    (out / "checkpoint.safetensors").write_bytes(b"half a file")
    (out / "model" / "head.safetensors").write_bytes(b"")
    (out / ".model.1.tmp").mkdir()
    (out / ".model.1.tmp" / "head.safetensors").write_bytes(b"half")
    (out / ".metrics.json.1.tmp").write_text("{")
    assert timeless(train(spec(table, "lora"), out)) == timeless(expected)
    assert same_weights(out, source) and not list(out.rglob("*.tmp"))


def test_the_time_of_a_run_is_that_of_all_its_calls():
    folds = [{"seconds": 30.0}, {"seconds": 40.0}]
    assert run_seconds({"wall_seconds": 10.0, "folds": folds}) == 70.0  # interrupted, by an earlier version
    assert run_seconds({"wall_seconds": 80.0, "folds": folds}) == 80.0
    assert run_seconds({"wall_seconds": 10.0, "calls": 2, "folds": folds}) == 10.0  # folds that were fitted together
    assert run_seconds({"wall_seconds": 10.0}) == 10.0
