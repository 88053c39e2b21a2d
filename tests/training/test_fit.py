"""One fit on numbers of a few clips: its steps against plain torch, its choice of an epoch, what it leaves behind."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from affetto.models.classifier import Classifier
from affetto.models.head_layers import StatisticsHead
from affetto.models.methods.base import NOTHING, Method
from affetto.models.pooling import StatePooling
from affetto.targets.classes import Classes
from affetto.targets.losses import CrossEntropy, class_weights
from affetto.targets.target import LossSettings
from affetto.training import checkpoint, loop
from affetto.training import device as devices
from affetto.training.augment_settings import AugmentSettings
from affetto.training.batches import plan
from affetto.training.loop import Fit, fit
from affetto.training.sections import TrainingSettings
from affetto.training.task import Task

FEATURES, LABELS = 6, ("a", "b", "c")
CLIPS = tuple(f"c{i}" for i in range(11))
TARGET = {clip: (0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 0)[i] for i, clip in enumerate(CLIPS)} | {"tested": 2}
"""Of clips that others test, too: how many there are of a class is none of the fit's business."""
STEPS = TrainingSettings(
    epochs=3,
    batch_size=4,
    lr=0.03,
    method_lr=0.2,
    betas=(0.7, 0.9),
    weight_decay=0.05,
    lr_decay=0.5,
    label_smoothing=0.2,
    class_weights=True,
)


class Gain(Method):
    """A stand-in for a method: one factor a feature, and the sum of its gradients."""

    name = "gain"

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.lowest_block = NOTHING
        self.gain = nn.Parameter(torch.linspace(0.5, 1.5, FEATURES))
        self.steps: list[tuple[int, int]] = []
        self.gradients = torch.zeros(FEATURES)

    def after_step(self, step: int, total: int) -> None:
        self.steps.append((step, total))
        if self.gain.grad is not None:
            self.gradients = self.gradients + self.gain.grad

    def step_state(self) -> dict[str, Tensor]:
        return {"gradients": self.gradients}

    def restore_step_state(self, state: dict[str, Tensor]) -> None:
        self.gradients = state.get("gradients", torch.zeros(FEATURES))


