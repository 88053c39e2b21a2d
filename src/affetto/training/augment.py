"""Augmentation of what is stored of training clips: time and feature masks. That of waves is in `waves.py`.

Every draw is a pure function of seed, epoch and clip, so that a resumed run draws the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from affetto.models.classifier import Prefix


def chance(seed: int, epoch: int, clip_id: str) -> np.random.Generator:
    """The generator of one clip in one epoch."""
    return np.random.default_rng((seed, epoch, zlib.crc32(clip_id.encode())))


def stretches(
    ids: Sequence[str],
    frames: Sequence[int],
    features: int,
    seed: int,
    epoch: int,
    *,
    time_mask: float,
    feature_mask: float,
) -> Tensor:
    """SpecAugment's two masks (Park et al. 2019): one stretch of frames and one band of features of each clip.

    A mask's length is uniform up to the given share. Returns (clips, 4) on the CPU: first frame, the frame behind the
    last, first feature, the feature behind the last.
    """
    rows = []
    for clip_id, count in zip(ids, frames, strict=True):
        draw = chance(seed, epoch, f"{clip_id} masks")
        row = [*_stretch(count, time_mask, draw)] if time_mask > 0 else [0, 0]
        rows.append(row + ([*_stretch(features, feature_mask, draw)] if feature_mask > 0 else [0, 0]))
    return torch.tensor(rows)


def masked(prefix: Prefix, masks: Tensor, *, bands: bool = True) -> Prefix:
    """A batch of prefixes with zeros in its `stretches`, alike in all tensors of a clip; statistics have no frames.

    Without `bands` frames are masked alone.
    """
    changed = dict(prefix)
    for name, tensor in prefix.items():
        broadcast = [1] * (tensor.dim() - 2)
        if name != "statistics":
            time = _inside(tensor.shape[1], masks[:, 0], masks[:, 1])
            changed[name] = changed[name].masked_fill(time.view(*time.shape, *broadcast), 0.0)
        if bands:
            band = _inside(tensor.shape[-1], masks[:, 2], masks[:, 3])
            changed[name] = changed[name].masked_fill(band.view(len(band), *broadcast, -1), 0.0)
    return changed


def masked_features(statistics: Tensor, masks: Tensor, *, fill: Tensor) -> Tensor:
    """A copy of (batch, features) in which the band of each clip is `fill` (features,) instead.

    With the training clips' mean as `fill` it is zero once standardised.
    """
    return torch.where(_inside(statistics.shape[1], masks[:, 2], masks[:, 3]), fill, statistics)


def _inside(size: int, start: Tensor, stop: Tensor) -> Tensor:
    """True from `start` to before `stop`, both (batch,): (batch, size)."""
    places = torch.arange(size, device=start.device)
    return (places >= start[:, None]) & (places < stop[:, None])


def _stretch(size: int, share: float, random: np.random.Generator) -> tuple[int, int]:
    """Begin and end of a stretch, uniform in length up to `share` of `size`, and in place."""
    length = int(random.uniform(0, share) * size)
    start = int(random.integers(0, size - length + 1))
    return start, start + length
