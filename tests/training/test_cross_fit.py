"""Cross-fitting: groups of speakers, heads that have not heard a clip's speaker, and the model's own, on all clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from affetto.errors import UserError
from affetto.models.head_layers import StatisticsHead
from affetto.targets.classes import Classes
from affetto.targets.multilabel import Multilabel
from affetto.targets.target import LinearMap
from affetto.training import cross_heads, loop, selection
from affetto.training import device as devices
from affetto.training.cross_fit import CrossFit, check_labels, groups_of
from affetto.training.cross_heads import CrossHeads
from affetto.training.identity import own_fields
from affetto.training.learner import Learner, make_loss
from affetto.training.loop import Fit, fit
from affetto.training.probes import Probes
from affetto.training.sections import TrainingSettings
from affetto.training.spec import CorpusSpec, acting, settings
from affetto.training.stacking import FitRequest
from affetto.training.task import Task
from affetto.training.train import train
from training import test_fit
from training.corpora import spec, write_table
from training.test_fit import CLIPS, FEATURES, LABELS, STEPS, TARGET, Clips, Linear
from training.test_train import lines, same_weights

clips, always = test_fit.clips, test_fit.always

ON = {"training.cross_fit": "2"}
GROUPS = {clip: number % 2 for number, clip in enumerate(CLIPS)}
"""Both groups have clips of each class."""
STILL = STEPS.model_copy(update={"method_lr": 1e-12, "batch_size": len(CLIPS), "epochs": 1})
MOVING = STEPS.model_copy(update={"method_lr": 0.3, "epochs": 4})
SPEAKERS = {
    f"{name}{n}": name for name, count in zip("abcdefg", (9, 3, 3, 3, 3, 2, 1), strict=True) for n in range(count)
}


# Groups ------------------------------------------------------------------------------------------


def test_groups_are_of_whole_speakers_and_of_like_size() -> None:
    for count, sizes in ((2, [12, 12]), (3, [9, 8, 7]), (7, [9, 3, 3, 3, 3, 2, 1])):
        groups = groups_of(SPEAKERS, list(SPEAKERS), count, seed=1)
        assert list(groups) == list(SPEAKERS)
        assert sorted(Counter(groups.values()).values(), reverse=True) == sizes
        assert len({(SPEAKERS[clip], group) for clip, group in groups.items()}) == 7, "no speaker is in two"
    some = [clip for clip in SPEAKERS if clip[0] in "bcd"]
    assert set(groups_of(SPEAKERS, some, 3, seed=1)) == set(some)


def test_groups_are_drawn_by_the_seed_whatever_the_order_of_the_clips() -> None:
    groups = groups_of(SPEAKERS, list(SPEAKERS), 3, seed=1)
    assert groups_of(SPEAKERS, list(reversed(SPEAKERS)), 3, seed=1) == groups
    assert any(groups_of(SPEAKERS, list(SPEAKERS), 3, seed=seed) != groups for seed in range(2, 8))


def test_each_group_needs_a_speaker() -> None:
    with pytest.raises(UserError, match=r"cross_fit=8: each group needs a speaker, .* are of 7: give 7 at most, or 0$"):
        groups_of(SPEAKERS, list(SPEAKERS), 8, seed=1)
    with pytest.raises(UserError, match=r"cross_fit=2: .* are of 1: give 0$"):
        groups_of(SPEAKERS, ["a0", "a1"], 2, seed=1)


def test_a_label_that_one_group_alone_has_is_named_with_its_speakers() -> None:
    target, names = Classes(("joy", "fear", "anger")), {"a": "Ada", "b": "Bo", "c": "Cy", "d": "Di"}
    groups = {"a": 0, "b": 0, "c": 1, "d": 1}
    check_labels(groups, {"a": 0, "b": 1, "c": 1, "d": 0}, target, names)
    with pytest.raises(UserError, match=r"cross_fit=2: .* those of 'joy' are all in one group \(of Cy\), .* or 0$"):
        check_labels(groups, {"a": 1, "b": 1, "c": 0, "d": 1}, target, names)
    marks = {"a": [1.0, 1.0], "b": [1.0, 0.0], "c": [1.0, 1.0], "d": [0.0, 0.0]}
    with pytest.raises(UserError, match=r"those without 'joy' are all in one group \(of Di\)"):
        check_labels(groups, {clip: np.array(row) for clip, row in marks.items()}, Multilabel(("joy", "fear")), names)


# Heads of one fit --------------------------------------------------------------------------------


class Bent(Linear):
    """(batch, 1, features) → logits: features bent by the method's gain, then a statistics head."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__(StatisticsHead(FEATURES // 2, len(LABELS), dropout))

    def statistics(self, prefix: dict[str, Tensor], lengths: Tensor | None) -> Tensor:
        return torch.tanh(super().statistics(prefix, lengths) * self.method.gain)  # type: ignore[operator]

    def forward(self, prefix: dict[str, Tensor], lengths: Tensor | None) -> Tensor:
        return self.head.classify(self.statistics(prefix, lengths))  # type: ignore[operator]


