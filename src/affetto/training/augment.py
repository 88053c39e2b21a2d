"""Augmentation of training clips: of waves (noise, speed) and of what is stored (time and feature masks).

Every draw is a pure function of seed, epoch and clip, so that a resumed run draws the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import soxr
import torch
from torch import Tensor

from affetto.audio import RATE_HZ
from affetto.models.classifier import Prefix

NOISE_RANGE_DB = 20.0


def chance(seed: int, epoch: int, clip_id: str) -> np.random.Generator:
    """The generator of one clip in one epoch."""
    return np.random.default_rng((seed, epoch, zlib.crc32(clip_id.encode())))


def wave(samples: np.ndarray, random: np.random.Generator, *, noise_snr_db: float | None, speed: float) -> np.ndarray:
    """A wave (samples,) at 16 kHz with white noise added, and played faster or slower (pitch goes with it)."""
    if speed > 0:
        factor = random.uniform(1 - speed, 1 + speed)
        samples = soxr.resample(samples, RATE_HZ * factor, RATE_HZ, quality="HQ")
    if noise_snr_db is not None:
        snr_db = noise_snr_db + random.uniform(0, NOISE_RANGE_DB)
        power = float(np.mean(samples.astype(np.float64) ** 2))
        noise = random.standard_normal(len(samples)) * np.sqrt(power / 10 ** (snr_db / 10))
        samples = samples + noise.astype(np.float32)
    return samples.astype(np.float32)


def masks(
    prefix: Prefix, lengths: Tensor, ids: Sequence[str], seed: int, epoch: int, *, time_mask: float, feature_mask: float
) -> Prefix:
    """SpecAugment's two masks (Park et al. 2019) on a batch of prefixes: one stretch of frames, one band of features.

    A mask's length is uniform up to the given share. What is masked is masked alike in all tensors of a clip.
    """
    if time_mask == 0 and feature_mask == 0:
        return prefix
    masked = {name: tensor.clone() for name, tensor in prefix.items()}
    for row, clip_id in enumerate(ids):
        frames = int(lengths[row])
        for name, tensor in masked.items():
            draw = chance(seed, epoch, f"{clip_id} masks")
            if time_mask > 0 and name != "statistics":
                _blank(tensor[row, :frames], 0, time_mask, draw)
            if feature_mask > 0:
                _blank(tensor[row], tensor.dim() - 2, feature_mask, draw)
    return masked


def masked_features(
    statistics: Tensor, ids: Sequence[str], seed: int, epoch: int, *, share: float, fill: Tensor
) -> Tensor:
    """A copy of (batch, features) in which each clip has one band of features that is `fill` (features,) instead.

    The band is drawn as that of `masks`. With the training clips' mean as `fill` it is zero once standardised.
    """
    masked = statistics.clone()
    for row, clip_id in enumerate(ids):
        start, stop = _stretch(statistics.shape[1], share, chance(seed, epoch, f"{clip_id} masks"))
        masked[row, start:stop] = fill[start:stop]
    return masked


def _blank(tensor: Tensor, dimension: int, share: float, random: np.random.Generator) -> None:
    index = [slice(None)] * tensor.dim()
    index[dimension] = slice(*_stretch(tensor.shape[dimension], share, random))
    with torch.no_grad():
        tensor[tuple(index)] = 0.0


def _stretch(size: int, share: float, random: np.random.Generator) -> tuple[int, int]:
    """Begin and end of a stretch, uniform in length up to `share` of `size`, and in place."""
    length = int(random.uniform(0, share) * size)
    start = int(random.integers(0, size - length + 1))
    return start, start + length
