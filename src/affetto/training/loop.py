"""Training loop of emotion classifiers: epochs of optimiser steps, each judged by the validation clips.

A fit can be killed at any step: its checkpoint holds everything, the batches are a pure function of seed and epoch,
and going on gives the numbers of an undisturbed run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.models.device import capabilities, random_states, restore_random_states
from affetto.models.prefix import PrefixData
from affetto.training.adversary import make_adversary
from affetto.training.augment_settings import AugmentSettings
from affetto.training.averages import make_average
from affetto.training.batches import plan
from affetto.training.checkpoint import Checkpoint, with_prefix, without_prefix
from affetto.training.constants import fit_constants
from affetto.training.cross_heads import make_cross_heads
from affetto.training.engine import Engine
from affetto.training.gradients import check_gradients
from affetto.training.learner import Batch, Learner, make_loss
from affetto.training.optimizer import make_optimizer
from affetto.training.predict import Forward, predict, validation_scores
from affetto.training.processes import check_same_position, on_all_ranks, part, share_start
from affetto.training.program import obstacle, program_of
from affetto.training.sections import TrainingSettings
from affetto.training.task import Task

CHECKPOINT_SECONDS = 30.0
"""Least time between two checkpoints of a fit: about the longest stretch of training that a kill can undo."""


@dataclass
class Fit:
    """Progress of a fit. `history` has one record an epoch."""

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

    `on_step(steps done, steps in all)` and `on_epoch(fit)` report.
    """
    loop = make_loop(
        classifier,
        data,
        task,
        settings,
        accelerator,
        augment=augment or AugmentSettings(),
        checkpoint_file=checkpoint_file,
        on_epoch=on_epoch,
        on_step=on_step,
    )
    with loop.checkpoint:
        loop.begin()
        return loop.run()


def make_loop(
    classifier: Classifier,
    data: PrefixData,
    task: Task,
    settings: TrainingSettings,
    accelerator: Accelerator,
    *,
    augment: AugmentSettings,
    checkpoint_file: Path,
    on_epoch: Callable[[Fit], None],
    on_step: Callable[[int, int], None],
) -> Loop:
    """The loop of a fit, with the classifier's constants fitted. The parameters are those of `fit`."""
    torch.manual_seed(task.seed)
    scales = fit_constants(classifier, data, task, accelerator.device)
    share_start(classifier, accelerator)
    truth = task.truth(task.train)
    loss = make_loss(classifier, task, settings)
    learner = Learner(
        classifier=classifier,
        data=data,
        task=task,
        settings=settings,
        augment=augment,
        accelerator=accelerator,
        loss=loss.to(accelerator.device),
        clip_weights=dict(zip(task.train, loss.clip_weights(truth).tolist(), strict=True)),
        adversary=make_adversary(classifier.head, task.voices, settings.adversary_weight, accelerator.device),
        scales=scales,
        cross=make_cross_heads(classifier, data, task, accelerator, scales),
    )
    checkpoint = Checkpoint(checkpoint_file, task.identity, CHECKPOINT_SECONDS, writes=accelerator.is_main_process)
    return Loop(learner, checkpoint, on_epoch, on_step)


