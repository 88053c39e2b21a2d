"""Training steps of static shapes: each is one function of tensors on the device, captured where the device can.

Batches have one number of clips and few widths: a short batch is filled up with clips that weigh nothing, and all are
padded to a width of the bank's. Neither changes a number, up to rounding; dropout draws for the whole batch.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from affetto.models.bank import Bank, bucket_widths, width_of
from affetto.models.device import send
from affetto.models.graphs import Captured, Recorder, recorder_of
from affetto.training.learner import Learner


@dataclass(frozen=True)
class StaticStep:
    """Step as a function of static tensors: gradients from zero, clips, logits, loss, gradients, optimiser."""

    learner: Learner
    optimizer: torch.optim.Optimizer
    bank: Bank
    targets: Tensor
    """Class of each row of the bank, on the device; -1 for a clip without one."""

    def __call__(self, width: int, rows: Tensor, weights: Tensor, *masks: Tensor) -> Tensor:
        """Rows (batch,), weights (batch,) and, if any, masks (batch, 4) → the loss, a scalar."""
        self.optimizer.zero_grad(set_to_none=True)
        prefix, lengths = self.bank.gather(rows, width)
        logits = self.learner.logits(prefix, lengths, *(masks or (None,)))
        loss = (self.learner.loss.per_clip(logits, self.targets[rows]) * weights).sum()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class Program:
    """Static steps of a fit. `begin` comes before the steps of each epoch, after the learner's."""

    def __init__(
        self, learner: Learner, optimizer: torch.optim.Optimizer, bank: Bank, recorder: Recorder | None
    ) -> None:
        self.learner, self.bank = learner, bank
        task, device = learner.task, bank.device
        targets = [task.target.get(clip_id, -1) for clip_id in bank.rows]
        step = StaticStep(learner, optimizer, bank, send(torch.tensor(targets), device))
        self.captured = None if recorder is None else Captured(step, recorder, learner.classifier.trainable().values)
        self.run = step if self.captured is None else self.captured
        self.widths = bucket_widths(learner.data.frames[clip_id] for clip_id in task.train)

    def begin(self) -> None:
        """Put the batches of the learner's epoch onto the device."""
        if self.captured is not None:
            self.captured.refresh()
        rows, weights, masks, self._widths = [], [], [], []
        size, data = self.learner.settings.batch_size, self.learner.data
        for clips in self.learner.batches:
            fillers = [clips[0]] * (size - len(clips))
            frames = [data.frames[clip_id] for clip_id in (*clips, *fillers)]
            rows.append([self.bank.rows[clip_id] for clip_id in (*clips, *fillers)])
            weights.append([1 / self.learner.weight(clips)] * len(clips) + [0.0] * len(fillers))
            drawn = self.learner.masks([*clips, *fillers], frames, self.bank.features)
            masks += [] if drawn is None else [drawn]
            self._widths.append(width_of(max(frames), self.widths))
        inputs = [torch.tensor(rows), torch.tensor(weights), *([torch.stack(masks)] if masks else [])]
        self._inputs = [send(tensor, self.bank.device) for tensor in inputs]

    def take(self, step: int) -> None:
        """Take a step of the fit."""
        index = step % len(self._widths)
        loss = self.run(self._widths[index], *(tensor[index] for tensor in self._inputs))
        self.learner.losses.append(loss * len(self.learner.batches[index]))
        if self.problem is not None:
            _warn_once(self.problem)

    @property
    def problem(self) -> str | None:
        """Reason for which a step could not be captured; None if none has failed."""
        return None if self.captured is None else self.captured.problem


def obstacle(learner: Learner) -> str | None:
    """Reason for which the steps of a fit are not of static shapes; None where they are."""
    device = learner.accelerator.device
    if recorder_of(device) is None:
        return "the device captures nothing"
    if learner.accelerator.num_processes > 1:
        return "several processes share a step"
    if learner.augment.waveform:
        return "waves are changed anew in every epoch"
    if learner.classifier.method.acts_in_steps:
        return f"the method acts between steps: {learner.classifier.method.name}"
    return "the stored states do not fit on the device" if learner.data.bank(device) is None else None


def program_of(learner: Learner, optimizer: torch.optim.Optimizer) -> Program:
    """Program of a fit to which there is no `obstacle`."""
    device = learner.accelerator.device
    bank = learner.data.bank(device)
    assert bank is not None
    return Program(learner, optimizer, bank, recorder_of(device))


_WARNED: set[str] = set()


def _warn_once(problem: str) -> None:
    if problem not in _WARNED:
        _WARNED.add(problem)
        warnings.warn(f"training steps could not be captured and run call by call: {problem}", stacklevel=3)
