"""Prefixes of many clips on a device that takes padded batches: decoded ahead of it, stored behind it.

The device is waited for by the threads that store alone, so that its queue is never empty for want of Python.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from affetto.audio import AudioError
from affetto.models.classifier import Classifier, Prefix, split
from affetto.models.device import fetch
from affetto.models.parallel import cores, side_by_side

BATCH_SAMPLES = 2**21
"""Padded samples of a batch, at most: 32 clips of 4 s, for which a base model's front end takes some 4 GB."""
FIRST_WINDOW, WINDOW = 32, 256
"""Clips that batches of like length are cut from: few at first, until it is seen how large a prefix is."""
WINDOW_SAMPLES = 2**25
"""Samples of a window, at most."""
AHEAD = 128
"""Clips that are decoded ahead."""
MOST_WRITERS = 8
"""Threads that store. Rounding, checksum and disk take a core 2 ms for a clip of a base model."""
FLIGHT_BYTES = 2**29
"""Prefixes that are computed and not stored yet, at most, beside a batch."""

Computed = tuple[Prefix, list[int]]
"""A padded batch of prefixes (batch, rows, …) and the rows of each."""
Decode = Callable[[str], Prefix | np.ndarray]
Store = Callable[[str, Prefix], Prefix]


def cut(lengths: Sequence[int]) -> list[list[int]]:
    """Indices of clips in batches of like length, the longest clips first; none has more than `BATCH_SAMPLES`."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > BATCH_SAMPLES:
            batches.append([])
        batches[-1].append(i)
    return batches


def compute(classifier: Classifier, waves: Sequence[np.ndarray]) -> Iterator[tuple[list[int], Computed | AudioError]]:
    """Prefixes of waves (samples,) by batches: indices of some clips with what was computed, or one with its problem.

    A batch that the device has no memory for, or that has an unusable clip, is halved.
    """
    waiting = cut([len(wave) for wave in waves])[::-1]
    while waiting:
        clips = waiting.pop()
        outcome: Computed | AudioError | None = None
        try:
            outcome = classifier.prefix_batch([waves[i] for i in clips])
        except AudioError as problem:
            outcome = problem if len(clips) == 1 else None
        except torch.OutOfMemoryError:
            if len(clips) == 1:
                raise
        if outcome is None:  # not within the handler, whose error holds the tensors
            half = len(clips) // 2
            waiting += [clips[half:], clips[:half]]
        else:
            yield clips, outcome


def prefixes(classifier: Classifier, waves: Sequence[np.ndarray]) -> list[Prefix]:
    """The prefix of each wave (samples,), on the classifier's device. Raises AudioError for an unusable one."""
    results: dict[int, Prefix] = {}
    for clips, outcome in compute(classifier, waves):
        if isinstance(outcome, AudioError):
            raise outcome
        results.update(zip(clips, split(*outcome), strict=True))
    return [results[i] for i in range(len(waves))]


def stream(
    classifier: Classifier, ids: Sequence[str], decode: Decode, store: Store
) -> Iterator[tuple[str, Prefix | Exception]]:
    """Each clip's prefix or error, in any order.

    `decode` returns a clip's wave, or its prefix if that is stored; `store` takes what was computed and returns what is
    stored. Both are called in threads. An error of `store` is raised.
    """
    threads = torch.get_num_threads()
    try:
        with (
            contextlib.closing(side_by_side(decode, ids, computes=False, ahead=AHEAD)) as outcomes,
            _Flight(classifier, store) as flight,
        ):
            waves: dict[str, np.ndarray] = {}
            for clip_id, outcome in zip(ids, outcomes, strict=True):
                if not isinstance(outcome, np.ndarray):
                    yield clip_id, outcome
                    continue
                waves[clip_id] = outcome
                if len(waves) >= flight.window or sum(map(len, waves.values())) >= WINDOW_SAMPLES:
                    yield from flight.begin(waves)
                    waves = {}
            yield from flight.begin(waves)
            yield from flight.finish(0)
    finally:
        torch.set_num_threads(threads)


class _Flight:
    """Prefixes between the device and the store."""

    def __init__(self, classifier: Classifier, store: Store) -> None:
        self.classifier, self.store = classifier, store
        self.window = FIRST_WINDOW
        """Clips of the next window."""
        self._pool = ThreadPoolExecutor(
            min(cores(), MOST_WRITERS),
            thread_name_prefix="affetto-store",
            initializer=torch.set_num_threads,
            initargs=(1,),
        )
        self._waiting: deque[tuple[dict[str, Future[Prefix]], int]] = deque()

    def __enter__(self) -> _Flight:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin(self, waves: dict[str, np.ndarray]) -> Iterator[tuple[str, Prefix | Exception]]:
        """Compute a window; returns what was stored meanwhile, and clips that cannot be computed."""
        ids = list(waves)
        for clips, outcome in compute(self.classifier, list(waves.values())):
            if isinstance(outcome, AudioError):
                yield ids[clips[0]], outcome
                continue
            batch, rows = outcome
            host, wait = fetch(batch, self.classifier.backbone.device)
            size = sum(tensor.nbytes for tensor in host.values())
            self.window = max(FIRST_WINDOW, min(WINDOW, FLIGHT_BYTES * len(clips) // size))
            futures = {
                ids[i]: self._pool.submit(self._store, ids[i], prefix, wait)
                for i, prefix in zip(clips, split(host, rows), strict=True)
            }
            self._waiting.append((futures, size))
            yield from self.finish(FLIGHT_BYTES)

    def finish(self, limit: int) -> Iterator[tuple[str, Prefix]]:
        """Wait for the oldest batches until at most `limit` bytes are in flight."""
        while self._waiting and sum(size for _, size in self._waiting) > limit:
            futures, _ = self._waiting.popleft()
            for clip_id, future in futures.items():
                yield clip_id, future.result()

    def _store(self, clip_id: str, prefix: Prefix, wait: Callable[[], None]) -> Prefix:
        wait()
        return self.store(clip_id, prefix)
