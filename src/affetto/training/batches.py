"""Batches: the clips of an epoch, shuffled, of like length within windows so that little is padded; made ahead."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

T = TypeVar("T")
R = TypeVar("R")


def plan(
    ids: Sequence[str], frames: Mapping[str, int], batch_size: int, window: int, seed: int, epoch: int
) -> list[list[str]]:
    """Plan the batches of one epoch: a pure function of the arguments, each clip in one batch.

    Clips are shuffled, sorted by `frames` within windows of `window` batches, cut into batches, and the
    batches shuffled. Length tells emotion (sadness is slow), so a window as long as the epoch would
    sort the classes too; a window of 1 gives random batches.
    """
    chance = np.random.default_rng((seed, epoch))
    order = [ids[i] for i in chance.permutation(len(ids))]
    span = batch_size * window
    batches = []
    for start in range(0, len(order), span):
        near = sorted(order[start : start + span], key=lambda clip_id: frames[clip_id])
        batches += [near[i : i + batch_size] for i in range(0, len(near), batch_size)]
    return [batches[i] for i in chance.permutation(len(batches))]


DRAW = 1
"""Number that tells the generator of `draw_evenly` from that of `plan`."""


def draw_evenly(ids: Sequence[str], strata: Mapping[str, Hashable], seed: int, epoch: int) -> list[str]:
    """Draw as many clips as there are so that every stratum has as many of them, up to one.

    A pure function of the arguments. Within a stratum each clip is drawn as often as every other, up to once: some
    clips of a large stratum rest in an epoch, and those of a small one come several times.
    """
    chance = np.random.default_rng((seed, epoch, DRAW))
    members: dict[Hashable, list[str]] = {}
    for clip_id in ids:
        members.setdefault(strata[clip_id], []).append(clip_id)
    share, rest = divmod(len(ids), len(members))
    larger = set(chance.permutation(len(members))[:rest].tolist())
    drawn: list[str] = []
    for number, clips in enumerate(members.values()):
        times, more = divmod(share + (number in larger), len(clips))
        drawn += clips * times + [clips[i] for i in chance.permutation(len(clips))[:more]]
    return drawn


def by_length(ids: Sequence[str], frames: Mapping[str, int], batch_size: int) -> list[list[str]]:
    """Batches for evaluation: all clips sorted by length."""
    order = sorted(ids, key=lambda clip_id: (frames[clip_id], clip_id))
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def prefetch(make: Callable[[T], R], items: Iterable[T], *, threaded: bool) -> Iterator[R]:
    """`make` of each item, in order. `threaded`: the next one is begun before this one is handed out.

    That pays beside a GPU; on a CPU the thread would only take cores from the step. An error comes where its item
    would.
    """
    if not threaded:
        yield from map(make, items)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="affetto-batch") as pool:
        waiting: Future[R] | None = None
        for item in items:
            begun = pool.submit(make, item)
            if waiting is not None:
                yield waiting.result()
            waiting = begun
        if waiting is not None:
            yield waiting.result()
