"""uvicorn's WebSockets, with limits on what a client can make the server hold."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from affetto.serving.messages import MESSAGE_BYTES

LONGEST_MESSAGE_BYTES = 4 * MESSAGE_BYTES
"""A message of up to this gets an error, a larger one the close code 1009 alone, unread."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket that stops a client who never ends a message, or asks for answers and does not read them.

    A handshake that the application has refused is an ordinary answer, and no error in the log.
    """

    async def send(self, message: Any) -> None:
        if self.handshake_complete and self.close_sent:
            # uvicorn closes by itself where a client breaks the protocol, and takes a later answer for a mistake.
            raise ClientDisconnected
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # The handshake was refused by an answer of HTTP: uvicorn would log that it was never completed.
            self.handshake_complete = True

    def handle_cont(self, event: Frame) -> None:
        if event.data or event.fin:  # parts without content are not counted by the limit of a message
            super().handle_cont(event)

    def handle_ping(self) -> None:
        if not self.writable.is_set():
            self.transport.abort()
            return
        super().handle_ping()
