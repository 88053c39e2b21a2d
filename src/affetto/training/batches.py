"""The batches of an epoch: shuffled, and of like length within windows, so that little is padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def plan(
    ids: Sequence[str], frames: Mapping[str, int], batch_size: int, window: int, seed: int, epoch: int
) -> list[list[str]]:
    """The batches of one epoch: a pure function of the arguments, each clip in one batch.

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


def by_length(ids: Sequence[str], frames: Mapping[str, int], batch_size: int) -> list[list[str]]:
    """Batches for evaluation: all clips sorted by length."""
    order = sorted(ids, key=lambda clip_id: (frames[clip_id], clip_id))
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
