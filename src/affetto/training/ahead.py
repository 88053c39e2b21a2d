"""The next batch made in a thread while the device computes this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def one_ahead(make: Callable[[T], R], items: Iterable[T], *, threaded: bool) -> Iterator[R]:
    """`make` of each item, in order. `threaded`: the next one is begun before this one is handed out.

    That pays beside a GPU; on a CPU the thread would only take cores from the step. An error comes where its item
    would.
    """
    if not threaded:
        yield from map(make, items)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="affetto-batch") as pool:
        waiting: Future[R] | None = None
        for item in items:
            begun = pool.submit(make, item)
            if waiting is not None:
                yield waiting.result()
            waiting = begun
        if waiting is not None:
            yield waiting.result()
