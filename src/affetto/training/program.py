"""Training steps of static shapes: each is one function of tensors on the device, captured where the device can.

Batches have one number of clips and few widths: a short batch is filled up with clips that weigh nothing, and all are
padded to a width of the bank's. Neither changes a number, up to rounding; dropout draws for the whole batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from affetto.models.bank import Bank, bucket_widths, width_of
from affetto.models.device import send
from affetto.models.graphs import Captured, Recorder, recorder_of
from affetto.models.stacked import Stacked
from affetto.training.learner import Learner
from affetto.training.mixtures import Mixture, Partner


@dataclass(frozen=True)
class StaticStep:
    """Step as a function of static tensors: gradients from zero, clips, logits, loss, gradients, optimiser."""

    learner: Learner
    optimizer: torch.optim.Optimizer
    bank: Bank
    targets: Tensor
    """Truth of each row of the bank, on the device; a clip without one, which no batch has, gets that of another."""
    corpora: Tensor | None
    """Row in `CorpusScales` of each row of the bank, on the device; None: there are no such maps."""

    def __call__(
        self,
        width: int,
        rows: Tensor,
        weights: Tensor,
        masks: Tensor | None = None,
        partners: Tensor | None = None,
        portions: Tensor | None = None,
    ) -> Tensor:
        """Rows (batch,), weights (batch,), masks (batch, 4), partners and portions (`mixture`) → the loss, a scalar."""
        self.optimizer.zero_grad(set_to_none=True)
        prefix, lengths = self.bank.gather(rows, width)
        mixture = self.mixture(width, partners, portions)
        logits = self.learner.logits(prefix, lengths, masks, self.corpora_of(rows), mixture)
        loss = self.loss(logits, rows, weights, mixture)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def mixture(self, width: int, partners: Tensor | None, portions: Tensor | None) -> Mixture | None:
        """The mixture with partners in these rows of the bank (batch,).

        `portions` (batch, 2): each clip's share, and its partner's factor in the loss. None: clips are not mixed.
        """
        if partners is None or portions is None:
            return None
        statistics = self.learner.classifier.statistics(*self.bank.gather(partners, width))
        return Mixture(
            statistics=self.learner.moved(statistics, self.corpora_of(partners)),
            targets=self.targets[partners],
            weights=portions[:, 1],
            shares=portions[:, :1],
        )

    def corpora_of(self, rows: Tensor) -> Tensor | None:
        """Row in `CorpusScales` of the clips in these rows of the bank, (clips,)."""
        return None if self.corpora is None else self.corpora[rows]

    def loss(self, logits: Tensor, rows: Tensor, weights: Tensor, mixture: Mixture | None) -> Tensor:
        """The loss, a scalar, from the logits (batch, outputs) and weights of clips."""
        return self.learner.loss_of(logits, self.targets[rows], weights, mixture)


@dataclass(frozen=True)
class JointStep:
    """Step of stacked fits as a function of static tensors: one forward and one backward pass, each fit's optimiser."""

    stacked: Stacked
    steps: Sequence[StaticStep]

    def __call__(
        self,
        width: int,
        rows: Tensor,
        weights: Tensor,
        masks: Tensor | None = None,
        partners: Tensor | None = None,
        portions: Tensor | None = None,
    ) -> Tensor:
        """The parameters of `StaticStep`, each with a leading dimension of fits → the loss of each fit (fits,)."""
        learners, absent = [step.learner for step in self.steps], [None] * len(self.steps)
        drawn = absent if masks is None else masks
        pairs = absent if partners is None or portions is None else zip(partners, portions, strict=True)
        mixtures = [step.mixture(width, *(pair or (None, None))) for step, pair in zip(self.steps, pairs, strict=True)]
        batches = []
        for fit, step in enumerate(self.steps):
            prefix, lengths = step.bank.gather(rows[fit], width)
            batches.append((learners[fit].masked_prefix(prefix, drawn[fit]), lengths))
        self.stacked.zero_gradients()
        logits = self.stacked.logits(
            *self.stacked.join(batches),
            lambda fit, statistics: learners[fit].changed_statistics(
                statistics, drawn[fit], self.steps[fit].corpora_of(rows[fit]), mixtures[fit]
            ),
        )
        losses = torch.stack(
            [step.loss(logits[fit], rows[fit], weights[fit], mixtures[fit]) for fit, step in enumerate(self.steps)]
        )
        losses.sum().backward()
        self.stacked.give_gradients()
        for step in self.steps:
            step.optimizer.step()
        return losses.detach()


