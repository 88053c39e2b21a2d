"""`/v1/stream`: a WebSocket that brings sound as it is spoken, and gets its segments as they are decided."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import ClientDisconnect

from affetto import audio
from affetto.inference.notices import SHORT_NOTICE
from affetto.serving import messages
from affetto.serving.answers import timeline_answer
from affetto.serving.catalogue import Model
from affetto.serving.intake import Intake
from affetto.serving.messages import Hello
from affetto.serving.processing import Options
from affetto.serving.refusals import ending, idle, no_detector, timed_out, too_large
from affetto.serving.service import RECORDING, Job, Service
from affetto.serving.sockets import Socket
from affetto.serving.sounds import SOUNDS, Sound

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment


class StreamJob(Job):
    """Processing of a stream; its sound comes by `intake`."""

    def __init__(self, service: Service, model: Model, intake: Intake, hello: Hello) -> None:
        super().__init__(service, model, b"")
        self._intake, self._rate_hz = intake, hello.sample_rate or 0
        self.sound = SOUNDS[hello.format]
        self.tells_windows = hello.windows
        self._longest_seconds = service.limits.max_seconds
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Length of the sound that was decoded."""
        return self._samples / audio.RATE_HZ

    def blocks(self) -> Iterator[np.ndarray]:
        """The sound as it comes, in blocks of float32 (samples,) at 16 kHz. Raises AudioError and GivenUpError."""
        for block in self.sound.decode(iter(self._intake), self._rate_hz, RECORDING, self._longest_seconds):
            self.check()
            self._samples += len(block)
            yield block
        self.check()

    def give_up(self) -> None:
        super().give_up()
        self._intake.close()


class Stream:
    """Conversation with one client.

    `check_token` gets the token of the hello, and raises RefusalError. `server_ends` is set when the server is told to
    end: then what has come by then is answered.
    """

    def __init__(
        self, socket: Socket, service: Service, check_token: Callable[[str | None], None], server_ends: asyncio.Event
    ) -> None:
        self._socket, self._service, self._check_token = socket, service, check_token
        self._server_ends = server_ends
        self._intake = Intake()
        self._outbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._bytes = 0
        self.is_complete = False
        """True once the client has sent the end."""

    async def run(self) -> None:
        """Hear the client to the end. Raises RefusalError, and ClientDisconnect."""
        hello = await self._hello()
        options = Options(model=hello.model, abstain_below=hello.abstain_below)
        model = options.check(self._service.catalogue, self._service.limits)
        if not self._service.makes_timelines:
            raise no_detector()
        self._service.refuse_timeline(model)
        self._socket.facts["model"] = model.name
        with self._service.take_place(self._socket.client):
            facts = {"window_seconds": model.predictor.window_seconds, "notice": SHORT_NOTICE}
            await self._socket.send({"type": "ready", "model": model.name, **model.version_field, **facts})
            job = StreamJob(self._service, model, self._intake, hello)
            segments = await self._segments(job, model, options)
        answer = timeline_answer(model, job.seconds, segments).model_dump(exclude_unset=True)
        await self._socket.send({"type": "end", **answer, "complete": self.is_complete})
        await self._socket.close(messages.CLOSED_WELL if self.is_complete else messages.GOING)

    async def _hello(self) -> Hello:
        limit = self._service.limits.head_seconds
        message = await self._next(limit)
        if message is None:
            raise ending()
        hello = messages.read_hello(message)
        self._check_token(hello.token)
        return hello

    async def _segments(self, job: StreamJob, model: Model, options: Options) -> list[Segment]:
        """Compute the segments of all that comes, and send each as it is decided."""
        loop = asyncio.get_running_loop()

        def tell(kind: str, segment: Segment) -> None:
            loop.call_soon_threadsafe(self._outbox.put_nowait, {"type": kind, **segment.to_json()})

        def run_task() -> list[Segment]:
            from affetto.inference.timeline import Timeline

            options.apply(job.predictor)
            on_window = partial(tell, "window") if job.tells_windows else None
            segments = []
            # A window is computed as soon as it is there: those of other clients make it company.
            for segment in Timeline(job.predictor, batch=1, on_window=on_window).stream(job.blocks()):
                segments.append(segment)
                tell("segment", segment)
            return segments

        async with self._sending() as sender:
            try:
                return await self._service.run(
                    job, run_task, self._socket.client, partial(self._talk, sender, job.sound)
                )
            finally:
                self._socket.facts |= {
                    "bytes": self._bytes,
                    "audio_seconds": round(job.seconds, 3),
                }
                self._service.meters.audio_seconds.add(job.seconds, model.name)

    @contextlib.asynccontextmanager
    async def _sending(self) -> AsyncIterator[asyncio.Task[None]]:
        """Within it a task sends the segments as they are decided; it has sent all of them at the end."""

        async def send() -> None:
            while (message := await self._outbox.get()) is not None:
                await self._socket.send(message)

        task = asyncio.create_task(send())
        try:
            yield task
        except ClientDisconnect:
            task.cancel()
            raise
        finally:
            self._outbox.put_nowait(None)
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # Reading -------------------------------------------------------------------------------------

    async def _talk(self, sender: asyncio.Task[None], sound: Sound) -> None:
        """Read until the client has left, or takes no message any more. Raises as `_read`."""
        reader = asyncio.create_task(self._read(sound))
        try:
            await asyncio.wait({reader, sender}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done():
                reader.result()
        finally:
            reader.cancel()

    async def _read(self, sound: Sound) -> None:
        """Take the sound to its end, then wait for the client to leave. Raises RefusalError and ClientDisconnect."""
        limits = self._service.limits
        waited, loop = 0.0, asyncio.get_running_loop()
        while True:
            began = loop.time()
            # A client that sends as it speaks takes as long as the longest recording, and no client much longer.
            remaining = limits.max_seconds + limits.upload_seconds - waited
            message = await self._next(min(remaining, limits.upload_seconds))
            waited += loop.time() - began
            if message is None:
                break
            if isinstance(message, str):
                messages.check_end(message)
                self.is_complete = True
                break
            await self._take(message, sound)
        self._intake.close()
        try:
            async with asyncio.timeout(limits.compute_seconds):
                await self._socket.receive()
                while not self.is_complete:  # the server ends, and the client still speaks
                    await self._socket.receive()
        except TimeoutError:
            raise timed_out(limits.compute_seconds) from None
        raise messages.invalid("a message behind the end")

    async def _next(self, seconds: float) -> str | bytes | None:
        """The next message; None where the server ends first. Raises RefusalError (408) where none comes in time."""
        message = asyncio.ensure_future(self._socket.receive())
        ends = asyncio.ensure_future(self._server_ends.wait())
        try:
            await asyncio.wait({message, ends}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
            if ends.done():
                return None
            raise idle(seconds)
        finally:
            for future in (message, ends):
                future.cancel()

    async def _take(self, content: bytes, sound: Sound) -> None:
        """Hand sound to the job, once it has room. Raises RefusalError."""
        limits = self._service.limits
        if len(content) % sound.unit_bytes:
            raise messages.invalid(f"a message of {len(content)} bytes: a sample has two, so that their number is even")
        self._bytes += len(content)
        if not sound.needs_rate and self._bytes > limits.max_bytes:
            raise too_large(limits.max_megabytes)
        try:
            async with asyncio.timeout(limits.compute_seconds):
                await self._intake.put(content)
        except TimeoutError:
            raise timed_out(limits.compute_seconds) from None
