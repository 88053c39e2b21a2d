"""Recordings longer than a model's window, covered by windows of its length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np


def cover(blocks: Iterable[np.ndarray], window: int, hop: int) -> Iterator[np.ndarray]:
    """Windows of `window` samples, one every `hop`, over a wave that comes in blocks (samples,).

    The last window ends where the wave does, so that none is short and no sample is left out; a wave no longer than
    a window is one window by itself. Holds no more than a window and a block.

    >>> [w.tolist() for w in cover([np.arange(3), np.arange(3, 7)], 4, 2)]
    [[0, 1, 2, 3], [2, 3, 4, 5], [3, 4, 5, 6]]
    """
    assert 0 < hop <= window
    held, origin = np.zeros(0, np.float32), 0  # what later windows need, and where in the wave it begins
    following = covered = 0
    for block in blocks:
        held = np.concatenate([held, block]) if len(held) else block
        while following + window <= origin + len(held):
            yield held[following - origin : following - origin + window]
            covered, following = following + window, following + hop
        past = max(0, len(held) - window)
        held, origin = held[past:], origin + past
    if covered < origin + len(held):
        yield held[max(0, len(held) - window) :]


def count(samples: int, window: int, hop: int) -> int:
    """Number of windows by which `cover` covers so many samples.

    >>> [count(samples, 4, 2) for samples in (3, 4, 5, 7)]
    [1, 1, 2, 3]
    """
    return 1 + max(0, -(-(samples - window) // hop))
