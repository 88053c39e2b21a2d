"""Averages of the weights over a fit: worked out by hand, judged instead of the last weights, resumed bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from affetto.errors import UserError
from affetto.training import device as devices
from affetto.training import loop
from affetto.training.loop import Fit, fit
from affetto.training.sections import TrainingSettings
from affetto.training.spec import settings
from affetto.training.task import Task
from training import test_fit
from training.test_fit import CLIPS, STEPS, TARGET, Clips, Linear, fitted

clips, always = test_fit.clips, test_fit.always
State = dict[str, Tensor]
EMA = STEPS.model_copy(update={"average": "ema", "average_decay": 0.6, "epochs": 4})
LAST = STEPS.model_copy(update={"average": "last_k", "average_epochs": 2, "epochs": 4})


def trained(clips: Clips, tmp_path: Path, chosen: TrainingSettings) -> tuple[State, State, list[State], Fit]:
    """Start and end of a fit, its own weights behind each step, and its progress."""
    classifier = Linear()
    weights = {name: p.detach().clone() for name, p in classifier.trainable().items()}
    steps: list[State] = []

    def look(_done: int, _all: int) -> None:
        steps.append({name: p.detach().clone() for name, p in classifier.trainable().items()})

    _, progress = fitted(clips, tmp_path, chosen, classifier=classifier, on_step=look)
    return weights, {name: p.detach() for name, p in classifier.trainable().items()}, steps, progress


def test_the_exponential_mean_is_that_by_hand(clips: Clips, tmp_path: Path) -> None:
    mean, end, steps, _ = trained(clips, tmp_path, EMA)
    assert len(steps) == 12
    for t, weights in enumerate(steps, 1):
        decay = min(0.6, (1 + t) / (10 + t))
        mean = {name: decay * mean[name] + (1 - decay) * weights[name] for name in mean}
    torch.testing.assert_close(end, mean)
    assert not torch.allclose(end["head.weight"], steps[-1]["head.weight"])


def test_the_mean_of_the_last_epochs_is_that_by_hand(clips: Clips, tmp_path: Path) -> None:
    _, end, steps, _ = trained(clips, tmp_path, LAST)
    for name, tensor in end.items():
        torch.testing.assert_close(tensor, (steps[8][name] + steps[11][name]) / 2)


@pytest.mark.parametrize("chosen", [EMA, LAST])
def test_training_goes_on_from_its_own_weights(chosen: TrainingSettings, clips: Clips, tmp_path: Path) -> None:
    _, _, steps, progress = trained(clips, tmp_path / "with", chosen)
    _, _, plain, without = trained(clips, tmp_path / "without", chosen.model_copy(update={"average": "none"}))
    for ours, theirs in zip(steps, plain, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert [record["loss"] for record in progress.history] == [record["loss"] for record in without.history]


@pytest.mark.parametrize("chosen", [EMA, LAST])
def test_an_epoch_is_judged_and_kept_by_its_average(
    chosen: TrainingSettings, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[State] = []
    losses = iter((0.5, 0.3, 0.1, 0.4))

    def measured(classifier: Any, *_: Any, **_named: Any) -> dict[str, float]:
        judged.append({name: p.detach().clone() for name, p in classifier.trainable().items()})
        return {"macro_f1": 0.0, "loss": next(losses), "uar": 0.0}

    classifier, ends = Linear(), []

    def look(_: Fit) -> None:
        ends.append(classifier.head.weight.detach().clone())

    monkeypatch.setattr(loop, "validation_scores", measured)
    chosen = chosen.model_copy(update={"select": "loss"})
    _, progress = fitted(clips, tmp_path, chosen, classifier=classifier, validation=CLIPS[:3], on_epoch=look)
    assert progress.best_epoch == 3
    assert torch.equal(classifier.head.weight, judged[2]["head.weight"])
    assert not torch.allclose(judged[2]["head.weight"], ends[2])


@pytest.mark.parametrize("chosen", [EMA, LAST])
@pytest.mark.parametrize("step", [4, 9])
def test_a_fit_that_was_stopped_ends_with_the_same_bits(
    chosen: TrainingSettings,
    step: int,
    clips: Clips,
    tmp_path: Path,
    always: Callable[..., None],
) -> None:
    undisturbed, _ = fitted(clips, tmp_path / "undisturbed", chosen)

    def stop(done: int, _all: int) -> None:
        always()
        if done == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(clips, tmp_path, chosen, on_step=stop)
    again = Linear()
    task = Task(CLIPS, None, TARGET, seed=5, epochs=chosen.epochs, identity=str(tmp_path))
    file = tmp_path / "checkpoint.safetensors"
    assert file.is_file()
    fit(again, clips, task, chosen, devices.accelerator(torch.device("cpu")), checkpoint_file=file)  # type: ignore[arg-type]
    for name, tensor in undisturbed.trainable().items():
        assert torch.equal(again.trainable()[name], tensor), name


def test_a_method_that_chooses_its_weights_on_the_way_has_no_average() -> None:
    with pytest.raises(UserError, match=r"training.average=ema needs a method whose weights can be averaged"):
        settings("recommended", {"training.average": "ema"}, method="adalora")
    assert settings("recommended", {"training.average": "ema"}, method="lora").training.average == "ema"
