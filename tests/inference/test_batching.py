"""Batches: who shares one, what happens when the queue is full, when work fails and when the end comes."""

from __future__ import annotations

import threading
import time

import pytest

from affetto.inference.server.batching import Batcher, ClosedError, QueueFullError


class Held:
    """Work that stays at its first batch until released, and notes what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.released, self.entered = threading.Event(), threading.Event()

    def __call__(self, items):
        self.batches.append(list(items))
        self.entered.set()
        assert self.released.wait(60)
        return [item * 10 for item in items]


def test_what_waits_together_goes_together_and_kinds_never_mix():
    a, b = Held(), Held()
    a.released.set(), b.released.set()
    first = Held()
    batcher = Batcher({"first": first, "a": a, "b": b}, most=3, wait_seconds=0.0)
    begin = batcher.submit("first", 0)
    assert first.entered.wait(60)
    futures = [batcher.submit(kind, n) for n, kind in enumerate("abaabab")]
    first.released.set()
    assert [future.result(60) for future in futures] == [0, 10, 20, 30, 40, 50, 60]
    assert begin.result(60) == 0
    assert a.batches == [[0, 2, 3], [5]] and b.batches == [[1, 4, 6]]
    batcher.close()


def test_an_item_waits_for_company_but_not_for_long():
    work = Held()
    work.released.set()
    batcher = Batcher({"a": work}, most=2, wait_seconds=600.0)
    futures = [batcher.submit("a", 1), batcher.submit("a", 2)]  # a full batch goes at once
    assert [f.result(60) for f in futures] == [10, 20] and work.batches == [[1, 2]]
    batcher.close()
    batcher = Batcher({"a": work}, most=2, wait_seconds=0.2)
    started = time.monotonic()
    assert batcher.submit("a", 3).result(60) == 30
    assert time.monotonic() - started >= 0.19
    batcher.close()


def test_a_full_queue_refuses_and_says_when_to_come_back():
    work = Held()
    batcher = Batcher({"a": work}, most=1, capacity=3)
    futures = [batcher.submit("a", n) for n in range(3)]
    with pytest.raises(QueueFullError) as refused:
        batcher.submit("a", 3)
    assert 1 <= refused.value.retry_seconds <= 60
    work.released.set()
    assert [f.result(60) for f in futures] == [0, 10, 20]
    assert batcher.submit("a", 4).result(60) == 40
    batcher.close()


def test_one_bad_item_spoils_no_other():
    def work(items):
        if 2 in items:
            raise ValueError("two")
        return [item + 1 for item in items]

    batcher = Batcher({"a": work}, most=4, wait_seconds=0.1)
    futures = [batcher.submit("a", n) for n in range(4)]
    assert [futures[n].result(60) for n in (0, 1, 3)] == [1, 2, 4]
    with pytest.raises(ValueError, match="two"):
        futures[2].result(60)
    assert batcher.submit("a", 7).result(60) == 8, "the thread goes on"
    batcher.close()


def test_closing_finishes_what_was_taken():
    work = Held()
    batcher = Batcher({"a": work}, most=1)
    futures = [batcher.submit("a", n) for n in range(5)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    assert work.entered.wait(60)
    while not batcher._closing:
        time.sleep(0.01)
    with pytest.raises(ClosedError):
        batcher.submit("a", 9)
    work.released.set()
    closing.join(60)
    assert [f.result(0) for f in futures] == [0, 10, 20, 30, 40] and not batcher.alive


def test_who_has_gone_is_not_computed():
    work = Held()
    batcher = Batcher({"a": work}, most=1)
    first = batcher.submit("a", 1)
    assert work.entered.wait(60)
    gone, stays = batcher.submit("a", 2), batcher.submit("a", 3)
    assert gone.cancel()
    work.released.set()
    assert first.result(60) == 10 and stays.result(60) == 30
    assert work.batches == [[1], [3]]
    batcher.close()


def test_who_is_dropped_leaves_the_queue_at_once():
    work = Held()
    batcher = Batcher({"a": work}, most=1, capacity=3)
    first = batcher.submit("a", 1)
    assert work.entered.wait(60)
    gone, stays = batcher.submit("a", 2), batcher.submit("a", 3)
    with pytest.raises(QueueFullError):
        batcher.submit("a", 4)
    assert batcher.drop(gone) and gone.cancelled() and batcher.load == 2
    late = batcher.submit("a", 5)
    assert not batcher.drop(first), "it is at work"
    work.released.set()
    assert [one.result(60) for one in (first, stays, late)] == [10, 30, 50]
    assert work.batches == [[1], [3], [5]]
    batcher.close()


def test_the_only_one_may_be_dropped_while_it_waits_for_company():
    work = Held()
    work.released.set()
    batcher = Batcher({"a": work}, wait_seconds=0.2)
    assert batcher.drop(batcher.submit("a", 1)) and batcher.load == 0
    assert batcher.submit("a", 2).result(60) == 20, "the thread goes on"
    assert work.batches == [[2]]
    batcher.close()
