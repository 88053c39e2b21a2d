"""Labels from a real Ray cluster of this machine: the rows of one process, in order, also when an actor is killed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from affetto.audio import RATE_HZ
from affetto.cli import app
from affetto.errors import UserError
from affetto.inference.batch import actor, distributed
from affetto.inference.batch.distributed import BATCH, GPU_BATCH, Cluster, Room, encode_batches, on_cluster, room
from affetto.inference.batch.inputs import Input, recordings
from affetto.inference.batch.labelling import Facts, LocalLabeller
from affetto.inference.batch.options import record_of
from affetto.inference.spec import PredictorSpec
from inference.saved import saved_model
from models.systems import clips

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

SECONDS = (0.4, 0.9, 2.2, 0.6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, 40 recordings, some of them longer than its window, two of them bad, and a table of sections."""
    folder = tmp_path_factory.mktemp("distributed")
    saved_model(folder / "model", "whisper-mini", "frozen", head="statistics", pooling="layer", layer=1)
    for part, count in (("all", 38), ("speaker", 3)):
        (folder / part).mkdir()
        for number, wave in enumerate(clips(*(SECONDS[n % len(SECONDS)] for n in range(count)))):
            level = 0.2 + (number % 7) / 10
            soundfile.write(folder / part / f"{number:02}.wav", level * wave, RATE_HZ, subtype="FLOAT")
    (folder / "all" / "05 è.wav").write_text("no sound")
    soundfile.write(folder / "all" / "11b.wav", np.full(9000, np.nan, np.float32), RATE_HZ, subtype="FLOAT")
    sections = ("all/02.wav,0.5,1.75", "all/06.wav,,1", "absent.wav,,", "all/02.wav,1,")
    (folder / "table.csv").write_text("\n".join(["file,start,end", *sections, ""]))
    return folder


def predict(folder: Path, *words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["predict", str(folder / "model"), *map(str, words), "--device", "cpu"])
    return (
        done.exit_code,
        done.stdout,
        done.stderr + (str(done.exception) if isinstance(done.exception, UserError) else ""),
    )


def alike(found: list[dict], expected: list[dict]) -> None:
    """Equal, probabilities to 1e-5."""
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        about = {"probabilities": pytest.approx(other["probabilities"], abs=1e-5)} if "error" not in other else {}
        assert one == other | about