class Linear(Classifier):
    """(batch, 1, features) → logits: the method's gain, then a linear head."""

    def __init__(self, head: nn.Module | None = None) -> None:
        torch.manual_seed(3)
        backbone = nn.Module()
        backbone.depth = 0  # type: ignore[assignment]
        pooling = StatePooling(0, FEATURES // 2, "layer")
        super().__init__(backbone, Gain(), pooling, head or nn.Linear(FEATURES, len(LABELS)), Classes(tuple(LABELS)))  # type: ignore[arg-type]

    def forward(self, prefix: dict[str, Tensor], lengths: Tensor | None) -> Tensor:
        return self.head(prefix["statistics"][:, 0] * self.method.gain)


class Clips:
    """Stored features of each clip, as the loop asks for them."""

    def __init__(self, features: Tensor) -> None:
        self.features = dict(zip(CLIPS, features, strict=True))
        self.frames = {clip: 1 + i % 3 for i, clip in enumerate(CLIPS)}

    def features_of(self, ids: Any) -> Tensor:
        """(clips, 1, features)."""
        return torch.stack([self.features[i] for i in ids])[:, None]

    def batch(self, ids: Any, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
        return {"statistics": self.features_of(ids)}, torch.ones(len(ids)).long()


@pytest.fixture
def clips() -> Clips:
    return Clips(torch.randn(len(CLIPS), FEATURES, generator=torch.Generator().manual_seed(0)))


def fitted(
    clips: Clips,
    tmp_path: Path,
    settings: TrainingSettings = STEPS,
    *,
    classifier: Classifier | None = None,
    validation: tuple[str, ...] | None = None,
    head: Any = None,
    on_epoch: Callable[[Fit], None] = lambda _: None,
    accelerator: Accelerator | None = None,
    factors: dict[str, float] | None = None,
    **more: Any,
) -> tuple[Classifier, Fit]:
    classifier = classifier or Linear()
    task = Task(
        train=CLIPS,
        validation=validation,
        target=TARGET,
        seed=5,
        epochs=settings.epochs,
        identity=str(tmp_path),
        head=head,
        factors=factors or {},
    )
    accelerator = accelerator or devices.accelerator(torch.device("cpu"))
    file = tmp_path / "checkpoint.safetensors"
    file.unlink(missing_ok=True)
    progress = fit(classifier, clips, task, settings, accelerator, checkpoint_file=file, on_epoch=on_epoch, **more)  # type: ignore[arg-type]
    return classifier, progress


# Against plain torch -----------------------------------------------------------------------------


def smoothed(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Weighted cross-entropy by hand, the smoothed share in proportion to the weights."""
    logs = torch.log_softmax(logits, 1)
    plain = -(weights[targets] * logs[torch.arange(len(targets)), targets])
    spread = -(logs * weights).sum(1) / len(weights)
    return ((1 - smoothing) * plain + smoothing * spread).sum() / weights[targets].sum()


def by_hand(clips: Clips, s: TrainingSettings, decoupled: bool) -> tuple[dict[str, Tensor], list[float], list[float]]:
    """The same fit: Adam written out, weight decay in the gradient or decoupled, two rates that decay each epoch."""
    start = Linear()
    weights = torch.tensor([11 / (3 * n) for n in (6, 3, 2)]) if s.class_weights else torch.ones(3)
    values = {name: p.detach().clone().requires_grad_() for name, p in start.trainable().items()}
    mean, square = ({name: torch.zeros_like(p) for name, p in values.items()} for _ in range(2))
    losses, rates, step = [], [], 0
    for epoch in range(s.epochs):
        total = 0.0
        for batch in plan(CLIPS, clips.frames, s.batch_size, s.length_window, 5, epoch):
            step += 1
            x = torch.stack([clips.features[i] for i in batch]) * values["method.gain"]
            logits = x @ values["head.weight"].T + values["head.bias"]
            loss = smoothed(logits, torch.tensor([TARGET[i] for i in batch]), weights, s.label_smoothing)
            gradients = torch.autograd.grad(loss, list(values.values()))
            total += loss.item() * len(batch)
            for (name, value), gradient in zip(values.items(), gradients, strict=True):
                rate = (s.lr if name.startswith("head.") else s.method_lr or s.lr) * s.lr_decay**epoch
                with torch.no_grad():
                    if decoupled:
                        value *= 1 - rate * s.weight_decay
                    else:
                        gradient = gradient + s.weight_decay * value
                    mean[name] = s.betas[0] * mean[name] + (1 - s.betas[0]) * gradient
                    square[name] = s.betas[1] * square[name] + (1 - s.betas[1]) * gradient**2
                    unbiased = (square[name] / (1 - s.betas[1] ** step)).sqrt()
                    value -= rate * mean[name] / (1 - s.betas[0] ** step) / (unbiased + s.eps)
        losses.append(total / len(CLIPS))
        rates.append(s.lr * s.lr_decay**epoch)
    return {name: value.detach() for name, value in values.items()}, losses, rates


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_fit_is_that_of_plain_torch(optimizer: Any, clips: Clips, tmp_path: Path) -> None:
    """Rates, their decay, betas, weight decay, class weights, smoothing and batches: all of them in the weights."""
    settings = STEPS.model_copy(update={"optimizer": optimizer, "class_weights": optimizer == "adam"})
    classifier, progress = fitted(clips, tmp_path, settings)
    expected, losses, rates = by_hand(clips, settings, decoupled=optimizer == "adamw")
    for name, value in classifier.trainable().items():
        torch.testing.assert_close(value.detach(), expected[name], atol=1e-6, rtol=1e-5, msg=name)
    assert [record["loss"] for record in progress.history] == pytest.approx(losses, rel=1e-5)
    assert [record["lr"] for record in progress.history] == pytest.approx(rates)
    assert progress.best_epoch == 3, "without validation the last epoch stands"


def test_a_class_without_clips_weighs_nothing() -> None:
    """Neither as a target nor, by the smoothing, as a share of others' targets."""
    weights = class_weights(torch.tensor([3, 1, 0]))
    assert weights.tolist() == pytest.approx([4 / 9, 4 / 3, 0.0])
    logits = torch.zeros(1, 3, requires_grad=True)
    nn.CrossEntropyLoss(weight=weights, label_smoothing=0.3)(logits, torch.tensor([1])).backward()
    assert logits.grad is not None and logits.grad[0, 2] > 0


@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_may_be_cut_and_filled_up_without_a_change_of_its_loss(weighted: bool) -> None:
    """The loss is torch's; a clip whose weight is 0 is not in it."""
    targets = torch.tensor([0, 0, 0, 1, 2, 2])
    loss = CrossEntropy.fitted(targets, 3, LossSettings(class_weights=weighted, label_smoothing=0.3))
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.full((6,), 1 / float(loss.clip_weights(targets[:4]).sum()))
    weights[4:] = 0.0
    parts = [loss.of_batch(logits[i:j], targets[i:j], weights[i:j]) for i, j in ((0, 1), (1, 6))]
    weight = loss.balance.weight if weighted else None
    whole = nn.functional.cross_entropy(logits[:4], targets[:4], weight, label_smoothing=0.3)
    torch.testing.assert_close(sum(parts), whole)


def test_the_kind_of_the_loss_and_the_factors_of_clips_are_those_of_the_fit(clips: Clips, tmp_path: Path) -> None:
    """At a rate of next to nothing the loss of an epoch, in one batch of all clips, is that of the start."""
    factors, targets = dict.fromkeys(CLIPS[:4], 0.3), torch.tensor([TARGET[clip] for clip in CLIPS])
    outputs = Linear()({"statistics": clips.features_of(CLIPS)}, None).detach()
    by_clip = torch.tensor([factors.get(clip, 1.0) for clip in CLIPS])
    for kind in ("focal", "class_balanced", "logit_adjusted"):
        still = {"lr": 1e-12, "method_lr": 1e-12, "batch_size": len(CLIPS), "epochs": 1, "loss": kind}
        settings = STEPS.model_copy(update=still)
        loss = CrossEntropy.fitted(targets, 3, LossSettings(kind=kind, label_smoothing=0.2), by_clip)
        weights = by_clip / (by_clip * loss.clip_weights(targets)).sum()
        _, progress = fitted(clips, tmp_path, settings, factors=factors)
        expected = float(loss.of_batch(outputs, targets, weights))
        assert progress.history[0]["loss"] == pytest.approx(expected, rel=1e-5), kind


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_a_factor_counts_in_batches_of_clips_that_all_have_it(mixup: float) -> None:
    """Batches by length hold one corpus each where its clips are the longer ones."""
    short, long = [f"s{i}" for i in range(8)], [f"l{i}" for i in range(8)]
    frames = dict.fromkeys(short, 1) | dict.fromkeys(long, 9)
    task = Task((*short, *long), None, dict.fromkeys(frames, 0), 0, 1, "", factors=dict.fromkeys(long, 0.25))
    learner = loop.Learner(
        classifier=Linear(),
        data=SimpleNamespace(frames=frames),  # type: ignore[arg-type]
        task=task,
        settings=STEPS.model_copy(update={"batch_size": 8, "length_window": 2}),
        augment=AugmentSettings(mixup=mixup),
        accelerator=Accelerator(cpu=True),
        loss=CrossEntropy.fitted(torch.zeros(16, dtype=torch.long), 3, LossSettings()),
        clip_weights=dict.fromkeys(task.train, 1.0),
    )
    assert learner.begin(0) == 2 and {*map(frozenset, learner.batches)} == {frozenset(short), frozenset(long)}
    weights: Counter[str] = Counter()
    for batch in learner.batches:
        total = learner.weight(batch)
        pairs = zip(learner.factors(batch, total), learner.partner_factors(batch, total), strict=True)
        weights.update({batch[0][0]: sum(map(sum, pairs))})  # type: ignore[dict-item]
    assert weights.total() == pytest.approx(2)  # steps are as large as without factors
    if not mixup:
        assert weights["l"] / 2 == pytest.approx(8 * 0.25 / (8 + 8 * 0.25))


def test_the_loss_is_the_mean_over_draws_of_dropout(clips: Clips, tmp_path: Path) -> None:
    """Without dropout the draws are equal, and the fit is that of one draw."""
    start = np.random.default_rng(0).normal(size=(len(LABELS), FEATURES)), np.ones(len(LABELS))
    heads, losses = [], []
    for draws in (1, 3):
        head = StatisticsHead(FEATURES // 2, len(LABELS), 0.0)
        head.dropout_samples = draws
        _, progress = fitted(clips, tmp_path, classifier=Frozen(head), head=start)
        heads.append(head.out.weight.detach())
        losses.append([record["loss"] for record in progress.history])
    torch.testing.assert_close(*heads)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


# The log -----------------------------------------------------------------------------------------


def test_the_start_is_logged_under_the_loss_of_training(clips: Clips, tmp_path: Path) -> None:
    """At a rate of next to nothing the loss of the first epoch is that of epoch 0, in one batch of all clips."""
    still = STEPS.model_copy(update={"lr": 1e-12, "method_lr": 1e-12, "batch_size": len(CLIPS), "epochs": 1})
    head = StatisticsHead(FEATURES // 2, len(LABELS), 0.0)
    start = np.random.default_rng(0).normal(size=(len(LABELS), FEATURES)), np.ones(len(LABELS))
    _, progress = fitted(clips, tmp_path, still, classifier=Frozen(head), head=start)
    first, second = progress.history
    assert (first["epoch"], second["epoch"]) == (0, 1)
    assert first["loss"] == pytest.approx(second["loss"], rel=1e-6)


def test_the_penalty_of_a_method_is_in_the_loss(clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.1 of the sum of six factors, 1.0 on average; and the factors move by it."""
    still = STEPS.model_copy(update={"lr": 1e-12, "method_lr": 1e-12, "epochs": 1})
    _, without = fitted(clips, tmp_path, still)
    plain, _ = fitted(clips, tmp_path, STEPS)
    monkeypatch.setattr(Gain, "penalty", lambda self: 0.1 * self.gain.sum())
    _, progress = fitted(clips, tmp_path, still)
    assert progress.history[0]["loss"] - without.history[0]["loss"] == pytest.approx(0.6, abs=1e-5)
    moved, _ = fitted(clips, tmp_path, STEPS)
    assert not torch.allclose(moved.method.gain, plain.method.gain)


# The choice of an epoch --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("select", "best"),
    [("macro_f1", 2), ("loss", 1), ("last", 4)],
)
def test_the_best_epoch_s_weights_are_left_and_ties_keep_the_earlier(
    select: Any, best: int, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = iter(zip((0.5, 0.9, 0.9, 0.3), (0.7, 1.1, 0.7, 2.0), strict=True))

    def measured(*_: Any, **_named: Any) -> dict[str, float]:
        f1, loss = next(scripted)
        return {"macro_f1": f1, "loss": loss, "uar": f1}

    after: list[dict[str, Tensor]] = []
    monkeypatch.setattr(loop, "validation_scores", measured)
    classifier = Linear()
    settings = STEPS.model_copy(update={"select": select, "epochs": 4})
    _, progress = fitted(
        clips,
        tmp_path,
        settings,
        classifier=classifier,
        validation=CLIPS[:3],
        on_epoch=lambda _: after.append(classifier.snapshot()),
    )
    assert progress.best_epoch == best
    assert [torch.equal(classifier.head.weight, state["head.weight"]) for state in after].index(True) == best - 1  # type: ignore[union-attr]


def test_validation_is_of_the_validation_clips_without_dropout(clips: Clips, tmp_path: Path) -> None:
    """Steps drop features, judging does not, and it judges by the clips held out."""
    classifier = Linear()
    modes: list[bool] = []
    forward = classifier.forward

    def watched(prefix: dict[str, Tensor], lengths: Tensor | None) -> Tensor:
        modes.append(classifier.training)
        return forward(prefix, lengths)

    classifier.forward = watched  # type: ignore[method-assign]
    settings = STEPS.model_copy(update={"epochs": 1})
    _, progress = fitted(clips, tmp_path, settings, classifier=classifier, validation=CLIPS[4:9])
    # The proof of gradients, three batches, then the validation clips in one.
    assert modes[-4:] == [True, True, True, False] and not classifier.training
    held_out = torch.stack([clips.features[clip] for clip in CLIPS[4:9]])[:, None]
    logs = torch.log_softmax(forward({"statistics": held_out}, None).detach().double(), 1)
    truth = torch.tensor([TARGET[clip] for clip in CLIPS[4:9]])
    measured = progress.history[0]["validation"]
    assert measured["loss"] == pytest.approx(float(-logs[torch.arange(5), truth].mean()), rel=1e-5)
    recalls = [
        float((logs.argmax(1)[truth == label] == label).double().mean()) for label in (0, 1, 2) if label in truth
    ]
    assert measured["uar"] == pytest.approx(sum(recalls) / len(recalls))


# Checkpoints -------------------------------------------------------------------------------------


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a checkpoint be due after each step and epoch; returns a report that waits until it is written."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    def wait(*_: object) -> None:
        for thread in threading.enumerate():
            if thread.name == "checkpoint":
                thread.join()

    return wait


def test_a_checkpoint_is_written_when_it_is_due(clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after each epoch: epochs of a tenth of a second would do little else."""
    written: list[object] = []
    monkeypatch.setattr(checkpoint, "write", lambda *arguments: written.append(arguments))
    fitted(clips, tmp_path)
    assert not written
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    fitted(clips, tmp_path)
    assert written


def test_a_checkpoint_of_another_fit_is_not_gone_on_with(
    clips: Clips, tmp_path: Path, always: Callable[..., None]
) -> None:
    """One that the same fit has left is: it begins where that one ended."""
    settings, accelerator = STEPS.model_copy(update={"epochs": 2}), devices.accelerator(torch.device("cpu"))

    def epochs(identity: str) -> list[int]:
        task = Task(CLIPS, None, TARGET, seed=5, epochs=2, identity=identity)
        done: list[int] = []
        fit(
            Linear(),
            clips,
            task,
            settings,
            accelerator,
            checkpoint_file=tmp_path / "checkpoint.safetensors",  # type: ignore[arg-type]
            on_epoch=lambda progress: done.append(progress.epoch),
            on_step=always,
        )
        return done

    assert [epochs("run 1 select"), epochs("run 1 select"), epochs("run 2 select")] == [[1, 2], [], [1, 2]]


def test_a_method_acts_after_each_step_and_its_state_outlives_a_kill(
    clips: Clips, tmp_path: Path, always: Callable[..., None]
) -> None:
    used = Linear()
    used.method.gradients += 1.0  # of a fit before
    undisturbed, _ = fitted(clips, tmp_path / "undisturbed", classifier=used)
    assert undisturbed.method.steps == [(step, 9) for step in range(1, 10)]  # type: ignore[comparison-overlap]
    assert bool(undisturbed.method.gradients.any())

    def stop(progress: Fit) -> None:
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(clips, tmp_path, on_epoch=stop, on_step=always)
    task = Task(CLIPS, None, TARGET, seed=5, epochs=STEPS.epochs, identity=str(tmp_path))
    again, file = Linear(), tmp_path / "checkpoint.safetensors"
    fit(again, clips, task, STEPS, devices.accelerator(torch.device("cpu")), checkpoint_file=file)  # type: ignore[arg-type]
    assert again.method.steps == [(7, 9), (8, 9), (9, 9)]  # type: ignore[comparison-overlap]
    assert torch.equal(again.method.gradients, undisturbed.method.gradients)  # type: ignore[arg-type]


def test_a_fit_stopped_between_two_steps_ends_with_the_same_bits(
    clips: Clips, tmp_path: Path, always: Callable[..., None]
) -> None:
    undisturbed, expected = fitted(clips, tmp_path / "undisturbed")

    def stop(step: int, _total: int) -> None:
        always()
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(clips, tmp_path, on_step=stop)
    again, steps = Linear(), []
    task = Task(CLIPS, None, TARGET, seed=5, epochs=STEPS.epochs, identity=str(tmp_path))
    progress = fit(
        again,
        clips,  # type: ignore[arg-type]
        task,
        STEPS,
        devices.accelerator(torch.device("cpu")),
        checkpoint_file=tmp_path / "checkpoint.safetensors",
        on_step=lambda step, _total: steps.append(step),
    )
    assert steps == [6, 7, 8, 9], "the fifth was kept, the sixth was not"
    for name, value in again.trainable().items():
        assert torch.equal(value, undisturbed.trainable()[name]), name
    losses = [record["loss"] for record in progress.history]
    assert losses == [record["loss"] for record in expected.history]


# Augmentation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "augment", [AugmentSettings(noise_snr_db=10.0), AugmentSettings(feature_mask=0.9)], ids=["waves", "masks"]
)
def test_each_epoch_draws_anew(augment: AugmentSettings, clips: Clips, tmp_path: Path) -> None:
    class Waves(Clips):
        def fresh_batch(self, ids: Any, device: torch.device, change: Callable[[str, np.ndarray], np.ndarray]) -> Any:
            waves = [torch.from_numpy(change(i, self.features[i].numpy())) for i in ids]
            return {"statistics": torch.stack(waves)[:, None]}, torch.ones(len(ids)).long()

    heard: list[Tensor] = []

    class Watched(Linear):
        def forward(self, prefix: dict[str, Tensor], lengths: Tensor | None) -> Tensor:
            heard.append(prefix["statistics"].clone())
            return super().forward(prefix, lengths)

    settings = STEPS.model_copy(update={"epochs": 3, "batch_size": len(CLIPS)})
    waves = Waves(torch.stack(list(clips.features.values())))
    fitted(waves, tmp_path, settings, classifier=Watched(), augment=augment)
    # The clips of an epoch come in another order each time.
    epochs = [sorted(batch[:, 0].tolist()) for batch in heard[-3:]]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


# What a launcher and an accelerator may do -------------------------------------------------------


def test_accumulation_set_by_a_launcher_changes_nothing(
    clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _ = fitted(clips, tmp_path)
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "8")
    launched, _ = fitted(clips, tmp_path)
    assert devices.accelerator(torch.device("cpu")).gradient_accumulation_steps == 1
    for name, value in launched.trainable().items():
        assert torch.equal(value, plain.trainable()[name]), name


@pytest.fixture
def optimizers(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref]:
    """Weak references to the optimisers that the loop makes."""
    references: list[weakref.ref] = []
    make = loop.make_optimizer

    def watched(*arguments: Any) -> torch.optim.Optimizer:
        optimizer = make(*arguments)
        references.append(weakref.ref(optimizer))
        return optimizer

    monkeypatch.setattr(loop, "make_optimizer", watched)
    return references


def test_no_optimiser_outlives_its_fit(clips: Clips, tmp_path: Path, optimizers: list[weakref.ref]) -> None:
    """Thirty folds take the memory of one: their models would stay with their optimisers."""
    accelerator = devices.accelerator(torch.device("cpu"))
    for _ in range(4):
        fitted(clips, tmp_path, accelerator=accelerator)
    gc.collect()
    assert len(optimizers) == 4 and not [reference for reference in optimizers if reference() is not None]
    assert accelerator.num_processes == 1


# Masks of statistics -----------------------------------------------------------------------------


class Frozen(Linear):
    """A frozen state's statistics under a statistics head: no method trains."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__(head)
        self.method.gain.requires_grad_(False)

    def forward(self, prefix: dict[str, Tensor], lengths: Tensor | None) -> Tensor:
        return self.head.classify(self.statistics(prefix, lengths))  # type: ignore[operator]


def test_masked_features_of_statistics_are_zero_once_standardised(
    clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far from zero, as real statistics are: a zero there would be an outlier of ten deviations."""
    clips.features = {clip: value * 0.1 + 7.0 for clip, value in clips.features.items()}
    head = StatisticsHead(FEATURES // 2, len(LABELS), 0.0)
    seen: list[Tensor] = []
    classify = head.classify

    def watched(statistics: Tensor) -> Tensor:
        if head.training:
            seen.append(((statistics - head.centre) / head.scale).detach())
        return classify(statistics)

    monkeypatch.setattr(head, "classify", watched)
    fitted(clips, tmp_path, classifier=Frozen(head), augment=AugmentSettings(feature_mask=0.9))
    standardised = torch.cat(seen)
    assert float(standardised.abs().max()) < 4
    masked = (standardised.abs() < 1e-4).sum(1)
    assert 0 < int(masked.max()) < FEATURES and len(set(masked.tolist())) > 2
