"""The training loop of emotion classifiers.

A fit can be killed at any step: its checkpoint holds everything, the batches are a pure function of
seed and epoch, and going on gives the numbers of an undisturbed run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.models.device import capabilities
from affetto.models.head_layers import StatisticsHead
from affetto.models.prefix import PrefixData
from affetto.training import augment as augmentation
from affetto.training import checkpoint
from affetto.training.ahead import one_ahead
from affetto.training.batches import by_length, plan
from affetto.training.gradients import prove_all_train
from affetto.training.loss import Loss
from affetto.training.predict import EVALUATION_BATCH, VALIDATED, predict, validation_scores
from affetto.training.processes import everyone, part, reseed, same_place, same_start, summed
from affetto.training.sections import AugmentSettings, TrainingSettings

CHECKPOINT_SECONDS = 30.0
"""At most this long a stretch of training is lost to a kill; an epoch's end is always kept."""


@dataclass(frozen=True)
class Task:
    """What a fit learns from: clips by id, each one's class, and what it is chosen by.

    `validation` None: nothing to choose by, the last epoch stands (the final model of a run with folds).
    """

    train: tuple[str, ...]
    validation: tuple[str, ...] | None
    target: Mapping[str, int]
    seed: int
    epochs: int
    identity: str
    """The run's, and the fold's name: a checkpoint of another one is not taken."""
    head: tuple[np.ndarray, np.ndarray] | None = None
    """Weight (classes, features) and bias that a statistics head starts from, in standardised features; then the
    untrained model, epoch 0, may be chosen too."""