@pytest.mark.slow
def test_rows_of_several_actors_are_those_of_one_process(cluster, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(distributed, "ACTOR_CPUS", 1)
    # Both before any work: else the first to start may have done all of it.
    monkeypatch.setattr(ray.data.DataContext.get_current(), "wait_for_min_actors_s", 600)
    speaker = tuple(one.name for one in recordings([str(folder / "speaker")]))
    spec = PredictorSpec(str(folder / "model"), device="cpu", abstain_below=0.2, speaker=speaker)
    inputs = 3 * list(recordings([str(folder / "all"), str(folder / "table.csv")]))
    with on_cluster(spec, None) as labeller:
        found = list(labeller.label(inputs))
    assert len(labeller.workers) == 2 and labeller.workers.total() == len(inputs)
    here = LocalLabeller(spec.load())
    assert labeller.facts == here.facts and labeller.facts.protocol == "speaker-calibrated (3 clips)"
    alike(found, list(here.label(inputs)))
    assert {"abstained", "error", "start", "protocol"} <= {name for row in found for name in row}


@pytest.mark.parametrize("name", ["joint", "multilabel"])
def test_an_actor_gives_the_rows_of_every_target(
    name: str, folder: Path, target_run: Callable[[str], Path], monkeypatch
) -> None:
    """Facts and rows as they travel, without a cluster."""
    monkeypatch.setattr(actor, "apply_task_environment", lambda task: None)  # here it works in this very process
    monkeypatch.setattr(ray, "get", lambda value: value)
    tries = SimpleNamespace(begin=SimpleNamespace(remote=lambda number: 1))
    spec = PredictorSpec(str(target_run(name)), device="cpu")
    task = actor.task(spec, torch.get_num_threads())
    inputs = list(recordings([str(folder / "speaker")]))
    here = LocalLabeller(spec.load())
    assert Facts(**actor.describe_model(task)["facts"]) == here.facts
    answer = json.dumps(actor.Actor(task, tries).answer(actor.encode_batch(0, inputs)))
    rows, expected = json.loads(answer)["rows"], list(here.label(inputs))
    assert [list(row) for row in rows] == [list(row) for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert here.facts.columns.cells(row) == here.facts.columns.cells(other)


DRIVER = """
import os, signal, sys
from affetto.cli import main
from affetto.inference.batch import distributed
from affetto.inference.batch.distributed import Cluster

distributed.PATIENCE_SECONDS = 600  # a slow machine is not told of
label = Cluster.label

def killing(self, inputs):
    for number, row in enumerate(label(self, inputs)):
        if not number:  # there are more recordings at the worker, which it has not answered
            ((_, process),) = self.workers
            os.kill(process, signal.SIGKILL)
        yield row
    print(len(self.workers), "workers", file=sys.stderr)

Cluster.label = killing
sys.argv = ["affetto", *sys.argv[1:]]
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.mark.slow
def test_the_command_loses_nothing_where_a_worker_is_killed_and_is_quiet(folder: Path, tmp_path: Path) -> None:
    """In a process and with a cluster of its own, it goes on with a file; the process itself needs no torch."""
    files = tmp_path / "local.csv", tmp_path / "ray.csv"
    words = [*4 * [folder / "all"], folder / "table.csv", "--resume", "--out"]
    assert predict(folder, folder / "all" / "00.wav", folder / "table.csv", "--out", files[0])[0] == 1
    files[1].write_bytes(files[0].read_bytes())
    record_of(files[1]).write_bytes(record_of(files[0]).read_bytes())
    code, _, err = predict(folder, *words, files[0])
    command = [sys.executable, "-c", DRIVER, "predict", folder / "model", *words, files[1], "--engine", "ray"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == code == 1 and done.stdout == ""
    note, *bad, told = err.splitlines()
    assert done.stderr.splitlines() == [note, *bad, "2 workers", told, "False"] and len(bad) == 8
    here, there = (list(csv.reader(file.read_text().splitlines())) for file in files)
    assert [row[:4] for row in there] == [row[:4] for row in here]
    values = ([[float(cell or 0) for cell in row[4:-1]] for row in rows[1:]] for rows in (there, here))
    np.testing.assert_allclose(*values, atol=1e-5)


@pytest.mark.slow
def test_what_nodes_cannot_do_is_told_in_one_line(cluster, folder: Path, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(UserError, match=r"^no run folder .*absent: give the --out of a finished .* \(on node "):
        Cluster(ray, PredictorSpec(str(tmp_path / "absent")))
    good = PredictorSpec(str(folder / "model"), device="cpu")
    with monkeypatch.context() as elsewhere:  # a folder of the launcher's machine alone
        elsewhere.setattr(actor, "task_environment", lambda: {"cwd": "/of/one/machine", "environment": {}})
        with pytest.raises(UserError, match=r"^node .* has no /of/one/machine: all nodes must see the model and"):
            Cluster(ray, good)
    with monkeypatch.context() as elsewhere:
        made = actor.task(good, 1) | {"paths": [str(tmp_path / "absent")]}
        elsewhere.setattr(distributed, "task", lambda spec, threads: made)
        with pytest.raises(UserError, match=r"^node .* has no .*absent: all nodes must see"):
            Cluster(ray, good)


@pytest.mark.slow
def test_an_actor_gives_up_what_others_died_at_and_tells_what_it_lacks(cluster, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(actor, "apply_task_environment", lambda task: None)  # here it works in this very process
    files = [str(folder / "all" / name) for name in ("00.wav", "absent.wav", "05 è.wav")]
    tries = ray.remote(num_cpus=0)(actor.Tries).remote()
    one = actor.Actor(actor.task(PredictorSpec(str(folder / "model"), device="cpu"), torch.get_num_threads()), tries)
    text = actor.encode_batch(7, [Input(file) for file in files])
    answers = [one.answer(text) for _ in range(actor.MOST_TRIES + 1)]
    assert answers[0]["unseen"] == [files[1]] and ["error" in row for row in answers[0]["rows"]] == [False, True, True]
    assert all("rows" in answer for answer in answers[:-1]) and "rows" in one.answer(actor.encode_batch(8, []))
    labeller = Cluster(ray, PredictorSpec(str(folder / "model"), device="cpu"))
    for answer, seen, told in (
        (
            answers[-1],
            False,
            r"^.*00\.wav … .*05 è\.wav: the worker that labelled them died 3 times",
        ),
        (answers[0], True, r"^node .* has no .*absent\.wav: all nodes must see the model and the recordings"),
    ):
        monkeypatch.setattr(labeller, "_answers", lambda _, answer=answer: iter([answer]))
        monkeypatch.setattr(distributed.os.path, "lexists", lambda _, seen=seen: seen)
        with pytest.raises(UserError, match=told):
            list(labeller.label([Input("x.wav")]))


def test_mistakes_are_told_before_anything_is_begun(folder: Path, monkeypatch) -> None:
    for words, told in (
        (["--engine", "rya"], "unknown engine 'rya': did you mean 'ray'"),
        (["--address", "host:6379"], "--address is a Ray cluster's: add --engine ray"),
        (["--engine", "ray", "--timeline"], "on this machine: leave --engine ray out"),
        (["--engine", "ray", "--address", "nonsense"], "write HOST:PORT"),
    ):
        with monkeypatch.context() as alone:
            alone.setattr(ray, "is_initialized", lambda: False)
            code, out, err = predict(folder, folder / "all" / "00.wav", *words)
        assert code != 0 and not out and told in err
    for absent in ("ray", "ray.data"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, absent, None)
            without.setattr(ray, "is_initialized", lambda: True)
            with (
                pytest.raises(UserError, match=r"pip install 'affetto\[ray\]'"),
                on_cluster(PredictorSpec("model"), None),
            ):
                pass


def test_room_is_a_gpu_each_or_up_to_four_cores() -> None:
    assert room([{"CPU": 16.0}, {"CPU": 8.0, "memory": 1.0}], "auto") == Room(4, 0, 6)
    assert room([{"CPU": 16.0}, {"CPU": 2.0}, {}], "auto") == Room(4, 0, 4)  # not the smallest for all
    assert room(10 * [{"CPU": 64.0}] + 11 * [{"CPU": 1.0}], "auto") == Room(4, 0, 160)
    assert room(9 * [{"CPU": 2.0}] + [{"CPU": 16.0}], "auto") == Room(2, 0, 17)
    assert room(2 * [{"CPU": 3.0}] + [{"CPU": 1.0}], "cpu") == Room(3, 0, 2)
    nodes = [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 1.0, "GPU": 2.0}, {"CPU": 64.0}]
    assert room(nodes, "auto") == room(nodes, "cuda") == Room(1, 1, 5)
    assert room(nodes[:1], "cpu") == Room(4, 0, 4)
    small = {"CPU": 64.0, "memory": 10e9}
    assert room([small, {"CPU": 8.0}], "auto", memory=3 * 10**9) == Room(4, 0, 3 + 2, 3 * 10**9)
    assert room([small], "auto", memory=20 * 10**9) == Room(
        4, 0, 16
    )  # by Ray's books it fits nowhere: tried all the same
    assert Room(4, 0, 1, 7).needs["memory"] == 7 and Room(1, 1, 1).needs == {"num_cpus": 1, "num_gpus": 1}
    with pytest.raises(UserError, match="no node of the cluster has a GPU"):
        room([{"CPU": 4.0}], "cuda")
    with pytest.raises(UserError, match="no node of the cluster has a core"):
        room([{"GPU": 4.0}], "auto")


@pytest.mark.parametrize(
    ("count", "actors", "most", "size"),
    [
        (0, 2, BATCH, 0),
        (1, 2, BATCH, 1),
        (40, 2, BATCH, 5),
        (1000, 2, BATCH, BATCH),
        (1000, 2, GPU_BATCH, 125),
        (4000, 2, BATCH, 40),
    ],
)
def test_batches_give_every_actor_work_and_hold_every_input_once(
    count: int, actors: int, most: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "MOST_BATCHES", 100)
    inputs = [Input(f"{n}\udcff.wav", None, n / 3, Path("x")) for n in range(count)]
    made = [json.loads(one)["inputs"] for one in encode_batches(inputs, actors, most)]
    assert [one for some in made for one in some] == [[one.name, None, one.end, "x"] for one in inputs]
    assert max(map(len, made), default=0) == size and len(made) <= 100


def test_workers_that_die_at_one_place_end_in_a_line() -> None:
    for raised, told in (
        (ray.exceptions.ActorDiedError(), r"workers of the cluster died \(ActorDiedError.*--resume"),
        (ray.exceptions.RaySystemError("first\nNo module named 'affetto'"), r"failed \(.*No module named"),
    ):
        with pytest.raises(UserError, match=told), distributed._as_errors(ray):
            raise raised
