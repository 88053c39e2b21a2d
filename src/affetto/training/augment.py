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
