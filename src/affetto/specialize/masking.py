"""Masks and distractors of wav2vec 2.0 (Baevski et al. 2020, 3.1 and 3.2), a pure function of the generator given.

A share p of all frames, drawn without replacement, are starts; each masks the M frames from it on; spans may overlap.
With p = 0.065 and M = 10 about half of the frames of a long clip are masked: 1 - (1 - p)^M = 49 %. A masked frame's K
distractors are drawn evenly from the other masked frames of the same utterance.
"""

from __future__ import annotations

import numpy as np


def spans(starts: np.ndarray, frames: int, span: int) -> np.ndarray:
    """Mask of the `frames` frames that the spans from `starts` on cover: bool (frames,).

    >>> spans(np.array([1, 2, 6]), 8, 3).astype(int).tolist()
    [0, 1, 1, 1, 1, 0, 1, 1]
    """
    covered = np.zeros(frames, bool)
    for start in starts:
        covered[start : start + span] = True
    return covered


def draw_mask(random: np.random.Generator, frames: int, share: float, span: int) -> np.ndarray:
    """The mask of one clip: bool (frames,), with two masked frames at least (a distractor needs another one) and one
    that is not. The number of starts is `share * frames`, rounded up or down by chance, so that the mean is exact."""
    count = max(1, int(share * frames + random.random()))
    mask = spans(random.choice(frames, min(count, frames), replace=False), frames, span)
    if mask.sum() < 2:  # a single start in the last frame
        mask[-2:] = True
    if mask.all():
        mask[0] = False
    return mask


def draw_negatives(random: np.random.Generator, mask: np.ndarray, count: int) -> np.ndarray:
    """Frames to tell each frame's own from: int (frames, count); zeros where nothing is masked.

    Each row of a masked frame holds other masked frames of the clip, drawn evenly with replacement.
    """
    masked = np.flatnonzero(mask)
    negatives = np.zeros((len(mask), count), np.int64)
    # A number below that of the others; from the frame's own place on it means the next one.
    drawn = random.integers(0, len(masked) - 1, (len(masked), count))
    drawn += drawn >= np.arange(len(masked))[:, None]
    negatives[masked] = masked[drawn]
    return negatives