def solved(ids: Sequence[str], standardised: np.ndarray) -> LinearMap:
    truth = np.array([TARGET[clip] for clip in ids])
    return selection.solve(standardised.astype(np.float64), truth, 0.5, target=Classes(LABELS))


@dataclass
class Solver:
    """Solver of heads that notes the clips and the features of each call."""

    calls: list[tuple[tuple[str, ...], np.ndarray]] = field(default_factory=list)

    def __call__(self, ids: Sequence[str], standardised: np.ndarray) -> LinearMap:
        self.calls.append((tuple(ids), standardised))
        return solved(ids, standardised)

    @property
    def own(self) -> list[tuple[tuple[str, ...], np.ndarray]]:
        """The calls for the model's own head."""
        return [call for call in self.calls if len(call[0]) == len(CLIPS)]


def states_of(classifier: Linear, clips: Clips) -> Tensor:
    """Present statistics of all clips, (clips, features)."""
    with torch.no_grad():
        return classifier.statistics({"statistics": clips.features_of(CLIPS)}, None)


def standard_of(states: Tensor) -> Tensor:
    return (states - states.mean(0)) / states.std(0, unbiased=False)


def task_of(clips: Clips, tmp_path: Path, epochs: int, solve: Any, **more: Any) -> Task:
    """Task that starts from the probe of all clips, in two groups."""
    start = solved(CLIPS, standard_of(states_of(Bent(), clips)).numpy())
    return Task(
        train=CLIPS,
        target=TARGET,
        seed=5,
        epochs=epochs,
        identity=str(tmp_path),
        head=(start.weight, start.bias),
        cross_fit=CrossFit(groups=GROUPS, solve=solve),
        **{"validation": None} | more,
    )


def fitted(
    clips: Clips, tmp_path: Path, chosen: TrainingSettings, *, solve: Any = solved, dropout: float = 0.0, **more: Any
) -> tuple[Bent, Fit]:
    classifier, calls = Bent(dropout), {key: more.pop(key) for key in ("on_step", "on_epoch") if key in more}
    task = task_of(clips, tmp_path, chosen.epochs, solve, **more)
    accelerator, file = devices.accelerator(torch.device("cpu")), tmp_path / "checkpoint.safetensors"
    progress = fit(classifier, clips, task, chosen, accelerator, checkpoint_file=file, **calls)  # type: ignore[arg-type]
    return classifier, progress


def loss_by_groups(clips: Clips, tmp_path: Path) -> tuple[float, float]:
    """Loss of all clips at the start: each by the head of the other group's clips, and by the head of all, by hand."""
    classifier = Bent()
    standard = standard_of(states_of(classifier, clips))
    loss = make_loss(classifier, task_of(clips, tmp_path, 1, solved), STILL)
    truth = torch.tensor([TARGET[clip] for clip in CLIPS])
    weights = torch.full((len(CLIPS),), 1 / float(loss.clip_weights(truth).sum()))

    def logits(heard: list[int]) -> Tensor:
        head = solved([CLIPS[i] for i in heard], standard[heard].numpy())
        return standard @ torch.tensor(head.weight).float().T + torch.tensor(head.bias).float()

    rows = {group: logits([i for i in range(len(CLIPS)) if i % 2 != group]) for group in (0, 1)}
    crossed = torch.stack([rows[i % 2][i] for i in range(len(CLIPS))])
    every = logits(list(range(len(CLIPS))))
    return tuple(float(loss.of_batch(outputs, truth, weights)) for outputs in (crossed, every))  # type: ignore[return-value]