@dataclass
class Fit:
    """How far a fit is. `history` has one record an epoch."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int = 0
    best_score: float = -math.inf
    history: list[dict[str, Any]] = field(default_factory=list)


def fit(
    classifier: Classifier,
    data: PrefixData,
    task: Task,
    settings: TrainingSettings,
    accelerator: Accelerator,
    *,
    augment: AugmentSettings | None = None,
    checkpoint_file: Path,
    on_epoch: Callable[[Fit], None] = lambda _: None,
    on_step: Callable[[int, int], None] = lambda _done, _all: None,
) -> Fit:
    """Train `classifier` and leave it with the weights of the chosen epoch.

    `on_step(steps done, steps in all)` and `on_epoch(fit)` report; the latter after the checkpoint.
    """
    torch.manual_seed(task.seed)
    augment = augment or AugmentSettings()
    _fit_constants(classifier, data, task, accelerator.device)
    same_start(classifier, accelerator)
    # Not by `accelerator.prepare`, which would keep it, and all that it holds, for as long as the accelerator lives.
    optimizer = _optimizer(classifier, settings)
    progress, best = Fit(), classifier.snapshot()
    classifier.method.restore_step_state({})
    saved = checkpoint.read(checkpoint_file, task.identity)
    if saved is not None:
        progress, best = _resume(classifier, optimizer, saved)
    elif task.epochs > 0:
        first = plan(task.train, data.frames, settings.batch_size, settings.length_window, task.seed, 0)[0]
        first = part(first, accelerator) or first
        batch = (*data.batch(first, accelerator.device), _targets(first, task, accelerator.device))
        everyone(accelerator, lambda: prove_all_train(classifier, *batch))
    same_place(accelerator, (progress.epoch, progress.step, len(progress.history)), checkpoint_file)
    targets, weighted, smoothing = _targets(task.train, task), settings.class_weights, settings.label_smoothing
    loss = Loss.fitted(targets, len(classifier.labels), weighted=weighted, smoothing=smoothing).to(accelerator.device)
    if task.head is not None and not progress.history:
        rows = predict(classifier, data, task.train, accelerator.device, accelerator)
        record = {"epoch": 0, "loss": loss.of_probabilities(rows, targets), "lr": 0.0}
        best = _judge(classifier, data, task, settings, progress, best, record, accelerator)
        on_epoch(progress)
    while progress.epoch < task.epochs:
        steps = _Steps(classifier, data, task, settings, augment, accelerator, optimizer, loss)
        steps.run(progress, best, checkpoint_file, on_step)
        rate = optimizer.param_groups[0]["lr"]
        best = _close_epoch(classifier, data, task, settings, progress, best, accelerator, rate)
        if accelerator.is_main_process:
            _keep(checkpoint_file, classifier, optimizer, progress, best, task)
        on_epoch(progress)
    classifier.restore(best)
    classifier.eval()
    return progress


@dataclass
class _Steps:
    """The optimiser steps of one epoch, from `progress.step` on."""

    classifier: Classifier
    data: PrefixData
    task: Task
    settings: TrainingSettings
    augment: AugmentSettings
    accelerator: Accelerator
    optimizer: Any
    loss: Loss

    def run(self, progress: Fit, best: dict[str, Tensor], file: Path, on_step: Callable[[int, int], None]) -> None:
        s, device = self.settings, self.accelerator.device
        batches = plan(self.task.train, self.data.frames, s.batch_size, s.length_window, self.task.seed, progress.epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * s.lr_decay**progress.epoch
        if progress.step == 0:
            torch.manual_seed(self.task.seed * 100_003 + progress.epoch + 1)
        self.classifier.train()
        trained = list(self.classifier.trainable().values())
        started = kept = time.monotonic()
        losses: list[Tensor] = []
        made = one_ahead(
            lambda ids: self._part(ids, progress.epoch, device), batches[progress.step :],
            threaded=capabilities(device).batches_ahead,
        )  # fmt: skip
        for number, (ids, batch, lengths, targets, share) in enumerate(made, start=progress.step):
            self.optimizer.zero_grad(set_to_none=True)
            reseed(self.accelerator, self.task.seed, progress.epoch, number)
            with self.accelerator.autocast():
                loss = self.loss(self._logits(ids, progress.epoch, batch, lengths), targets)
                penalty = self.classifier.method.penalty()
                loss = (loss if penalty is None else loss + penalty) * share
            self.accelerator.backward(loss)
            loss = summed(loss, trained, self.accelerator)
            self.optimizer.step()
            losses.append(loss * len(batches[number]))
            step, total = progress.epoch * len(batches) + number + 1, self.task.epochs * len(batches)
            self.classifier.method.after_step(step, total)
            on_step(step, total)
            late = time.monotonic() - kept > CHECKPOINT_SECONDS and number + 1 < len(batches)
            if late and self.accelerator.is_main_process:
                kept = time.monotonic()
                _add(losses, progress)
                progress.step = number + 1
                progress.seconds += kept - started
                started = kept
                _keep(file, self.classifier, self.optimizer, progress, best, self.task)
        _add(losses, progress)
        progress.seconds += time.monotonic() - started

    def _part(
        self, ids: list[str], epoch: int, device: torch.device
    ) -> tuple[list[str], dict[str, Tensor], Tensor, Tensor, float]:
        """This process's clips of a batch, by id and as tensors, and their share of its loss: 1.0 of one process.

        Where there are fewer clips than processes, some take one that then weighs nothing.
        """
        mine = part(ids, self.accelerator)
        own, whole = (math.fsum(self.loss.weights[self.task.target[i]] for i in some) for some in (mine, ids))
        mine = mine or ids[:1]
        return mine, *self._batch(mine, epoch, device), _targets(mine, self.task, device), own / whole

    def _batch(self, ids: list[str], epoch: int, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
        """The stored prefixes, or those of waves augmented anew; masked if so set."""
        a, seed = self.augment, self.task.seed
        if a.waveform:
            noise, speed = a.noise_snr_db, a.speed

            def changed(clip_id: str, samples: np.ndarray) -> np.ndarray:
                random = augmentation.chance(seed, epoch, clip_id)
                return augmentation.wave(samples, random, noise_snr_db=noise, speed=speed)

            batch, lengths = self.data.fresh_batch(ids, device, changed)
        else:
            batch, lengths = self.data.batch(ids, device)
        share = 0.0 if self._masks_statistics else a.feature_mask
        masked = augmentation.masks(batch, lengths, ids, seed, epoch, time_mask=a.time_mask, feature_mask=share)
        return masked, lengths

    @property
    def _masks_statistics(self) -> bool:
        """Whether features are masked in the statistics of frozen states: a zero in the states would be an outlier."""
        return self.classifier.frozen and isinstance(self.classifier.head, StatisticsHead)

    def _logits(self, ids: list[str], epoch: int, batch: dict[str, Tensor], lengths: Tensor) -> Tensor:
        """(batch, classes), of features that are masked by the training clips' mean where they are statistics."""
        head, share = self.classifier.head, self.augment.feature_mask
        if share == 0 or not self._masks_statistics:
            return self.classifier(batch, lengths)
        assert isinstance(head, StatisticsHead)
        statistics = self.classifier.statistics(batch, lengths)
        masked = augmentation.masked_features(statistics, ids, self.task.seed, epoch, share=share, fill=head.centre)
        return head.classify(masked)


def _add(losses: list[Tensor], progress: Fit) -> None:
    """Add one by one in double precision: the sum is the same wherever a kill has cut it."""
    if losses:
        for loss in torch.stack(losses).tolist():
            progress.loss_sum += loss
        losses.clear()


