"""Fits that runs and folds wait for: generators ask for them, and `drive` runs them.

A run is a generator. It does everything itself but the fits: it yields lists of `FitRequest`, and gets a `Fit`, or the
error that ended it, for each of them. So the fits of several folds, and of several runs, can be one training.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from accelerate import Accelerator

from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.models.device import capabilities
from affetto.models.prefix import PrefixData
from affetto.training.augment_settings import AugmentSettings
from affetto.training.joint import fit_together
from affetto.training.loop import Fit, Loop, fit, make_loop
from affetto.training.sections import TrainingSettings
from affetto.training.stack_size import most_fits
from affetto.training.task import Task

T = TypeVar("T")
NO_MEMORY = (
    "out of memory: the same command with a lower --stack or on a device with more of it goes on; a lower --set "
    "training.batch_size, audio.seconds or another precision needs another --out"
)


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """Fit that a generator waits for. The fields are the parameters of `affetto.training.loop.fit`."""

    classifier: Classifier
    """Classifier that the fit leaves with the weights of the chosen epoch."""
    data: PrefixData
    task: Task
    settings: TrainingSettings
    accelerator: Accelerator
    augment: AugmentSettings
    checkpoint_file: Path
    on_epoch: Callable[[Fit], None]
    on_step: Callable[[int, int], None]
    architecture: str | None = None
    """Key of the fits with which it can be stacked: equal frozen weights, precision, device and layers that train. None
    for a fit that cannot be stacked."""


Outcome: TypeAlias = Fit | Exception
Steps: TypeAlias = Generator[list[FitRequest], list[Outcome], T]
"""Generator of a run or a fold: it yields the fits that it waits for, gets their outcomes, and returns its result."""


def fitted(request: FitRequest) -> Steps[Fit]:
    """Wait for one fit; `yield from` gives it. Raises the error that ended it."""
    (outcome,) = yield [request]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def together(parts: Iterable[Steps[T]], at_once: int) -> Steps[list[T]]:
    """Run generators, at most `at_once` of them begun and not ended at a time; their results, in order.

    The first error ends all, and is raised.
    """
    results: list[T] = []
    for result in (yield from _advance(parts, at_once, ends_all=True)):
        assert not isinstance(result, Exception)
        results.append(result)
    return results


def fits_at_once(stack: str | int, accelerator: Accelerator) -> int:
    """Fits that train as one at most, see `stack_size`. Several processes do one fit at a time."""
    if accelerator.num_processes > 1:
        return 1
    return most_fits(stack, own_memory=capabilities(accelerator.device).own_memory)


def drive(parts: Sequence[Steps[T]], stack: str | int) -> list[T | Exception]:
    """Run generators and the fits that they wait for, at most `stack` (a number, or `auto`) fits as one training.

    Returns what each generator returns, or the error that ended it; the others go on.
    """
    course = _advance(parts, max(1, len(parts)), ends_all=False)
    outcomes: list[Outcome] | None = None
    while True:
        try:
            requests = next(course) if outcomes is None else course.send(outcomes)
        except StopIteration as end:
            results: list[T | Exception] = end.value
            return results
        outcomes = _run(requests, stack)


def _run(requests: Sequence[FitRequest], stack: str | int) -> list[Outcome]:
    """Outcomes of fits, in order; those of one architecture are trained together."""
    groups: dict[object, list[int]] = {}
    for n, request in enumerate(requests):
        # A fit without epochs has no steps that it could share.
        alone = request.architecture is None or request.task.epochs == 0
        groups.setdefault(n if alone else request.architecture, []).append(n)
    outcomes: dict[int, Outcome] = {}
    for numbers in groups.values():
        first = requests[numbers[0]]
        size = 1 if len(numbers) == 1 else fits_at_once(stack, first.accelerator)
        for start in range(0, len(numbers), size):
            chunk = numbers[start : start + size]
            outcomes.update(zip(chunk, _run_chunk([requests[n] for n in chunk]), strict=True))
    return [_explained(outcomes[n]) for n in range(len(requests))]


def _run_chunk(requests: Sequence[FitRequest]) -> list[Outcome]:
    if len(requests) == 1:
        return [_run_alone(requests[0])]
    return fit_together([functools.partial(_loop, request) for request in requests])


def _loop(request: FitRequest) -> Loop:
    return make_loop(**_parameters(request))


def _run_alone(request: FitRequest) -> Outcome:
    try:
        return fit(**_parameters(request))
    except Exception as problem:
        return problem


def _parameters(request: FitRequest) -> dict[str, Any]:
    """The parameters of `loop.fit`."""
    return {field.name: getattr(request, field.name) for field in fields(request) if field.name != "architecture"}


def _explained(outcome: Outcome) -> Outcome:
    """The outcome, where memory was lacking as an error that says what to do."""
    return UserError(NO_MEMORY) if isinstance(outcome, (torch.OutOfMemoryError, MemoryError)) else outcome


class _Part(Generic[T]):
    """A generator on its way: the fits that it waits for, or its result."""

    def __init__(self, steps: Steps[T]) -> None:
        self.steps = steps
        self.requests: list[FitRequest] = []
        self.result: T | Exception | None = None
        self.is_done = False

    def advance(self, outcomes: list[Outcome] | None) -> None:
        """Go on to the next fits or to the end; None at the beginning."""
        try:
            self.requests = next(self.steps) if outcomes is None else self.steps.send(outcomes)
        except StopIteration as end:
            self.result, self.is_done = end.value, True
        except Exception as problem:
            self.result, self.is_done = problem, True


def _advance(parts: Iterable[Steps[T]], at_once: int, *, ends_all: bool) -> Steps[list[T | Exception]]:
    """Results of generators, of which at most `at_once` are under way. With `ends_all` an error is raised at once."""
    rest = iter(parts)
    begun: list[_Part[T]] = []
    active: list[_Part[T]] = []
    try:
        while True:
            while len(active) < at_once and (steps := next(rest, None)) is not None:
                part = _Part(steps)
                begun.append(part)
                active.append(part)
                part.advance(None)
                active = _unfinished(active, ends_all)
            if not active:
                return [part.result for part in begun]  # type: ignore[misc]
            outcomes = yield [request for part in active for request in part.requests]
            for part in active:
                count = len(part.requests)
                part.advance(outcomes[:count])
                outcomes = outcomes[count:]
            active = _unfinished(active, ends_all)
    finally:
        for part in active:
            part.steps.close()


def _unfinished(parts: list[_Part[T]], ends_all: bool) -> list[_Part[T]]:
    """The parts that wait for fits. With `ends_all` the first error of the others is raised."""
    for part in parts:
        if ends_all and isinstance(part.result, Exception):
            raise part.result
    return [part for part in parts if not part.is_done]
