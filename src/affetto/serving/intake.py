"""Sound of a stream on its way from the event loop to the thread of its job: bounded, so that a slow model makes the
client wait instead of filling the memory."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator

MOST_BYTES = 262_144
"""The sound that may wait for the model, beside one message: 8 seconds of samples at 16 kHz."""


class Intake:
    """Queue of messages. The event loop puts them in, one thread iterates over them."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._waiting = most_bytes, 0
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self._messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    async def put(self, message: bytes) -> None:
        """Add a message, once there is room; an empty one is left out, since it would count for nothing."""
        if not message:
            return
        await self._room.wait()
        self._add(len(message))
        self._messages.put(message)

    def close(self) -> None:
        """End the iteration behind what has been put."""
        self._messages.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._messages.get()) is not None:
            self._loop.call_soon_threadsafe(self._add, -len(message))
            yield message

    def _add(self, count: int) -> None:
        self._waiting += count
        if self._waiting < self._most_bytes:
            self._room.set()
        else:
            self._room.clear()
