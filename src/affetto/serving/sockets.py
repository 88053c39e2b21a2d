"""A WebSocket of the API: messages in and out, and how it closes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from affetto.serving import messages
from affetto.serving.exchange import Exchange
from affetto.serving.refusals import RefusalError

SENDING_SECONDS = 10.0
"""The time in which a client must take a message; one that does not read has left."""


class Socket:
    """WebSocket of an exchange. Raises ClientDisconnect once the client has left."""

    def __init__(self, exchange: Exchange, receive: Receive) -> None:
        self.exchange = exchange
        self.facts: dict[str, Any] = exchange.facts
        self._receive, self._is_accepted = receive, False

    @property
    def client(self) -> str:
        """Name by which the client's requests are counted."""
        return str(self.exchange.state["client"])

    async def accept(self) -> None:
        message = await self._receive()
        assert message["type"] == "websocket.connect"
        await self.exchange.send({"type": "websocket.accept", "headers": []})
        self._is_accepted = True

    async def receive(self) -> str | bytes:
        """The next message. Raises RefusalError (413) for one that is too large."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.facts["close"] = message.get("code")
            raise ClientDisconnect
        content: str | bytes | None = message.get("bytes")
        if content is None:
            content = str(message["text"])
        if len(content) > messages.MESSAGE_BYTES:
            text = f"a message of more than {messages.MESSAGE_BYTES:,} bytes: send the sound in smaller ones"
            raise RefusalError(413, "too_large", text)
        return content

    async def send(self, content: dict[str, Any]) -> None:
        """Send a message of JSON."""
        await self._send({"type": "websocket.send", "text": json.dumps(content, ensure_ascii=False)})

    async def close(self, code: int) -> None:
        self.facts["close"] = code
        await self._send({"type": "websocket.close", "code": code})

    async def refuse(self, problem: RefusalError, scope: Scope) -> None:
        """Answer by an error: before the WebSocket is accepted as HTTP has it, after that as a message."""
        self.facts["error"] = problem.code
        if not self._is_accepted:
            await problem.response()(scope, self._receive, self.exchange.send)
            return
        self.exchange.status = problem.status
        await self.send(messages.error(problem))
        await self.close(messages.close_code(problem))

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SENDING_SECONDS):
                await self.exchange.send(message)
        except OSError:  # TimeoutError too
            raise ClientDisconnect from None
