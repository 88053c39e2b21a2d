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


def local_groups(runs: Sequence[PlannedRun], stack: str | int, *, workers: int, device: str) -> list[Group]:
    """Groups for the workers of this machine; torch looks at the device where `stack` depends on it."""
    has_accelerator = False
    if stack == AUTO and len(groups(runs, stack, workers=workers, has_accelerator=True)) < len(runs):
        from affetto.models.device import capabilities
        from affetto.training.device import choose

        has_accelerator = capabilities(choose(device)).own_memory
    return groups(runs, stack, workers=workers, has_accelerator=has_accelerator)


def _key(run: PlannedRun) -> tuple[Any, ...]:
    model = run.settings.model
    return (
        *run.shares,
        run.stand_in,
        run["random_weights"],
        run["method"],
        model.head,
        model.head_width,
        run.resources,
    )


def _most(run: PlannedRun, stack: str | int, has_accelerator: bool) -> int:
    """Runs of this kind that a group has at most."""
    method, head = METHODS.find(run["method"]), HEADS.find(run.settings.model.head)
    if not (method.stackable and head.stackable):
        return 1
    return max(1, most_fits(stack, own_memory=has_accelerator) // (folds(run) or 1))