def _close_epoch(
    classifier: Classifier,
    data: PrefixData,
    task: Task,
    settings: TrainingSettings,
    progress: Fit,
    best: dict[str, Tensor],
    accelerator: Accelerator,
    rate: float,
) -> dict[str, Tensor]:
    """Note the epoch that ends here, taken at this learning rate, and return the weights that are best so far."""
    started = time.monotonic()
    record: dict[str, Any] = {
        "epoch": progress.epoch + 1,
        "loss": progress.loss_sum / len(task.train),
        "lr": rate,
    }
    if not math.isfinite(record["loss"]):
        raise UserError(
            f"training diverged in epoch {record['epoch']} (loss {record['loss']}): "
            "lower training.lr or training.method_lr"
        )
    if accelerator.num_processes > 1:
        record["processes"] = accelerator.num_processes
    best = _judge(classifier, data, task, settings, progress, best, record, accelerator)
    record["seconds"] = round(progress.seconds + time.monotonic() - started, 4)
    progress.epoch, progress.step, progress.loss_sum, progress.seconds = progress.epoch + 1, 0, 0.0, 0.0
    return best


def _judge(
    classifier: Classifier, data: PrefixData, task: Task, settings: TrainingSettings, progress: Fit,
    best: dict[str, Tensor], record: dict[str, Any], accelerator: Accelerator,
) -> dict[str, Tensor]:  # fmt: skip
    """Validate what there is now, note it, and return the weights that are best so far."""
    score = float(record["epoch"])  # without a choice the last epoch stands
    if task.validation is not None:
        measured = validation_scores(classifier, data, task.validation, task.target, accelerator.device, accelerator)
        record["validation"] = measured
        if settings.select in VALIDATED:
            score = measured[settings.select] * (1 if VALIDATED[settings.select].higher_is_better else -1)
    if score > progress.best_score:
        progress.best_score, progress.best_epoch, best = score, record["epoch"], classifier.snapshot()
    progress.history.append({"seconds": 0.0, **record} if record["epoch"] == 0 else record)
    return best


@torch.no_grad()
def _fit_constants(classifier: Classifier, data: PrefixData, task: Task, device: torch.device) -> None:
    """Standardise the head's input by the training clips, if the head has such constants."""
    classifier.to(device).eval()
    if not isinstance(classifier.head, StatisticsHead):
        return
    rows = []
    for batch in by_length(task.train, data.frames, EVALUATION_BATCH):
        rows.append(classifier.statistics(*data.batch(batch, device)))
    classifier.head.standardise(torch.cat(rows))
    if task.head is not None:
        weight, bias = task.head
        classifier.head.out.weight.copy_(torch.as_tensor(weight))
        classifier.head.out.bias.copy_(torch.as_tensor(bias))


def _optimizer(classifier: Classifier, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam or AdamW over the head and, at its own rate, what the method trains."""
    head: list[nn.Parameter] = []
    method: list[nn.Parameter] = []
    for name, parameter in classifier.trainable().items():
        (head if name.startswith(("head.", "pooling.")) else method).append(parameter)
    groups: list[dict[str, Any]] = [{"params": head, "lr": settings.lr}]
    if method:
        groups.append({"params": method, "lr": settings.method_lr or settings.lr})
    for group in groups:
        group["initial_lr"] = group["lr"]
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(
        groups, betas=settings.betas, eps=settings.eps, weight_decay=settings.weight_decay,
        fused=capabilities(next(classifier.parameters()).device).fused_optimizer,
    )  # fmt: skip


def _targets(ids: Sequence[str], task: Task, device: torch.device | None = None) -> Tensor:
    return torch.tensor([task.target[i] for i in ids], device=device)


def _keep(
    file: Path, classifier: Classifier, optimizer: Any, progress: Fit, best: dict[str, Tensor], task: Task
) -> None:
    tensors = checkpoint.with_prefix("now.", classifier.snapshot())
    tensors |= checkpoint.with_prefix("method.", classifier.method.step_state())
    tensors |= checkpoint.with_prefix("best.", best) | checkpoint.pack_optimizer(optimizer)
    tensors["rng"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng_cuda"] = torch.cuda.get_rng_state()
    facts = {name: getattr(progress, name) for name in Fit.__dataclass_fields__}
    if not math.isfinite(progress.best_score):
        facts["best_score"] = None
    checkpoint.write(file, tensors, facts | {"identity": task.identity})


def _resume(
    classifier: Classifier, optimizer: Any, saved: tuple[dict[str, Tensor], dict[str, Any]]
) -> tuple[Fit, dict[str, Tensor]]:
    tensors, facts = saved
    classifier.restore(checkpoint.without_prefix("now.", tensors))
    classifier.method.restore_step_state(checkpoint.without_prefix("method.", tensors))
    checkpoint.unpack_optimizer(optimizer, tensors)
    torch.set_rng_state(tensors["rng"])
    if "rng_cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng_cuda"])
    facts = {name: value for name, value in facts.items() if name != "identity"}
    if facts["best_score"] is None:
        facts["best_score"] = -math.inf
    device = next(classifier.parameters()).device
    best = {name: tensor.to(device) for name, tensor in checkpoint.without_prefix("best.", tensors).items()}
    return Fit(**facts), best
