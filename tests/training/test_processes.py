"""One run on two CPU processes (gloo): the numbers of one process; and killed, those of an undisturbed one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from affetto.training.train import train
from training.corpora import spec, timeless, write_table
from training.test_train import lines, same_weights

# Does the runs that a JSON file lists, one after another; kills itself after its n-th checkpoint, if told so. It ends
# as the command does: a process whose threads still speak to another is aborted now and then as Python ends.
DRIVER = """
import json, os, signal, sys
from affetto.training import checkpoint, device, loop
from affetto.training.spec import RunSpec
from affetto.training.train import train
loop.CHECKPOINT_SECONDS = 0.0
# However slow the disk is: a step without a checkpoint would be one kill fewer.
checkpoint.Checkpoint.is_due = property(lambda self: (self.wait(), True)[1])
write, left = checkpoint.write, int(sys.argv[2])
def counted(*arguments):
    global left
    write(*arguments)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.write = counted
for text, out in json.load(open(sys.argv[1])):
    train(RunSpec.model_validate(text), out, device="cpu")
device.end(0)
"""


def together(tmp_path: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Two processes of `python words…`, started by torchrun, as accelerate does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    return subprocess.run(
        [sys.executable, *launcher, *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def run(tmp_path: Path, runs: list[tuple], kill_at: int = 0) -> int:
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "runs.json").write_text(json.dumps([(one.model_dump(mode="json"), str(out)) for one, out in runs]))
    made = together(tmp_path, [str(tmp_path / "driver.py"), str(tmp_path / "runs.json"), str(kill_at)])

    assert made.returncode == 0 or (kill_at and "UserError" not in made.stderr), made.stderr
    return made.returncode


def uneven(folder: Path) -> Path:
    """A table whose training clips have classes of one to four clips, 22 in all."""
    table = write_table(folder)
    head, *rows = table.read_text().splitlines()
    left_out = {("joy", "s0"), ("joy", "s1"), ("joy", "s2"), ("fear", "s0"), ("fear", "s1"), ("anger", "s3")}
    kept = [row for row in rows if tuple(row.split(",")[1:3]) not in left_out]
    assert len(rows) - len(kept) == 6
    table.write_text("\n".join([head, *kept]) + "\n")
    return table


@pytest.mark.slow
def test_two_processes_come_to_the_numbers_of_one(tmp_path: Path) -> None:
    """Batches of 7 leave one of a single clip, of which the second process has none; classes weigh unlike."""
    table = uneven(tmp_path / "corpus")
    chosen = {"training.batch_size": "7", "training.label_smoothing": "0.1", "model.head_dropout": "0"}
    wanted = {
        "lora": spec(
            table, "lora", "paper", split="column", overrides=chosen | {"lora.dropout": "0"}, backbone="wavlm-mini"
        ),
        "frozen": spec(
            table, "frozen", split="kfold:3", overrides=chosen | {"augment.mixup": "0.4"}, backbone="whisper-mini"
        ),
    }
    run(tmp_path, [(one, tmp_path / "two" / name) for name, one in wanted.items()])
    for name, one in wanted.items():
        alone, both = train(one, tmp_path / "one" / name, device="cpu"), tmp_path / "two" / name
        metrics = json.loads((both / "metrics.json").read_text())
        assert metrics["identity"] == alone["identity"]
        assert (alone["provenance"]["processes"], metrics["provenance"]["processes"]) == (1, 2)
        for file in sorted((tmp_path / "one" / name).rglob("*log.jsonl")):
            here, there = lines(file), lines(both / file.relative_to(tmp_path / "one" / name))
            assert len(here) == len(there) > 0
            for record, other in zip(here, there, strict=True):
                assert other["loss"] == pytest.approx(record["loss"], rel=2e-5), (name, file)
                assert other["epoch"] == 0 or other["processes"] == 2
                if "validation" in record:
                    assert other["validation"] == pytest.approx(record["validation"], rel=2e-5)
        for file in ("predictions.jsonl", "validation_predictions.jsonl"):
            for row, other in zip(lines(tmp_path / "one" / name / file), lines(both / file), strict=True):
                assert (row["file"], row["truth"]) == (other["file"], other["truth"])
                assert other["probabilities"] == pytest.approx(row["probabilities"], abs=2e-5)
        assert not list(both.rglob("*.tmp")) and not list(both.rglob("checkpoint.safetensors"))


@pytest.mark.slow
def test_killed_two_processes_end_as_undisturbed_ones(tmp_path: Path) -> None:
    """With dropout: each process draws its own, and the same again when the run goes on."""
    table = write_table(tmp_path / "corpus")
    dropout = {"adapter.dropout": "0.2", "model.head_dropout": "0.2", "training.epochs": "2"}
    wanted = spec(table, "adapter", split="column", overrides=dropout, backbone="whisper-mini")
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    assert run(tmp_path, [(wanted, killed)], kill_at=6) != 0

    assert (killed / "spec.json").exists() and not (killed / "metrics.json").exists()
    run(tmp_path, [(wanted, killed), (wanted, undisturbed)])
    one, other = (json.loads((out / "metrics.json").read_text()) for out in (killed, undisturbed))
    assert timeless(one) == timeless(other)
    assert lines(killed / "predictions.jsonl") == lines(undisturbed / "predictions.jsonl")
    assert same_weights(killed, undisturbed)


@pytest.mark.slow
def test_a_mistake_is_told_once_and_all_processes_end(tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus", speakers=3)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    words = ["-m", "affetto", "train", "--table", str(table), "--backbone", "whisper-mini", "--random-weights"]
    ended = together(tmp_path, [*words, "--method", "probe", "--out", str(tmp_path / "out"), "--device", "cpu"])
    assert ended.returncode != 0 and ended.returncode != -signal.SIGKILL
    assert ended.stderr.count("error: ") == 1 and "is not empty" in ended.stderr, ended.stderr
