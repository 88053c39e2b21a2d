"""Fits that are trained together: each step of all is one forward and one backward pass of their stacked classifiers.

Each fit keeps its own loop: its batches, learning rate, optimiser, validation, log and checkpoint are those that it has
alone, so that a fit that began in a stack can go on alone, and the other way round. A fit that is done, or has failed,
leaves the stack.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from affetto.models.device import capabilities
from affetto.models.stacked import Stacked, StackingError
from affetto.training.batches import prefetch
from affetto.training.checkpoint import Checkpoint
from affetto.training.learner import Batch
from affetto.training.loop import Fit, Loop
from affetto.training.program import JointProgram


class Member:
    """A fit of a stack. `outcome` is its result or the error that ended it, None while it is under way."""

    def __init__(self, make: Callable[[], Loop]) -> None:
        self.generator = torch.Generator()
        self.outcome: Fit | Exception | None = None
        self.checkpoint: Checkpoint | None = None
        self.steps = range(0)
        """Steps that are left of the epoch."""
        self.attempt(lambda: self._begin(make))

    def _begin(self, make: Callable[[], Loop]) -> None:
        self.loop = make()
        self.checkpoint = self.loop.checkpoint
        self.loop.begin()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let torch draw this fit's random numbers on the CPU, as if it were alone."""
        before = torch.get_rng_state()
        torch.set_rng_state(self.generator.get_state())
        try:
            yield
        finally:
            self.generator.set_state(torch.get_rng_state())
            torch.set_rng_state(before)

    def attempt(self, action: Callable[[], None]) -> None:
        """Do something of this fit alone; an error ends this fit and no other."""
        with self.turn():
            try:
                action()
            except Exception as problem:
                self.outcome = problem

    def open(self) -> None:
        """Plan the steps that are left of the epoch, or end the fit after the last epoch."""
        if self.loop.is_done:
            self.outcome = self.loop.finish()
        else:
            self.steps = self.loop.open_epoch()

    def run_alone(self) -> None:
        """Train to the end without the others."""
        self.outcome = self.loop.run()


def fit_together(loops: Sequence[Callable[[], Loop]]) -> list[Fit | Exception]:
    """Train fits of classifiers that can be stacked; the outcome of each. `loops` make their loops."""
    members = [Member(make) for make in loops]
    try:
        _train(members)
    finally:  # nothing writes into the folder of a fit that is over
        for member in members:
            if member.checkpoint is not None:
                member.checkpoint.wait()
    outcomes = []
    for member in members:
        assert member.outcome is not None
        outcomes.append(member.outcome)
    return outcomes


def _train(members: Sequence[Member]) -> None:
    """Train members to their ends. Where their stack does not fit the memory each half of them is one."""
    active = list(members)
    while True:
        for member in active:
            if member.outcome is None:
                member.attempt(member.open)
        active = [member for member in active if member.outcome is None]
        if len(active) < 2:
            break
        try:
            _train_stack(active)
        except StackingError:
            break
        except torch.OutOfMemoryError:
            half = len(active) // 2
            _train(active[:half])
            _train(active[half:])
    for member in active:
        member.attempt(member.run_alone)


def _train_stack(members: list[Member]) -> None:
    """Train members together until one of them leaves."""
    classifiers = [member.loop.classifier for member in members]
    stacked = Stacked(classifiers, [member.generator for member in members])
    programs = [member.loop.program for member in members if member.loop.program is not None]
    program = JointProgram(stacked, programs) if len(programs) == len(members) else None
    if program is None:
        for alone in programs:
            alone.problem = "another fit of the stack has no steps of static shapes"
    try:
        while all(member.outcome is None for member in members):
            _stretch(stacked, members, program)
            for member in members:
                if not member.steps:
                    member.attempt(member.loop.end_epoch)
                    if member.outcome is None:
                        member.attempt(member.open)
    finally:
        stacked.dissolve()


def _stretch(stacked: Stacked, members: list[Member], program: JointProgram | None) -> None:
    """Take steps of all members until the epoch of one of them is over, or one has failed."""
    taken = 0
    try:
        started = time.monotonic()
        for _ in _steps(stacked, members) if program is None else _whole_steps(program, members):
            share = (time.monotonic() - started) / len(members)
            for member in members:
                member.loop.engine.seconds += share
                member.attempt(functools.partial(member.loop.after_step, member.steps[taken]))
            taken += 1
            if any(member.outcome is not None for member in members):
                break
            started = time.monotonic()
    finally:
        for member in members:
            member.steps = member.steps[taken:]


def _steps(stacked: Stacked, members: list[Member]) -> Iterator[None]:
    """Take the steps that all members have left of their epochs."""
    count = min(len(member.steps) for member in members)
    device = members[0].loop.accelerator.device

    def prepare(n: int) -> list[Batch]:
        return [member.loop.learner.prepare(member.steps[n]) for member in members]

    ahead = prefetch(prepare, range(count), threaded=capabilities(device).batches_ahead)
    for taken, batches in enumerate(ahead):
        _learn(stacked, members, batches)
        for member in members:
            member.loop.engine.set_rates(member.steps[taken])
            member.loop.engine.optimizer.step()
        yield


def _whole_steps(program: JointProgram, members: list[Member]) -> Iterator[None]:
    """As `_steps`, from static tensors."""
    for steps in zip(*(member.steps for member in members), strict=False):
        for member, step in zip(members, steps, strict=True):
            member.loop.engine.set_rates(step)
        program.take(steps)
        yield


def _learn(stacked: Stacked, members: list[Member], batches: list[Batch]) -> None:
    """Compute the gradients of a step of all members."""
    learners = [member.loop.learner for member in members]
    prefixes = [
        (learner.masked_prefix(batch.prefix, batch.masks), batch.lengths)
        for learner, batch in zip(learners, batches, strict=True)
    ]

    def mask(fit: int, statistics: torch.Tensor) -> torch.Tensor:
        batch = batches[fit]
        return learners[fit].changed_statistics(statistics, batch.masks, batch.corpora, batch.mixture)

    stacked.zero_gradients()
    rows = stacked.logits(*stacked.join(prefixes), mask)
    losses = [
        learner.loss_of(logits, batch.targets, batch.weights, batch.mixture)
        for learner, logits, batch in zip(learners, rows, batches, strict=True)
    ]
    torch.stack(losses).sum().backward()
    stacked.give_gradients()
    for learner, loss, batch in zip(learners, losses, batches, strict=True):
        learner.losses.append(loss.detach() * batch.clips)
