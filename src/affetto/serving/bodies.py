"""Bodies of requests: one limit of size and one of time for all of them."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from affetto.serving.refusals import RefusalError, call_too_large, too_slow

DISCARDING_SECONDS = 2.0


class Body:
    """Replacement of the server's `receive`; `allow` sets how much may come.

    Raises RefusalError: 413 for more than that, whether or not the client said so before, 408 where the body is not
    complete `seconds` after the head.
    """

    def __init__(self, receive: Receive, headers: Headers, seconds: float) -> None:
        self.seconds = seconds
        self._until = asyncio.get_running_loop().time() + seconds
        self._receive = receive
        self._most_bytes, self._large = 0, call_too_large(0)
        self._received = 0
        length = headers.get("content-length", "0")
        self._declared = int(length) if length.isdecimal() else 0
        self.unread = length != "0" or "transfer-encoding" in headers
        self._awaits_continue = headers.get("expect", "").lower() == "100-continue"

    def allow(self, most_bytes: int, large: RefusalError) -> None:
        """Let `most_bytes` through, and raise `large` for more."""
        self._most_bytes, self._large = most_bytes, large

    async def receive(self) -> Message:
        """The next message; once the body is complete, it waits for the client to leave for as long as that takes."""
        if not self.unread:
            return await self._receive()
        if self._declared > self._most_bytes:
            raise self._large
        self._awaits_continue = False
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._next()
        except TimeoutError:
            raise too_slow(self.seconds) from None
        if self._received > self._most_bytes:
            raise self._large
        return message

    async def read(self) -> bytes:
        """All of it. Raises RefusalError as `receive`, and ClientDisconnect."""
        parts = []
        while self.unread:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
        return b"".join(parts)

    def replayed(self, content: bytes) -> Receive:
        """`receive` of a body that was read: `content` as one message, then what comes behind it."""
        messages: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Message:
            return messages.pop() if messages else await self._receive()

        return receive

    async def discard(self) -> None:
        """Read the rest and throw it away: a client that still writes would miss the answer."""
        if self._awaits_continue:  # it sends nothing before our `100 Continue`
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARDING_SECONDS):
                while self.unread:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self.unread = False
        self._received += len(message.get("body", b""))
        return message