def test_the_loss_of_a_clip_is_by_a_head_that_has_not_heard_its_speaker(clips: Clips, tmp_path: Path) -> None:
    """That of the step, in one batch of all clips at a rate of next to nothing, and that of the start."""
    solver = Solver()
    crossed, every = loss_by_groups(clips, tmp_path)
    assert abs(crossed - every) > 0.1
    _, progress = fitted(clips, tmp_path, STILL, solve=solver)
    assert [record["loss"] for record in progress.history] == pytest.approx([crossed, crossed], rel=1e-4)
    heard = [set(ids) for ids, _ in solver.calls[:2]]
    assert sorted(map(sorted, heard)) == sorted(sorted(clip for clip in CLIPS if GROUPS[clip] != g) for g in (0, 1))


def test_heads_are_solved_for_anew_before_each_epoch_and_the_own_behind_it(clips: Clips, tmp_path: Path) -> None:
    solver, states = Solver(), []
    states.append(states_of(Bent(), clips))

    def look(_: Fit) -> None:
        if states[1:] or solver.own:  # not before the first epoch
            states.append(states_of(watched[0], clips))

    watched: list[Any] = []
    make = CrossHeads.__init__

    def noted(self: CrossHeads, classifier: Any, *rest: Any) -> None:
        watched.append(classifier)
        make(self, classifier, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CrossHeads, "__init__", noted)
        fitted(clips, tmp_path, MOVING, solve=solver, on_epoch=look)
    assert len(solver.calls) == 4 * 3 and len(solver.own) == 4 and len(states) == 5
    for epoch in range(4):
        for ids, features in solver.calls[3 * epoch : 3 * epoch + 2]:
            rows = [CLIPS.index(clip) for clip in ids]
            np.testing.assert_allclose(features, standard_of(states[epoch])[rows], atol=1e-5)
        np.testing.assert_allclose(solver.own[epoch][1], standard_of(states[epoch + 1]), atol=1e-5)
    assert float((standard_of(states[0]) - standard_of(states[4])).abs().max()) > 0.01


