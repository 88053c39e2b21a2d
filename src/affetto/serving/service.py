"""Processing of recordings: each takes a place, is decoded, takes its turns at the model and is answered in time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import importlib.util
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from starlette.requests import ClientDisconnect

from affetto import audio
from affetto.inference.adaptation import parts_of
from affetto.inference.flow import at_once
from affetto.inference.predictor import Predictor, count_windows
from affetto.serving import tracing
from affetto.serving.batching import Batcher, ClosedError, Owner, Turns
from affetto.serving.catalogue import Catalogue, Model
from affetto.serving.disclosure import Disclosure
from affetto.serving.limits import Limits
from affetto.serving.meters import Meters
from affetto.serving.refusals import (
    LONGEST_RETRY_SECONDS,
    client_queue_full,
    no_timeline,
    queue_full,
    timed_out,
    unusable,
)

if TYPE_CHECKING:
    from affetto.inference.transcriber import Transcriber

T = TypeVar("T")
RECORDING = "the recording"
"""The name of an upload in messages: the name that the client gave it is never used."""
CLOSING_SECONDS = 5.0
"""The time for the batch at work to end once nobody waits for an answer."""
Gone = Callable[[], Coroutine[Any, Any, None]]
"""Returns once the client has left."""


class GivenUpError(Exception):
    """Error that ends a job whose answer nobody waits for."""


class Job:
    """Processing of one recording in a thread of its own. `predictor` computes each batch of windows in its turn.

    So `Predictor.classify` and `Timeline` work as everywhere else, a long recording delays a short one by its turns
    alone, and one that is given up ends at the next turn.
    """

    def __init__(self, service: Service, model: Model, content: bytes) -> None:
        self._service, self._model, self._content = service, model, content
        self._given_up = threading.Event()
        self._owner = Owner(model.kind, turns=Turns() if tracing.CURRENT.get() is not None else None)
        self.predictor: Predictor = copy.copy(model.predictor)
        self.predictor.__dict__ |= {
            "window_probabilities": self._window_probabilities,
            "begin": at_once(self._window_probabilities),
            "begin_statistics": at_once(self._window_statistics),
        }
        self.wave = np.zeros(0, np.float32)

    def decode(self) -> None:
        """Fill `wave`, (samples,). Raises AudioError for what cannot be used."""
        started, meters = time.monotonic(), self._service.meters
        with tracing.part("decode", bytes=len(self._content)) as trace:
            self.wave = audio.decode(
                self._content,
                name=RECORDING,
                longest_seconds=self._service.limits.max_seconds,
                cancelled=self._given_up.is_set,
            )
            if trace is not None:
                trace.note(audio_seconds=round(len(self.wave) / audio.RATE_HZ, 3))
        self._content = b""
        self._owner.size = count_windows(self.predictor, len(self.wave))
        meters.decoding.observe(time.monotonic() - started)
        meters.audio_seconds.add(len(self.wave) / audio.RATE_HZ, self._model.name)

    def blocks(self) -> Iterator[np.ndarray]:
        """The wave by the second. Raises GivenUpError between them."""
        for start in range(0, len(self.wave), audio.RATE_HZ):
            self.check()
            yield self.wave[start : start + audio.RATE_HZ]

    def check(self) -> None:
        """Raise GivenUpError where nobody waits any more."""
        if self._given_up.is_set():
            raise GivenUpError

    def give_up(self) -> None:
        self._given_up.set()
        self._service.batcher.drop(self._owner)

    def trace_turns(self) -> None:
        """Put spans of the turns that it has had below that of the request."""
        if self._owner.turns is not None:
            tracing.add_turns(self._owner.turns)

    def _window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """`Predictor.window_probabilities`, by the batcher's thread. Raises GivenUpError."""
        if self.predictor.watches:
            assert self._model.watched is not None, "it has statistics, since it watches"
            self._owner.kind = self._model.watched
        rows = self._rows(waves)
        # A speaker's head, which alone is not the model's, comes here: it takes next to no time.
        return parts_of(self.predictor).values_of_statistics(rows) if self.predictor.speaker_clips else rows

    def _window_statistics(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """`Adaptable.window_statistics`, by the batcher's thread. Raises GivenUpError."""
        assert self._model.statistics is not None
        self._owner.kind = self._model.statistics
        return self._rows(waves)

    def _rows(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        self.check()
        try:
            return np.stack([row.result() for row in self._service.batcher.submit(self._owner, waves)])
        except (CancelledError, ClosedError):
            raise GivenUpError from None


class Service:
    """Service that answers recordings within the limits: places, threads and turns."""

    def __init__(
        self,
        catalogue: Catalogue,
        limits: Limits,
        disclosure: Disclosure | None = None,
        transcriber: Transcriber | None = None,
    ) -> None:
        """`transcriber`: for texts beside the emotions; None: there are none."""
        self.catalogue, self.limits, self.transcriber = catalogue, limits, transcriber
        self.disclosure = disclosure or Disclosure()
        self.meters = Meters()
        self.batcher = Batcher(record=self.meters.record_batch)
        self.makes_timelines = importlib.util.find_spec("silero_vad") is not None
        self._places = 0
        self._of_client: Counter[str] = Counter()
        self._seconds_each = 1.0
        self._add_gauges()

    def _add_gauges(self) -> None:
        add = self.meters.add_gauge
        add("affetto_places", "Requests that are uploaded, waiting or at work.", lambda: self._places)
        add("affetto_places_most", "Requests that may be at once (--queue).", lambda: self.limits.queue)
        add("affetto_windows_waiting", "Windows whose batch has not begun.", lambda: self.batcher.waiting)
        add(
            "affetto_batch_age_seconds", "Time since the present batch began; 0 for none.", self.batcher.seconds_at_work
        )
        add("affetto_stalled", "1 if the computing thread is dead or stuck, as /healthz has it.", self.is_stalled)

    def warm_up(self) -> None:
        """Let each model compute in the shapes of its batches; to be called before the first request is taken."""
        for predictor in self.catalogue.predictors.values():
            predictor.warm_up(self.batcher.most)

    @contextlib.contextmanager
    def take_place(self, client: str) -> Iterator[None]:
        """Take a place for one request. Raises RefusalError: 503 if none is free, 429 if the client has its share."""
        most = self.limits.client_queue
        if self._places >= self.limits.queue:
            raise queue_full(self.retry_seconds())
        if most is not None and self._of_client[client] >= most:
            raise client_queue_full(most, self.retry_seconds())
        self._occupy(client)
        try:
            yield
        finally:
            self._leave(client)

    def _occupy(self, client: str) -> None:
        self._places += 1
        self._of_client[client] += 1

    def _leave(self, client: str) -> None:
        self._places -= 1
        self._of_client[client] -= 1
        if self._of_client[client] <= 0:
            del self._of_client[client]  # so that memory does not grow with the clients

    def refuse_timeline(self, model: Model) -> None:
        """Raise RefusalError (501) for a model whose target makes no timeline."""
        if not model.predictor.target.makes_timeline:
            raise no_timeline(f"several labels may apply at once for the model {model.name!r}: ask /v1/predict")

    @property
    def places(self) -> int:
        """The number of places that are taken."""
        return self._places

    def retry_seconds(self) -> int:
        """About when a place becomes free: all in work share the model, so that each takes as long as all of them."""
        return max(1, min(LONGEST_RETRY_SECONDS, math.ceil(self._seconds_each)))

    async def process(
        self,
        model: Model,
        content: bytes,
        task: Callable[[Job], T],
        client: str,
        *,
        gone: Gone | None = None,
        timeout: float | None = None,
    ) -> T:
        """Run `task` on the recording in a thread of its own; call it within a place of the client.

        Raises RefusalError for what cannot be used (4xx) and where `timeout` is over (503; seconds, by default
        `compute_seconds`), and ClientDisconnect where `gone` returns first. A recording that is given up keeps a place
        until its thread ends.
        """
        job = Job(self, model, content)
        del content

        def run_task() -> T:
            job.decode()
            return task(job)

        return await self.run(job, run_task, client, gone, self.limits.compute_seconds if timeout is None else timeout)

    async def run(
        self, job: Job, task: Callable[[], T], client: str, gone: Gone | None = None, seconds: float | None = None
    ) -> T:
        """Run a job's `task` in a thread of its own, for at most `seconds`; call it within a place of the client.

        Raises RefusalError as `process`, and what `gone` raises: it may know a reason to give the job up.
        """
        started = time.monotonic()
        answer = asyncio.wrap_future(_in_thread(task))
        leaving = None if gone is None else asyncio.ensure_future(gone())
        ends: set[asyncio.Future[Any]] = {answer} if leaving is None else {answer, leaving}
        try:
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if leaving is not None and leaving.done():
                leaving.result()
                raise ClientDisconnect
            assert seconds is not None
            raise timed_out(seconds)
        except audio.AudioError as problem:
            raise unusable(problem) from None
        except GivenUpError:  # the server has ended
            raise queue_full(self.retry_seconds()) from None
        finally:
            job.trace_turns()
            if leaving is not None and not leaving.cancel() and not leaving.cancelled():
                leaving.exception()  # looked at, so that asyncio does not call it forgotten
            if not answer.done():
                job.give_up()
                self._occupy(client)
                answer.add_done_callback(partial(self._abandoned, client))
            elif seconds is not None:
                self._seconds_each += 0.2 * (time.monotonic() - started - self._seconds_each)

    def _abandoned(self, client: str, answer: asyncio.Future[Any]) -> None:
        self._leave(client)
        if not answer.cancelled():
            answer.exception()  # looked at, so that asyncio does not call it forgotten

    def is_stalled(self) -> bool:
        """True if the computing thread has died, or computes one batch for longer than a recording may take."""
        return not self.batcher.is_alive or self.batcher.seconds_at_work() > self.limits.compute_seconds

    def is_busy(self) -> bool:
        return self._places > 0

    def close(self) -> bool:
        """Take no more work. Returns True if the computing thread has ended."""
        return self.batcher.close(CLOSING_SECONDS)


def _in_thread(task: Callable[[], T]) -> Future[T]:
    """`task` in a thread of its own, for which no exit waits. There are no more of them than places.

    It has the context of the caller, and with it the trace of the request.
    """
    outcome: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome.set_result(context.run(task))
        except BaseException as problem:
            outcome.set_exception(problem)

    outcome.set_running_or_notify_cancel()
    threading.Thread(target=work, name="affetto-job", daemon=True).start()
    return outcome
