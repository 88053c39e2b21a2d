"""The loop: what is learned does not depend on passes or processes, nor on where a kill has cut it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from affetto import audio
from affetto.errors import UserError
from affetto.specialize.loop import Loop, Progress, learning_rate, validation_steps
from affetto.specialize.spec import settings
from specialize.recordings import make, tiny, write_speech  # noqa: F401  # a fixture
from specialize.test_data import choose

FAST = {"batch_size": "4", "validations": "2", "precision": "float32", "shortest_seconds": "0.4", "warmup": "0"}


def fit(
    folder: Path, file: Path, *, family: str = "whisper", name: str = "ctc", until: int | None = None, **chosen: str
) -> tuple[Progress, Any]:
    objective = make(family, name, **(FAST | chosen))
    sample = choose(folder / "speech.csv", **FAST)
    resolved = settings(name, "full", "tiny", FAST | chosen)

    def step(progress: Progress, _all: int) -> None:
        if progress.step == until:
            raise StopIteration

    loop = Loop(
        objective,
        sample,
        resolved,
        Accelerator(cpu=True),
        seed=0,
        precision="float32",
        identity="x",
        checkpoint_file=file,
        on_step=step,
    )
    try:
        return loop.run(), objective
    except StopIteration:
        loop._keep()
        loop.checkpoint.close()
        return loop.progress, objective


def weights(objective: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in objective.model.state_dict().items()}


def test_the_rate_rises_and_falls() -> None:
    chosen = settings("ctc", "full", None, {"lr": "1.0", "warmup": "0.2"})
    rates = [round(learning_rate(step, 10, chosen), 4) for step in range(10)]
    assert rates == [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    assert validation_steps(10, 4) == {2, 5, 8, 10} and validation_steps(1, 5) == {1}


def test_ctc_learns_to_read_what_it_hears(tmp_path: Path) -> None:
    write_speech(tmp_path, clips=10)
    progress, _ = fit(
        tmp_path, tmp_path / "c.safetensors", steps="120", lr="0.01", batch_size="8", spec_augment="false"
    )
    first, *_, last = progress.history
    assert last["validation_loss"] < first["validation_loss"] / 2
    assert last["cer"] < 0.5 * progress.history[1]["cer"]
    assert progress.curve[-1] < progress.curve[0]


@pytest.mark.parametrize(("family", "name"), [("whisper", "ctc"), ("wav2vec2", "masked")])
def test_a_fit_that_was_cut_ends_with_the_same_bits(family: str, name: str, tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    whole, one = fit(tmp_path, tmp_path / "a.safetensors", family=family, name=name, steps="7")
    for cut in (1, 3, 5):
        file = tmp_path / f"{cut}.safetensors"
        fit(tmp_path, file, family=family, name=name, steps="7", until=cut)
        assert file.is_file()
        rest, other = fit(tmp_path, file, family=family, name=name, steps="7")
        assert rest.curve == whole.curve and rest.history == whole.history
        for key, tensor in weights(one).items():
            assert torch.equal(tensor, weights(other)[key]), key


def test_a_step_may_take_as_many_passes_as_it_likes(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4)
    at_once, one = fit(tmp_path, tmp_path / "a.safetensors", steps="4")
    by_clip, other = fit(tmp_path, tmp_path / "b.safetensors", steps="4", device_seconds="0.1")
    assert by_clip.curve == pytest.approx(at_once.curve, rel=1e-4)
    assert by_clip.heard_seconds == pytest.approx(at_once.heard_seconds)
    for key, tensor in weights(one).items():
        torch.testing.assert_close(tensor, weights(other)[key], rtol=1e-2, atol=1e-4)


def test_a_step_goes_by_the_mean_over_its_units(tmp_path: Path) -> None:
    """AdamW itself would hide another divisor, clipping would not."""
    write_speech(tmp_path, speakers=2, clips=3, words=1)
    chosen = {"steps": "1", "batch_size": "8", "lr": "1e-12", "clip_norm": "1e9", "device_seconds": "2"}
    _, fitted = fit(tmp_path, tmp_path / "a.safetensors", **chosen)
    fresh = make("whisper", "ctc", **(FAST | chosen))
    clips = choose(tmp_path / "speech.csv", **FAST).train
    random = np.random.default_rng(0)
    loss, units = fresh.loss(fresh.batch([fresh.item(audio.load(clip.path), clip.text, random) for clip in clips]))
    (loss / units).backward()
    for name, parameter in fresh.trainable().items():
        torch.testing.assert_close(fitted.trainable()[name].grad, parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_gradients_are_clipped_and_matrices_alone_decay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_speech(tmp_path, speakers=2, clips=3, words=1)
    made: list[torch.optim.Optimizer] = []
    optimizer = Loop._optimizer
    monkeypatch.setattr(Loop, "_optimizer", lambda loop: made.append(optimizer(loop)) or made[-1])  # type: ignore[func-returns-value]
    _, fitted = fit(tmp_path, tmp_path / "a.safetensors", steps="1", clip_norm="0.01", weight_decay="0.3")
    norms = [float(parameter.grad.norm()) for parameter in fitted.trainable().values()]
    assert np.linalg.norm(norms) == pytest.approx(0.01, rel=1e-3)
    decays = {p: group["weight_decay"] for group in made[0].param_groups for p in group["params"]}
    assert len(decays) == len(norms)
    assert {(p.dim() > 1, decay) for p, decay in decays.items()} == {(True, 0.3), (False, 0.0)}


def test_validation_asks_the_same_each_time(tmp_path: Path) -> None:
    """The same masks, no dropout, no noise: where nothing is learned, the loss stays."""
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    progress, _ = fit(
        tmp_path, tmp_path / "a.safetensors", family="wav2vec2", name="masked", steps="2", lr="1e-12", validations="2"
    )
    losses = [record["validation_loss"] for record in progress.history]
    assert len(losses) == 3 and losses == pytest.approx([losses[0]] * 3, rel=1e-4)


def test_a_fit_that_diverges_is_stopped(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=2, clips=4, words=1)
    with pytest.raises(UserError, match=r"training diverged in step .* lower --set lr"):
        fit(tmp_path, tmp_path / "a.safetensors", steps="8", lr="1e30", clip_norm="1e30")


# -- processes --------------------------------------------------------------------------------------------------------

COMMAND = """
import sys
from affetto.specialize import parents
sys.path.insert(0, {tests!r})
from specialize.recordings import TINY
parents.SIZES["tiny"] = TINY
from affetto.cli import main
main()
"""


def command(folder: Path, out: Path, *more: str, launch: tuple[str, ...] = ()) -> tuple[list[str], dict[str, str]]:
    tests = Path(__file__).parents[1]
    program = folder / "program.py"
    program.write_text(COMMAND.format(tests=str(tests)))
    words = [
        *(launch or (sys.executable,)),
        str(program),
        "specialize",
        "--table",
        str(folder / "speech.csv"),
        "--backbone",
        "whisper",
        "--from-scratch",
        "tiny",
        "--objective",
        "ctc",
        "--out",
        str(out),
        "--device",
        "cpu",
        "--quiet",
        "--characters",
        "aelmnruvo",
    ]
    for name, value in FAST.items():
        words += ["--set", f"{name}={value}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return [*words, *more], environment


@pytest.mark.slow
def test_killed_at_a_random_step_it_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    more = ("--set", "steps=60", "--set", "checkpoint_minutes=0.0001")
    words, environment = command(tmp_path, tmp_path / "whole", *more)
    subprocess.run(words, env=environment, check=True, capture_output=True)
    words, environment = command(tmp_path, tmp_path / "cut", *more)
    chance, kills, file = random.Random(), 0, tmp_path / "cut" / ".work" / "checkpoint.safetensors"
    status = -1
    while status:  # not until config.json is there: a kill after that leaves the work to be removed
        running = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seen = file.stat().st_mtime_ns if file.exists() else 0
        while running.poll() is None and (not file.exists() or file.stat().st_mtime_ns == seen):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.6))
        if running.poll() is None and kills < 2:
            running.send_signal(signal.SIGKILL)
            kills += 1
        status = running.wait()
        assert status in (0, -signal.SIGKILL)
    assert kills
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert not [key for key in whole if not torch.equal(whole[key], cut[key])]
    whole, cut = (json.loads((tmp_path / name / "specialized.json").read_text()) for name in ("whole", "cut"))
    assert whole["curve"] == cut["curve"] and whole["history"] == cut["history"]
    assert not (tmp_path / "cut" / ".work").exists()


@pytest.mark.slow
def test_two_processes_follow_the_curve_of_one(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=5, words=1)
    curves = {}
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    for name, how in (("one", ()), ("two", launch)):
        # Ten clips, three a step: one of two processes has two of them, the other one, and none in every fourth step.
        words, environment = command(
            tmp_path, tmp_path / name, "--set", "steps=12", "--set", "batch_size=3", launch=how
        )
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        made = json.loads((tmp_path / name / "specialized.json").read_text())
        curves[name] = (made["curve"], [record["validation_loss"] for record in made["history"]])
        assert made["processes"] == (2 if how else 1)
    assert curves["two"][0] == pytest.approx(curves["one"][0], rel=2e-3)
    assert curves["two"][1] == pytest.approx(curves["one"][1], rel=2e-3)
