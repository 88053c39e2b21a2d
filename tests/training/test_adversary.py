"""The adversary: whom it guesses, its gradient and the reversed one, and that it goes on where it was."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from affetto.errors import UserError
from affetto.models.head_layers import StatisticsHead
from affetto.training import loop
from affetto.training.adversary import NOBODY, Adversary, make_adversary, rise
from affetto.training.learner import Learner
from affetto.training.spec import CorpusSpec, settings
from affetto.training.stacking import FitRequest
from affetto.training.train import train
from training.corpora import spec, write_table
from training.test_train import lines

ON = {"training.adversary": "speaker"}
QUICK = {"training.refit": "false", "training.method_lr": "1e-2"}
VOICES = {"a": 0, "b": 1, "c": 2}


def adversary(weight: float = 0.5) -> Adversary:
    """One over three voices and four features, whose guesses are not even."""
    layer = Adversary(4, VOICES, weight)
    torch.manual_seed(0)
    torch.nn.init.normal_(layer.out.weight)
    return layer


def test_the_gradient_is_reversed_and_scaled_below_the_layer_alone() -> None:
    layer, rows = adversary(), torch.randn(3, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    voices = layer.indices(["c", "a", "nobody"])
    assert voices.tolist() == [2, 0, NOBODY]
    layer.loss(rows, voices, progress=0.3, clips=5).backward()
    reversed_, of_layer = rows.grad, layer.out.weight.grad.clone()  # type: ignore[union-attr]
    rows.grad = layer.out.weight.grad = None
    plain = torch.nn.functional.cross_entropy(layer.out(rows[:2]), voices[:2], reduction="sum") / 5
    plain.backward()
    torch.testing.assert_close(of_layer, layer.out.weight.grad)
    torch.testing.assert_close(reversed_, -0.5 * rise(0.3) * rows.grad)  # type: ignore[operator]
    assert not reversed_[2].any()  # type: ignore[index]


def test_it_begins_with_even_guesses_and_reverses_nothing() -> None:
    layer, rows = Adversary(4, VOICES, 1.0), torch.ones(3, 4, requires_grad=True)
    loss = layer.loss(rows, layer.indices("abc"), progress=0.0, clips=3)
    assert float(loss.detach()) == pytest.approx(torch.log(torch.tensor(3.0)))
    assert rise(0.0) == 0.0 and rise(0.5) == pytest.approx(0.98661, abs=1e-5) and 0.999 < rise(1.0) < 1.0


def test_a_refit_meets_the_strength_with_which_its_epochs_were_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    strengths: dict[tuple[str, int], list[float]] = {}
    plain, learn = Adversary.loss, Learner.learn
    at: list[tuple[str, int]] = []

    def learning(self: Learner, step: int, batch: Any) -> None:
        at.append((self.task.identity.split()[-1], self.epoch))
        learn(self, step, batch)

    def noted(self: Adversary, *batch: Any, progress: float, clips: int) -> Any:
        strengths.setdefault(at[-1], []).append(progress)
        return plain(self, *batch, progress=progress, clips=clips)

    monkeypatch.setattr(Learner, "learn", learning)
    monkeypatch.setattr(Adversary, "loss", noted)
    scores = itertools.chain([0.0], itertools.repeat(1.0))  # so that the first trained epoch is the best
    plain_scores = loop.validation_scores
    monkeypatch.setattr(
        loop, "validation_scores", lambda *rest, **more: dict.fromkeys(plain_scores(*rest, **more), next(scores))
    )
    overrides = ON | {"training.epochs": "3", "training.refit": "true", "training.select": "macro_f1"}
    train(
        spec(write_table(tmp_path / "corpus"), "lora", split="column", overrides=overrides, probe=False),
        tmp_path / "run",
    )
    assert {stage for stage, _ in strengths} == {"select", "refit"}
    assert {epoch for stage, epoch in strengths if stage == "refit"} == {0}
    assert max(strengths["refit", 0]) < 1 / 3 <= min(strengths["select", 1])


def test_an_adversary_has_the_weight_of_the_settings_and_guesses_no_clip_that_fills_a_step() -> None:
    made = make_adversary(StatisticsHead(3, 7, 0.0), VOICES, 0.25, torch.device("cpu"))
    assert made is not None and (made.weight, made.out.in_features, made.out.out_features) == (0.25, 6, 3)
    learner: Any = SimpleNamespace(adversary=made)
    assert Learner._voices(learner, ["a", "c"], 0.5).tolist() == [0, 2]
    assert Learner._voices(learner, ["a"], 0.0).tolist() == [NOBODY]
    assert make_adversary(StatisticsHead(3, 7, 0.0), {}, 0.25, torch.device("cpu")) is None


@pytest.fixture
def learners(monkeypatch: pytest.MonkeyPatch) -> list[Learner]:
    """Learners of the fits that begin, in order."""
    seen: list[Learner] = []
    make = loop.Loop.__init__

    def noted(self: Any, learner: Learner, *rest: Any) -> None:
        seen.append(learner)
        make(self, learner, *rest)

    monkeypatch.setattr(loop.Loop, "__init__", noted)
    return seen


@pytest.mark.parametrize(("kind", "count"), [("speaker", 4), ("gender", 2)])
def test_training_clips_alone_are_guessed(kind: str, count: int, learners: list[Learner], tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus")
    rows = table.read_text(encoding="utf-8").splitlines()
    people = [row.split(",")[2] for row in rows[1:]]
    genders = [{"s0": "female", "s1": "male", "s2": ""}.get(name, "female") for name in people]
    table.write_text("\n".join(",".join(pair) for pair in zip(rows, ["gender", *genders], strict=True)) + "\n")
    overrides = {"training.adversary": kind, "training.refit": "false"}
    train(spec(table, "lora", split="column", overrides=overrides, probe=False), tmp_path / "run")
    (learner,) = learners
    assert learner.adversary is not None
    assert learner.adversary.out.out_features == count
    assert set(learner.adversary.voices) <= set(learner.task.train)
    assert learner.adversary.out.weight.any(), "it learns"
    learner.begin(0)
    batch = learner.prepare(0)
    loss, twice = (learner._rivals(0, replace(batch, clips=clips))[1] for clips in (batch.clips, 2 * batch.clips))
    assert float(loss.detach()) == pytest.approx(2 * float(twice.detach())), "over the clips of all processes"
    without = {clip for clip in learner.task.train if "s2" in clip}
    assert without.isdisjoint(learner.task.voices) is (kind == "gender")


def test_the_reversed_gradient_moves_the_method_and_the_loss_is_the_task_s(tmp_path: Path) -> None:
    """A weak one next to nothing, though the loss of the guesses is near 1.4: masks and corpora are as without it."""
    table, logs = write_table(tmp_path / "corpus"), []
    foreign = CorpusSpec(name="more", path=str(write_table(tmp_path / "more", speakers=2, first=20, parts=False)))
    masked = {"augment.time_mask": "0.5", "auxiliary.standardise": "corpus"}
    for weight in (None, "1e-6", "1e4"):
        more = masked if weight is None else masked | ON | {"training.adversary_weight": weight}
        made = spec(table, "lora", split="column", overrides=QUICK | more, auxiliary=(foreign,), probe=False)
        train(made, tmp_path / f"run {weight}")
        logs.append([row["loss"] for row in lines(tmp_path / f"run {weight}" / "log.jsonl")])
    without, weak, strong = logs
    assert without[0] == weak[0] == strong[0], "epoch 0 is the probe's"
    assert weak == pytest.approx(without, rel=1e-5)
    assert abs(strong[2] - without[2]) > 1e-3


def test_a_run_that_goes_on_has_the_adversary_of_an_undisturbed_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "corpus")
    made = spec(table, "lora", split="column", overrides=ON, probe=False)
    train(made, tmp_path / "undisturbed")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    after, steps = loop.Loop.after_step, iter(range(1_000))

    class KilledError(Exception):
        """A kill."""

    def killed(self: Any, step: int) -> None:
        after(self, step)
        self.checkpoint.wait()
        if next(steps) == 5:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "after_step", killed)
        with pytest.raises(KilledError):
            train(made, tmp_path / "killed")
    train(made, tmp_path / "killed")
    assert [row["loss"] for row in lines(tmp_path / "killed" / "log.jsonl")] == [
        row["loss"] for row in lines(tmp_path / "undisturbed" / "log.jsonl")
    ]
    assert lines(tmp_path / "killed" / "predictions.jsonl") == lines(tmp_path / "undisturbed" / "predictions.jsonl")


def test_fits_with_an_adversary_are_not_stacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    architectures: list[str | None] = []
    make = FitRequest.__init__

    def noted(self: FitRequest, **fields: Any) -> None:
        architectures.append(fields["architecture"])
        make(self, **fields)

    monkeypatch.setattr(FitRequest, "__init__", noted)
    made = spec(write_table(tmp_path / "corpus"), "lora", split="column", overrides=ON, probe=False)
    train(made, tmp_path / "run", stack=2)
    assert set(architectures) == {None}


def test_what_it_needs_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    for method, recipe, more in (
        ("frozen", "recommended", {}),
        ("lora", "paper", {}),
        ("lora", "recommended", {"training.epochs": "0"}),
    ):
        with pytest.raises(UserError, match=r"training\.adversary=speaker (needs training steps of model|has no)"):
            settings(recipe, ON | more, method=method)
    with pytest.raises(UserError, match=r"adversary_weight=1 has no effect .*training\.adversary=speaker"):
        settings("recommended", {"training.adversary_weight": "1"}, method="lora")
    made = spec(write_table(tmp_path / "corpus"), "lora", split="column", overrides={"training.adversary": "gender"})
    with pytest.raises(
        UserError, match=r"training\.adversary=gender: .* fewer than two genders \(no clip has a gender"
    ):
        train(made, tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()
