"""Sound of a stream on its way from the event loop to the thread of its job: bounded, so that a slow model makes the
client wait instead of filling the memory."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator

import numpy as np

MOST_BYTES = 262_144
"""The sound that may wait for the model, beside one message: 8 seconds at 16 kHz."""


class Intake:
    """Queue of blocks, whole numbers (samples,). The event loop puts them in, one thread iterates over them."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._waiting = most_bytes, 0
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self._blocks: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()

    async def put(self, block: np.ndarray) -> None:
        """Add a block, once there is room."""
        await self._room.wait()
        self._add(block.nbytes)
        self._blocks.put(block)

    def close(self) -> None:
        """End the iteration behind what has been put."""
        self._blocks.put(None)

    def __iter__(self) -> Iterator[np.ndarray]:
        while (block := self._blocks.get()) is not None:
            self._loop.call_soon_threadsafe(self._add, -block.nbytes)
            yield block

    def _add(self, count: int) -> None:
        self._waiting += count
        if self._waiting < self._most_bytes:
            self._room.set()
        else:
            self._room.clear()