@pytest.mark.parametrize("average", ["none", "ema", "last_k"])
def test_the_saved_head_is_that_of_all_training_clips_at_the_chosen_epoch(
    average: Any, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With averages too: the head is that of the averaged weights, which are validated and kept."""
    scores = iter([0.1, 0.2, 0.9, 0.3, 0.3])
    monkeypatch.setattr(loop, "validation_scores", lambda *_, **__: {"macro_f1": next(scores), "loss": 1.0})
    chosen = MOVING.model_copy(update={"average": average, "average_decay": 0.5, "average_epochs": 2})
    classifier, progress = fitted(clips, tmp_path, chosen, validation=("tested",))
    assert progress.best_epoch == 2
    states = states_of(classifier, clips)
    expected = solved(CLIPS, standard_of(states).numpy())
    torch.testing.assert_close(classifier.head.centre, states.mean(0))
    torch.testing.assert_close(classifier.head.out.weight.detach(), torch.tensor(expected.weight).float())
    torch.testing.assert_close(classifier.head.out.bias.detach(), torch.tensor(expected.bias).float())


def test_averages_change_no_step(clips: Clips, tmp_path: Path) -> None:
    """Heads of groups are solved for by the weights that train, and not by averaged ones."""
    losses = [
        [record["loss"] for record in fitted(clips, tmp_path / average, chosen)[1].history]
        for average in ("none", "ema", "last_k")
        for chosen in [MOVING.model_copy(update={"average": average})]
    ]
    assert losses[0] == losses[1] == losses[2]


def test_steps_change_the_method_and_not_the_head(
    clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, counts, make = [], [], loop.make_optimizer

    def watched(*arguments: Any) -> torch.optim.Optimizer:
        optimizer = make(*arguments)
        counts.append(sum(p.numel() for group in optimizer.param_groups for p in group["params"]))
        return optimizer

    monkeypatch.setattr(loop, "make_optimizer", watched)
    learn = Learner.learn

    def noted(self: Learner, step: int, batch: Any) -> None:
        learn(self, step, batch)
        assert self.classifier.head.out.weight.grad is None  # type: ignore[union-attr]
        heads.append(self.classifier.head.out.weight.detach().clone())  # type: ignore[union-attr, operator]

    monkeypatch.setattr(Learner, "learn", noted)
    _, progress = fitted(clips, tmp_path, MOVING)
    assert counts == [FEATURES] and len(heads) == 12
    for epoch in range(4):
        assert all(torch.equal(head, heads[3 * epoch]) for head in heads[3 * epoch : 3 * epoch + 3])
    assert not torch.equal(heads[0], heads[3])
    assert [record["lr"] for record in progress.history[1:]] == pytest.approx([0.3 * 0.5**n for n in range(4)])


def test_an_adversary_stands_beside_the_heads_of_groups(clips: Clips, tmp_path: Path) -> None:
    """The loss that is reported is that of the groups' heads; the reversed gradient moves the method."""
    voices, crossed = {clip: number % 4 for number, clip in enumerate(CLIPS)}, loss_by_groups(clips, tmp_path)[0]
    _, progress = fitted(clips, tmp_path / "still", STILL, voices=voices)
    assert progress.history[1]["loss"] == pytest.approx(crossed, rel=1e-4)
    gains = [
        fitted(clips, tmp_path / str(len(more)), MOVING.model_copy(update={"adversary_weight": 30.0}), **more)[0]
        for more in ({}, {"voices": voices})
    ]
    assert not torch.allclose(gains[0].method.gain, gains[1].method.gain, atol=1e-3)  # type: ignore[arg-type]


@pytest.mark.parametrize("average", ["none", "last_k"])
def test_a_fit_stopped_between_two_steps_ends_with_the_same_bits(
    average: Any, clips: Clips, tmp_path: Path, always: Callable[..., None]
) -> None:
    chosen = MOVING.model_copy(update={"average": average, "average_epochs": 2})
    undisturbed, expected = fitted(clips, tmp_path / "undisturbed", chosen, dropout=0.3)
    for last in (5, 6, 7):  # within an epoch, at its end, at the beginning of the next

        def stop(step: int, _total: int, last: int = last) -> None:
            always()
            if step == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fitted(clips, tmp_path / str(last), chosen, dropout=0.3, on_step=stop)
        solver = Solver()
        again, progress = fitted(clips, tmp_path / str(last), chosen, dropout=0.3, solve=solver)
        assert len(solver.calls) < 4 * 3, "it went on"
        for name, value in again.snapshot().items():
            assert torch.equal(value, undisturbed.snapshot()[name]), (last, name)
        losses = [record["loss"] for record in progress.history]
        assert losses == [record["loss"] for record in expected.history]


def test_states_that_are_not_finite_end_the_fit_in_a_line(clips: Clips, tmp_path: Path) -> None:
    clips.features[CLIPS[0]] = torch.full((FEATURES,), torch.nan)
    with pytest.raises(UserError, match=r"training diverged \(states are not finite\): lower training\.method_lr"):
        CrossHeads(
            Bent(),
            clips,  # type: ignore[arg-type]
            Task(CLIPS, None, TARGET, seed=5, epochs=1, identity="", cross_fit=CrossFit(groups=GROUPS, solve=solved)),
            devices.accelerator(torch.device("cpu")),
        ).solve(0)


# Whole runs --------------------------------------------------------------------------------------


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str], set[str]]]:
    """Of each head: the stage of its fit, the clips that it was solved for on, and all clips of the fit."""
    seen: list[tuple[str, set[str], set[str]]] = []
    plain = CrossHeads._maps

    def noted(self: CrossHeads, features: np.ndarray, parts: Sequence[np.ndarray]) -> list[LinearMap]:
        assert len(features) == len(self.task.train)
        train, stage = np.array(self.task.train), self.task.identity.split()[-1]
        seen.extend((stage, set(train[part].tolist()), set(self.task.train)) for part in parts)
        return plain(self, features, parts)

    monkeypatch.setattr(CrossHeads, "_maps", noted)
    return seen