class Program:
    """Static steps of a fit. `begin` comes before the steps of each epoch, after the learner's."""

    def __init__(
        self, learner: Learner, optimizer: torch.optim.Optimizer, bank: Bank, recorder: Recorder | None
    ) -> None:
        self.learner, self.bank, self.recorder = learner, bank, recorder
        task, device = learner.task, bank.device
        truth = task.truth([clip_id if clip_id in task.target else task.train[0] for clip_id in bank.rows])
        corpora = None if learner.scales is None else send(learner.scales.rows_of(list(bank.rows)), device)
        self.step = StaticStep(
            learner=learner, optimizer=optimizer, bank=bank, targets=send(truth, device), corpora=corpora
        )
        self.captured = (
            None if recorder is None else Captured(self.step, recorder, learner.classifier.trainable().values)
        )
        self.widths = bucket_widths(learner.data.frames[clip_id] for clip_id in task.train)
        self.problem: str | None = None
        """Reason for which a step could not be captured; None if none has failed."""

    def begin(self) -> None:
        """Put the batches of the learner's epoch onto the device."""
        if self.captured is not None:
            self.captured.refresh()
        rows, weights, masks, partners, portions, self._widths = [], [], [], [], [], []
        size, data = self.learner.settings.batch_size, self.learner.data
        for clips in self.learner.batches:
            fillers = [clips[0]] * (size - len(clips))
            frames = [data.frames[clip_id] for clip_id in (*clips, *fillers)]
            together, total = [*clips, *fillers], self.learner.weight(clips)
            rows.append([self.bank.rows[clip_id] for clip_id in together])
            weights.append(self.learner.factors(clips, total) + [0.0] * len(fillers))
            drawn_partners = [self.learner.partners.get(clip_id, Partner(clip_id, 1.0)) for clip_id in together]
            partners.append([self.bank.rows[partner.clip] for partner in drawn_partners])
            factors = self.learner.partner_factors(clips, total) + [0.0] * len(fillers)
            portions.append([(partner.share, factor) for partner, factor in zip(drawn_partners, factors, strict=True)])
            drawn = self.learner.masks(together, frames, self.bank.features)
            masks.append(torch.zeros(size, 4, dtype=torch.long) if drawn is None else drawn)
            self._widths.append(width_of(max(frames), self.widths))
        inputs = torch.tensor(rows), torch.tensor(weights), torch.stack(masks), *map(torch.tensor, (partners, portions))
        self._inputs = [send(tensor, self.bank.device) for tensor in inputs]

    @property
    def inputs(self) -> int:
        """Tensors of a batch that a step takes: without those behind them clips are not masked, or not mixed."""
        augment = self.learner.augment
        if augment.mixup > 0:
            return 5
        return 3 if augment.time_mask > 0 or augment.feature_mask > 0 else 2

    def batch(self, step: int) -> tuple[int, list[Tensor]]:
        """Width of a step's batch; its rows, weights, masks, partners and portions (`StaticStep`)."""
        index = step % len(self._widths)
        return self._widths[index], [tensor[index] for tensor in self._inputs]

    def take(self, step: int) -> None:
        """Take a step of the fit."""
        width, tensors = self.batch(step)
        loss = (self.captured or self.step)(width, *tensors[: self.inputs])
        self.account(step, loss, None if self.captured is None else self.captured.problem)

    def account(self, step: int, loss: Tensor, problem: str | None) -> None:
        """Note the loss of a step, and what has kept it from being captured."""
        self.learner.losses.append(loss * len(self.learner.batches[step % len(self._widths)]))
        self.problem = problem
        if problem is not None:
            _warn_once(problem)


class JointProgram:
    """Static steps of stacked fits, each with its own program."""

    def __init__(self, stacked: Stacked, programs: Sequence[Program]) -> None:
        self.programs = programs
        self.step = JointStep(stacked, [program.step for program in programs])
        recorder = programs[0].recorder
        self.captured = None if recorder is None else Captured(self.step, recorder)
        self.inputs = max(program.inputs for program in programs)

    def take(self, steps: Sequence[int]) -> None:
        """Take a step of each fit."""
        batches = [program.batch(step) for program, step in zip(self.programs, steps, strict=True)]
        inputs = [torch.stack(tensors) for tensors in zip(*(tensors for _, tensors in batches), strict=True)]
        width = max(width for width, _ in batches)
        losses = (self.captured or self.step)(width, *inputs[: self.inputs])
        problem = None if self.captured is None else self.captured.problem
        for program, step, loss in zip(self.programs, steps, losses, strict=True):
            program.account(step, loss, problem)


def obstacle(learner: Learner) -> str | None:
    """Reason for which the steps of a fit are not of static shapes; None where they are."""
    device = learner.accelerator.device
    if recorder_of(device) is None:
        return "the device captures nothing"
    if learner.accelerator.num_processes > 1:
        return "several processes share a step"
    if learner.augment.waveform:
        return "waves are changed anew in every epoch"
    if learner.cross is not None:
        return "heads are solved for between epochs"
    if learner.adversary is not None:
        return "an adversary learns beside the classifier"
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
