"""Clips side by side: on a CPU several clips at once, each on few threads, beat one clip on all of them."""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
MOST_WORKERS = 8
"""A clip of 4 s takes some 0.3 GB on its way through a base model's front end."""


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decoding_threads() -> int:
    """Threads that decode recordings beside a device that computes by itself."""
    return min(cores(), MOST_WORKERS)


def threads() -> int:
    """Threads of a computation outside torch: OMP_NUM_THREADS, by which Ray limits a process, else all cores."""
    setting = os.environ.get("OMP_NUM_THREADS", "")
    return int(setting) if setting.isdecimal() and int(setting) else cores()


def side_by_side(
    work: Callable[[T], R], items: Iterable[T], *, computes: bool = True, ahead: int | None = None
) -> Generator[R | Exception]:
    """Results of `work` on each item, in order, a few items ahead; an error comes in the place of its item.

    `computes`: the work is torch's, and the workers share torch's threads; else (decoding for a GPU) they keep them.
    `ahead`: items that are begun before the first result is taken; None: two a worker.
    """
    import torch

    threads = torch.get_num_threads()
    workers = max(1, min(threads if computes else cores(), MOST_WORKERS))
    share = max(1, threads // workers)

    def begin() -> None:
        if computes:
            torch.set_num_threads(share)

    try:
        with ThreadPoolExecutor(workers, thread_name_prefix="affetto", initializer=begin) as pool:
            waiting: deque[Future[R]] = deque()
            try:
                for item in items:
                    waiting.append(pool.submit(work, item))
                    if len(waiting) > (2 * workers if ahead is None else ahead):
                        yield _outcome(waiting.popleft())
                while waiting:
                    yield _outcome(waiting.popleft())
            finally:
                for future in waiting:
                    future.cancel()
    finally:
        if computes:
            torch.set_num_threads(threads)
            _give_back()


def _give_back() -> None:
    """Hand to the system what the workers' heaps hold free (glibc keeps it: half a gigabyte after a base model)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def _outcome(future: Future[R]) -> Any:
    try:
        return future.result()
    except Exception as problem:
        return problem