def speaker(clip: str) -> str:
    return clip.split("/")[-1].split("-")[0]


def test_no_validation_or_test_clip_enters_a_head_and_a_speaker_is_in_or_out(
    heard: list[tuple[str, set[str], set[str]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With copies, which go with their clip; in the refit the validation speaker has joined."""
    scores = iter([0.0] + [1.0] * 9)
    plain = loop.validation_scores
    monkeypatch.setattr(
        loop, "validation_scores", lambda *rest, **more: dict.fromkeys(plain(*rest, **more), next(scores))
    )
    overrides = ON | {"augment.copies": "[0.9]", "training.epochs": "1"}
    table = write_table(tmp_path / "corpus")
    train(spec(table, "lora", split="column", overrides=overrides, probe=False), tmp_path / "run")
    people = {"select": {"s0", "s1", "s2", "s3"}, "refit": {"s0", "s1", "s2", "s3", "s4"}}
    assert {stage for stage, *_ in heard} == people.keys()
    for stage, inside, every in heard:
        assert {speaker(clip) for clip in every} == people[stage] and len(every) == 14 * len(people[stage])
        assert {speaker(clip) for clip in inside}.isdisjoint({speaker(clip) for clip in every - inside})
    sizes = [len({speaker(clip) for clip in inside}) for stage, inside, _ in heard if stage == "select"]
    assert sizes == [2, 2, 4]


def test_a_killed_run_ends_as_an_undisturbed_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With all that stands beside: an adversary, an average, two states, another corpus standardised by itself."""
    foreign = CorpusSpec(name="more", path=str(write_table(tmp_path / "more", speakers=2, first=20, parts=False)))
    overrides = ON | {
        "training.adversary": "speaker",
        "training.average": "ema",
        "training.method_lr": "1e-2",
        "auxiliary.standardise": "corpus",
        "model.states": "2",
        "probe.strengths": "[0.01]",
        "training.refit": "false",
    }
    table = write_table(tmp_path / "corpus")
    made = spec(table, "lora", split="column", overrides=overrides, auxiliary=(foreign,), probe=False)
    train(made, tmp_path / "undisturbed")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    after, steps = loop.Loop.after_step, iter(range(1_000))

    class KilledError(Exception):
        """A kill."""

    def killed(self: Any, step: int) -> None:
        after(self, step)
        self.checkpoint.wait()
        if next(steps) == 7:
            assert self.progress.epoch == 1 and self.progress.step > 0
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "after_step", killed)
        with pytest.raises(KilledError):
            train(made, tmp_path / "killed")
    train(made, tmp_path / "killed")
    logs = [lines(tmp_path / name / "log.jsonl") for name in ("killed", "undisturbed")]
    assert [row["loss"] for row in logs[0]] == [row["loss"] for row in logs[1]]
    assert lines(tmp_path / "killed" / "predictions.jsonl") == lines(tmp_path / "undisturbed" / "predictions.jsonl")
    assert same_weights(tmp_path / "killed", tmp_path / "undisturbed")


def test_a_head_of_a_run_is_the_probe_s_with_the_strength_that_was_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the classes, factors and copies that the probe is fitted with: of frozen states it is the probe itself."""
    starts: list[tuple[np.ndarray, np.ndarray]] = []
    make = FitRequest.__init__

    def noted(self: FitRequest, **fields: Any) -> None:
        make(self, **fields)
        starts.append(self.task.head)  # type: ignore[arg-type]
        architectures.append(self.architecture)

    architectures: list[str | None] = []
    solves: list[tuple[np.ndarray, float]] = []
    solve = Probes.solve

    def watched(self: Probes, ids: Any, standardised: np.ndarray, **more: Any) -> LinearMap:
        linear = solve(self, ids, standardised, **more)
        solves.append((linear.weight, len(ids)))
        return linear

    monkeypatch.setattr(FitRequest, "__init__", noted)
    monkeypatch.setattr(Probes, "solve", watched)
    foreign = CorpusSpec(name="more", path=str(write_table(tmp_path / "more", speakers=2, first=20, parts=False)))
    overrides = ON | {
        "augment.copies": "[0.9]",
        "auxiliary.weight": "0.3",
        "auxiliary.standardise": "corpus",
        "training.method_lr": "1e-12",
        "training.refit": "false",
        "training.epochs": "1",
        "store.precision": "float32",
    }
    table = write_table(tmp_path / "corpus")
    made = spec(table, "lora", split="column", overrides=overrides, auxiliary=(foreign,), probe=False)
    train(made, tmp_path / "run", stack=2)
    own = max(solves, key=lambda pair: pair[1])[0]
    np.testing.assert_allclose(own, starts[0][0], atol=2e-3 * np.abs(own).max())
    assert architectures == [None], "fits with cross heads are not stacked"


def test_a_run_without_groups_has_no_such_heads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none(*_: Any, **__: Any) -> None:
        raise AssertionError

    for name in ("solve", "solve_own", "__init__"):
        monkeypatch.setattr(cross_heads.CrossHeads, name, none)
    monkeypatch.setattr("affetto.training.fold_tasks.groups_of", none)
    train(spec(write_table(tmp_path / "corpus"), "lora", split="column", probe=False), tmp_path / "run")
    assert "cross_fit" not in own_fields(settings(method="lora"), "lora")["training"], "identities of before stand"
    assert own_fields(settings(overrides=ON, method="lora"), "lora")["training"]["cross_fit"] == 2


def test_too_many_groups_end_a_run_in_a_line(tmp_path: Path) -> None:
    made = spec(write_table(tmp_path / "corpus"), "lora", split="column", overrides={"training.cross_fit": "5"})
    with pytest.raises(UserError, match=r"cross_fit=5: .* are of 4: give 4 at most"):
        train(made, tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()


def test_a_label_of_one_speaker_ends_a_run_in_a_line(tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus")
    rows = table.read_text(encoding="utf-8").splitlines()
    rows = [row for row in rows if "-fear-" not in row or row.split(",")[2] in ("s1", "s4", "s5")]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    made = spec(table, "lora", split="column", overrides=ON)
    with pytest.raises(UserError, match=r"those of 'fear' are all in one group \(of s1\)"):
        train(made, tmp_path / "run")


WITHOUT_PROBE = {"training.warm_start": "none", "model.layer": "null", "model.states": "1"}


def test_where_it_has_no_effect_is_said_before_anything_is_computed() -> None:
    for method, recipe, more in (
        ("probe", "recommended", {}),
        ("frozen", "recommended", {}),
        ("lora", "paper", {}),
        ("lora", "recommended", {"training.epochs": "0"}),
        ("lora", "recommended", {"training.warm_start": "none"}),
        ("full", "recommended", {"model.head": "linear", **WITHOUT_PROBE}),
    ):
        with pytest.raises(UserError, match=r"training\.cross_fit=2 has no effect .*warm_start=probe.*: leave it out"):
            settings(recipe, ON | more, method=method)
        assert "training.cross_fit" not in acting(recipe, ON | more, method=method)
    with pytest.raises(UserError, match=r"training\.cross_fit=1: groups are 2 or more, or 0 for none"):
        settings(overrides={"training.cross_fit": "1"}, method="lora")
    with pytest.raises(UserError, match=r"training\.cross_fit=-1"):
        settings(overrides={"training.cross_fit": "-1"}, method="lora")


def test_beside_it_mixup_and_the_head_s_rate_have_no_effect() -> None:
    with pytest.raises(UserError, match=r"augment\.mixup=0\.3 has no effect with method lora"):
        settings(overrides=ON | {"augment.mixup": "0.3"}, method="lora")
    with pytest.raises(UserError, match=r"training\.lr=1e-3 has no effect .*training\.cross_fit=0"):
        settings(overrides=ON | {"training.lr": "1e-3"}, method="lora")
    for more in ({"training.adversary": "speaker"}, {"training.method_lr": "null"}, {"training.cross_fit": "0"}):
        settings(overrides=ON | more | {"training.lr": "1e-3"}, method="lora")
