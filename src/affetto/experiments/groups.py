"""Groups of runs that one worker does together, so that their fits can be one training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affetto.experiments.planned import PlannedRun
from affetto.experiments.work import folds
from affetto.models.heads.registry import HEADS
from affetto.models.methods.registry import METHODS
from affetto.training.stack_size import AUTO, most_fits

Group = tuple[PlannedRun, ...]


def groups(
    runs: Sequence[PlannedRun], stack: str | int, *, workers: int = 1, has_accelerator: bool = False
) -> list[Group]:
    """Runs in groups, in the order of their first ones.

    Runs of a group share corpus, backbone, cut, method and head; seeds, rates and splits may differ. A group has
    `stack` fits at most, over all folds of its runs (`stack_size`).
    No group is so large that one of the workers would have none.
    """
    most = max(1, -(-len(runs) // workers))
    collected: list[list[PlannedRun]] = []
    filling: dict[tuple[Any, ...], list[PlannedRun]] = {}
    for run in runs:
        key = _key(run)
        group = filling.get(key)
        if group is None or len(group) >= min(most, _most(run, stack, has_accelerator)):
            group = filling[key] = []
            collected.append(group)
        group.append(run)
    return [tuple(group) for group in collected]


def fits_at_once(runs: Sequence[PlannedRun], stack: str | int, *, has_accelerator: bool = False) -> int:
    """Fits that train as one at most, where one worker does the runs; 1 where none of them can be stacked."""
    fits = sum(folds(run) or 1 for run in runs if _is_stackable(run))
    return max(1, min(fits, most_fits(stack, own_memory=has_accelerator)))


def local_groups(runs: Sequence[PlannedRun], stack: str | int, *, workers: int, device: str) -> list[Group]:
    """Groups for the workers of this machine; torch looks at the device where `stack` depends on it."""
    has_accelerator = False
    if stack == AUTO and len(groups(runs, stack, workers=workers, has_accelerator=True)) < len(runs):
        has_accelerator = _has_own_memory(device)
    return groups(runs, stack, workers=workers, has_accelerator=has_accelerator)


def stacks_here(runs: Sequence[PlannedRun], stack: str | int, device: str) -> bool:
    """True if `stack` is `auto` and this machine's device lets it stack; torch looks only where that matters."""
    return stack == AUTO and fits_at_once(runs, stack, has_accelerator=True) > 1 and _has_own_memory(device)


def _has_own_memory(device: str) -> bool:
    from affetto.models.device import capabilities
    from affetto.training.device import choose

    return capabilities(choose(device)).own_memory


def _key(run: PlannedRun) -> tuple[Any, ...]:
    model = run.settings.model
    return (
        *run.shares,
        run.stand_in,
        run["random_weights"],
        run["method"],
        model.head,
        model.head_width,
        model.states,
        run.resources,
    )


def _most(run: PlannedRun, stack: str | int, has_accelerator: bool) -> int:
    """Runs of this kind that a group has at most."""
    if not _is_stackable(run):
        return 1
    return max(1, most_fits(stack, own_memory=has_accelerator) // (folds(run) or 1))


def _is_stackable(run: PlannedRun) -> bool:
    return METHODS.find(run["method"]).stackable and HEADS.find(run.settings.model.head).stackable