class Loop:
    """A fit's epochs. `best` holds the weights of the best epoch so far.

    `begin`, then `run`; or, where others take the steps, for each epoch `open_epoch`, `after_step` for each step, and
    `end_epoch`, until `is_done`; then `finish`.
    """

    def __init__(
        self,
        learner: Learner,
        checkpoint: Checkpoint,
        on_epoch: Callable[[Fit], None],
        on_step: Callable[[int, int], None],
    ) -> None:
        self.learner, self.checkpoint = learner, checkpoint
        self.on_epoch, self.on_step = on_epoch, on_step
        self.classifier, self.task, self.settings = learner.classifier, learner.task, learner.settings
        self.accelerator, self.data = learner.accelerator, learner.data
        self.progress, self.best = Fit(), self.classifier.snapshot()
        self.average = make_average(self.settings, learner.stepped)
        self.forward = Forward(self.classifier, self.data, self.accelerator.device)
        # Neither `accelerator.prepare` nor a circle (the engine does not know this loop) may keep the optimiser, and
        # all that it holds, beyond the fit.
        self.obstacle = obstacle(learner)
        optimizer = make_optimizer(learner.stepped, learner.adversary, self.settings, self.obstacle is None)
        self.program = program_of(learner, optimizer) if self.obstacle is None else None
        self.engine: Engine[Batch] = Engine(
            optimizer=optimizer,
            device=self.accelerator.device,
            prepare=learner.prepare,
            learn=learner.learn,
            schedule=lambda initial, _step: initial * learner.settings.lr_decay**learner.epoch,
            take=None if self.program is None else self.program.take,
        )

    def begin(self) -> None:
        """Go on from the checkpoint or, without one, check the start and judge it."""
        self.classifier.method.restore_step_state({})
        if not self._resume() and self.task.epochs > 0:
            on_all_ranks(self.accelerator, self._check_gradients)
        progress = self.progress
        position = (progress.epoch, progress.step, len(progress.history))
        check_same_position(self.accelerator, position, self.checkpoint.path)
        if self.task.head is not None and not progress.history:
            self._judge_start()
            self.on_epoch(progress)

    def run(self) -> Fit:
        """Train from where the fit is to its end."""
        while not self.is_done:
            for step in self.engine.run(self.open_epoch()):
                self.after_step(step)
            self.end_epoch()
        return self.finish()

    @property
    def is_done(self) -> bool:
        """True if all epochs are over."""
        return self.progress.epoch >= self.task.epochs

    def open_epoch(self) -> range:
        """Plan the epoch; returns the steps that are left of it, counted over the fit."""
        progress, cross = self.progress, self.learner.cross
        if cross is not None:
            started = time.monotonic()
            cross.solve(progress.epoch)
            self.engine.seconds += time.monotonic() - started
        self.steps_per_epoch = count = self.learner.begin(progress.epoch)
        if self.program is not None:
            self.program.begin()
        if progress.step == 0:
            torch.manual_seed(self.task.seed * 100_003 + progress.epoch + 1)
        first = progress.epoch * count
        return range(first + progress.step, first + count)

    def after_step(self, step: int) -> None:
        """Report a step, and write a checkpoint if one is due within the epoch."""
        progress, count = self.progress, self.steps_per_epoch
        total = self.task.epochs * count
        self.classifier.method.after_step(step + 1, total)
        self.average.after_step(step + 1)
        self.on_step(step + 1, total)
        progress.step = step + 1 - progress.epoch * count
        if self.checkpoint.is_due and progress.step < count:
            self._account()
            self._keep()

    def end_epoch(self) -> None:
        """Judge the epoch, write a checkpoint if one is due, and report."""
        self._account()
        self._close_epoch()
        if self.checkpoint.is_due:
            self._keep()
        self.on_epoch(self.progress)

    def finish(self) -> Fit:
        """Leave the classifier with the weights of the chosen epoch. Raises UserError if a checkpoint has failed."""
        self.checkpoint.close()
        self.classifier.restore(self.best)
        self.classifier.eval()
        return self.progress

    def _check_gradients(self) -> None:
        task, s, device = self.task, self.settings, self.accelerator.device
        first = plan(task.train, self.data.frames, s.batch_size, s.length_window, seed=task.seed, epoch=0)[0]
        ids = part(first, self.accelerator) or first
        check_gradients(self.classifier, *self.data.batch(ids, device))

    def _account(self) -> None:
        """Add losses and time of the steps that were taken since the last call."""
        started = time.monotonic()
        for loss in self.learner.take_losses():  # one by one: the sum is the same wherever a kill has cut it
            self.progress.loss_sum += loss
        # A device with a queue has done the steps by now.
        self.progress.seconds += self.engine.seconds + time.monotonic() - started
        self.engine.seconds = 0.0

    def _close_epoch(self) -> None:
        """Judge the epoch that ends here and enter it in the history."""
        started, progress = time.monotonic(), self.progress
        record: dict[str, Any] = {
            "epoch": progress.epoch + 1,
            "loss": progress.loss_sum / len(self.task.train),
            "lr": self.engine.rates[0],
        }
        if not math.isfinite(record["loss"]):
            raise UserError(
                f"training diverged in epoch {record['epoch']} (loss {record['loss']}): "
                "lower training.lr or training.method_lr"
            )
        if self.accelerator.num_processes > 1:
            record["processes"] = self.accelerator.num_processes
        if capabilities(self.accelerator.device).graphs:
            problem = self.obstacle if self.program is None else self.program.problem
            record["captured"] = problem is None
            record |= {} if problem is None else {"not_captured": problem}
        self.average.end_epoch()
        with self.average.applied():
            if self.learner.cross is not None:
                self.learner.cross.solve_own(keeps=not self.average.changes_weights)
            self._judge(record)
        record["seconds"] = round(progress.seconds + time.monotonic() - started, 4)
        progress.epoch, progress.step, progress.loss_sum, progress.seconds = progress.epoch + 1, 0, 0.0, 0.0

    def _judge_start(self) -> None:
        """Judge the untrained model as epoch 0."""
        task, device = self.task, self.accelerator.device
        # The model is used with the head's constants, which are not those of clips that are standardised apart.
        clips = tuple(clip_id for clip_id in task.train if clip_id not in task.standardised_apart)
        if self.learner.cross is None:
            rows = predict(self.classifier, self.data, clips, device, self.accelerator, forward=self.forward)
        else:
            clips, rows = task.train, self.learner.cross.start_values()
        loss = self.learner.loss.of_values(rows, task.truth(clips))
        self._judge({"seconds": 0.0, "epoch": 0, "loss": loss, "lr": 0.0})

    def _judge(self, record: dict[str, Any]) -> None:
        """Validate the present weights, enter the record in the history, and remember the weights if they are best."""
        progress, task, select = self.progress, self.task, self.settings.select
        device = self.accelerator.device
        score = float(record["epoch"])  # without a choice the last epoch stands
        if task.validation is not None:
            record["validation"] = scores = validation_scores(
                self.classifier,
                self.data,
                task.validation,
                task.target,
                device=device,
                accelerator=self.accelerator,
                forward=self.forward,
            )
            measure = self.classifier.target.selected(select)
            if measure is not None:
                score = -scores[measure] if measure == "loss" else scores[measure]
        if score > progress.best_score:
            progress.best_score, progress.best_epoch = score, record["epoch"]
            self.best = self.classifier.snapshot()
        progress.history.append(record)

    def _keep(self) -> None:
        tensors = with_prefix("now.", self.classifier.snapshot()) | with_prefix("best.", self.best)
        tensors |= with_prefix("method.", self.classifier.method.step_state()) | random_states()
        tensors |= with_prefix("average.", self.average.state()) | self.learner.state()
        self.checkpoint.write(self.progress, tensors, self.engine.optimizer)

    def _resume(self) -> bool:
        """Go on from the checkpoint; False if there is none."""
        saved = self.checkpoint.read(self.engine.optimizer)
        if saved is None:
            return False
        tensors, facts = saved
        self.classifier.restore(without_prefix("now.", tensors))
        self.classifier.method.restore_step_state(without_prefix("method.", tensors))
        self.average.restore(without_prefix("average.", tensors))
        self.learner.restore(tensors)
        restore_random_states(tensors)
        if facts["best_score"] is None:
            facts["best_score"] = -math.inf
        self.progress = Fit(**facts)
        device = next(self.classifier.parameters()).device
        self.best = {name: tensor.to(device) for name, tensor in without_prefix("best.", tensors).items()}
        return True
