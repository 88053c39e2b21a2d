"""Prefixes of a run, packed in the memory of the device that computes: a batch is an index into them.

Nothing is copied to the device in a step, and nothing is waited for. Batches are padded to a few widths, so that their
shapes repeat and a step can be captured (`affetto.models.graphs`).
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor

from affetto.models.classifier import Prefix
from affetto.models.device import capabilities, free_memory_bytes, send

FREE_SHARE = 0.4
"""Largest share of a device's free memory that a bank takes; training needs the rest."""
CHUNK_BYTES = 2**26
"""Prefixes that travel to the device at once, while a bank is filled."""
WIDTHS = 4
"""Widths that batches are padded to: each is captured by itself, and more of them pad less."""
WIDTH_MULTIPLE = 8
"""Widths are multiples of it: attention with a mask is quicker on such rows, and without a copy of the mask."""


class Stored(Protocol):
    """Prefixes of clips by id, and the frames of each."""

    frames: dict[str, int]

    def __getitem__(self, clip_id: str) -> Prefix: ...


class Bank:
    """Prefixes of clips, packed by name: (frames of all clips + 1, …), in the precision of the store.

    The last row is zero: padding. `rows` has the number of each clip.
    """

    def __init__(self, data: Stored, ids: Sequence[str], device: torch.device) -> None:
        frames = [data.frames[clip_id] for clip_id in ids]
        self.device = device
        self.rows = {clip_id: row for row, clip_id in enumerate(ids)}
        *starts, self._padding = accumulate(frames, initial=0)
        self._starts, self._lengths = send(torch.tensor(starts), device), send(torch.tensor(frames), device)
        self._packed: Prefix = {}
        filled = 0
        for prefixes in _chunks(data[clip_id] for clip_id in ids):
            count = sum(_frames(prefix) for prefix in prefixes)
            for name in prefixes[0]:
                self._fill(name, torch.cat([prefix[name] for prefix in prefixes]), filled)
            filled += count
        for packed in self._packed.values():
            packed[self._padding] = 0.0

    def _fill(self, name: str, frames: Tensor, start: int) -> None:
        packed = self._packed.get(name)
        if packed is None:
            packed = torch.empty(self._padding + 1, *frames.shape[1:], dtype=frames.dtype, device=self.device)
        elif packed.dtype != frames.dtype:  # the store keeps a clip in float32 whose values overflow in float16
            packed = packed.float()
        packed[start : start + len(frames)] = send(frames, self.device).to(packed.dtype)
        self._packed[name] = packed

    @property
    def features(self) -> int:
        """Width of the packed states."""
        return next(iter(self._packed.values())).shape[-1]

    def index(self, ids: Sequence[str]) -> Tensor:
        """Rows of clips (clips,), on the device."""
        return send(torch.tensor([self.rows[clip_id] for clip_id in ids]), self.device)

    def gather(self, rows: Tensor, width: int) -> tuple[Prefix, Tensor]:
        """Rows of clips (batch,) on the device → {name: (batch, width, …)} float32, and lengths (batch,) on the device.

        Frames behind a clip's end are zero. No clip may be longer than `width`.
        """
        starts, lengths = self._starts[rows], self._lengths[rows]
        steps = torch.arange(width, device=self.device)
        # Not `torch.where`: a number beside a tensor would be copied to the device, which waits for it.
        padding = steps >= lengths[:, None]
        frames = (starts[:, None] + steps).masked_fill(padding, self._padding).flatten()
        shape = (len(rows), width)
        batch = {name: packed.index_select(0, frames) for name, packed in self._packed.items()}
        return {name: tensor.float().unflatten(0, shape) for name, tensor in batch.items()}, lengths


def fits(data: Stored, device: torch.device) -> bool:
    """True if a bank of all clips pays on the device and leaves enough of its memory free."""
    if not capabilities(device).banked or not data.frames:
        return False
    free = free_memory_bytes(device)
    first = next(iter(data.frames))
    frame_bytes = sum(tensor[0].nbytes for tensor in data[first].values())
    return free is None or frame_bytes * sum(data.frames.values()) <= FREE_SHARE * free


def bucket_widths(frames: Iterable[int], count: int = WIDTHS) -> tuple[int, ...]:
    """At most `count` widths, ascending, that hold clips of these numbers of frames with the least padding in all.

    Widths are multiples of `WIDTH_MULTIPLE`.
    """
    clips = Counter(-(-n // WIDTH_MULTIPLE) * WIDTH_MULTIPLE for n in frames)
    lengths = sorted(clips)
    shorter = [0, *accumulate(clips[length] for length in lengths)]
    # costs[j]: frames of the clips up to the j-th length, padded, under as many widths as rounds; with the widths.
    costs: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    costs += [(shorter[j] * lengths[j - 1], (lengths[j - 1],)) for j in range(1, len(lengths) + 1)]
    for _ in range(count - 1):
        costs = [
            min(
                [costs[j]]
                + [
                    (costs[i][0] + (shorter[j] - shorter[i]) * lengths[j - 1], (*costs[i][1], lengths[j - 1]))
                    for i in range(1, j)
                ]
            )
            for j in range(len(lengths) + 1)
        ]
    return costs[-1][1]


def width_of(frames: int, widths: Sequence[int]) -> int:
    """The smallest of ascending `widths` that holds a clip of this many frames."""
    return widths[bisect.bisect_left(widths, frames)]


def _frames(prefix: Prefix) -> int:
    return next(iter(prefix.values())).shape[0]


def _chunks(prefixes: Iterable[Prefix]) -> Iterator[list[Prefix]]:
    """Prefixes, some CHUNK_BYTES at a time and of one precision."""
    chunk: list[Prefix] = []
    size = 0
    for prefix in prefixes:
        precisions = [tensor.dtype for tensor in prefix.values()]
        if chunk and (size > CHUNK_BYTES or precisions != [tensor.dtype for tensor in chunk[0].values()]):
            yield chunk
            chunk, size = [], 0
        chunk.append(prefix)
        size += sum(tensor.nbytes for tensor in prefix.values())
    if chunk:
        yield chunk
