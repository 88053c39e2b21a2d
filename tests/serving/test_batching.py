"""Batches: who shares one, who goes first, what happens when work fails and when the end comes."""

from __future__ import annotations

import threading
import time

import pytest

from affetto.serving.batching import Batcher, ClosedError


class Held:
    """Work that stays at its first batch until released, and notes what it was given."""

    def __init__(self, *, released: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.released, self.entered = threading.Event(), threading.Event()
        if released:
            self.released.set()

    def __call__(self, items):
        self.batches.append(list(items))
        self.entered.set()
        assert self.released.wait(60)
        return [item * 10 for item in items]


@pytest.fixture
def held():
    """`held(work, …)` → a batcher whose thread is at its first batch, and what lets it go on."""
    batchers = []

    def make(work, **options):
        door = Held()
        batcher = Batcher({"door": door, **work}, wait_seconds=0.0, **options)
        batchers.append((batcher, door))
        batcher.submit("door", "door", [0])
        assert door.entered.wait(60)
        return batcher, door.released.set

    yield make
    for batcher, door in batchers:
        door.released.set()
        assert batcher.close(60)


def test_what_waits_together_goes_together_and_kinds_never_mix(held):
    a, b = Held(released=True), Held(released=True)
    batcher, let = held({"a": a, "b": b}, most=3)
    futures = [batcher.submit(kind, n, [n])[0] for n, kind in enumerate("abaabab")]
    let()
    assert [future.result(60) for future in futures] == [0, 10, 20, 30, 40, 50, 60]
    assert a.batches == [[0, 2, 3], [5]] and b.batches == [[1, 4, 6]]


def test_who_brings_many_items_delays_who_brings_one_by_a_turn_alone(held):
    work = Held(released=True)
    batcher, let = held({"a": work}, most=3)
    long, longer = (batcher.submit("a", owner, range(at, at + 5)) for owner, at in (("long", 10), ("longer", 20)))
    (short,) = batcher.submit("a", "short", [1])
    let()
    assert short.result(60) == 10
    assert [future.result(60) for future in (*long, *longer)] == [10 * n for n in (*range(10, 15), *range(20, 25))]
    assert work.batches == [[10, 20, 1], [11, 21, 12], [22, 13, 23], [14, 24]]


def test_a_kind_that_never_ends_leaves_the_others_their_turns(held):
    a, b = Held(released=True), Held(released=True)
    batcher, let = held({"a": a, "b": b}, most=2)
    many = batcher.submit("a", "many", range(6))
    (other,) = batcher.submit("b", "other", [1])
    seen = []
    other.add_done_callback(lambda _: seen.append(len(a.batches)))
    let()
    assert [future.result(60) for future in (*many, other)] == [0, 10, 20, 30, 40, 50, 10] and seen == [1]


def test_an_item_waits_for_company_but_not_for_long():
    work = Held(released=True)
    batcher = Batcher({"a": work}, most=2, wait_seconds=600.0)
    futures = [*batcher.submit("a", 1, [1]), *batcher.submit("a", 2, [2])]  # a full batch goes at once
    assert [future.result(60) for future in futures] == [10, 20] and work.batches == [[1, 2]]
    assert batcher.close(60)
    batcher = Batcher({"a": work}, most=2, wait_seconds=0.2)
    started = time.monotonic()
    assert batcher.submit("a", 3, [3])[0].result(60) == 30
    assert time.monotonic() - started >= 0.19
    assert batcher.close(60)


def test_one_bad_item_spoils_no_other(held):
    def work(items):
        if 2 in items:
            raise ValueError("two")
        return [item + 1 for item in items]

    batcher, let = held({"a": work}, most=4)
    futures = [batcher.submit("a", n, [n])[0] for n in range(4)]
    let()
    assert [futures[n].result(60) for n in (0, 1, 3)] == [1, 2, 4]
    with pytest.raises(ValueError, match="two"):
        futures[2].result(60)
    assert batcher.submit("a", 7, [7])[0].result(60) == 8, "the thread goes on"


def test_closing_finishes_what_was_taken(held):
    work = Held(released=True)
    batcher, let = held({"a": work}, most=1)
    futures = batcher.submit("a", "a", range(5))
    assert not batcher.close(0.01), "one batch is at work"
    with pytest.raises(ClosedError):
        batcher.submit("a", "b", [9])
    assert batcher.seconds_at_work() > 0
    let()
    assert batcher.close(60) and not batcher.is_alive and batcher.seconds_at_work() == 0
    assert [future.result(0) for future in futures] == [0, 10, 20, 30, 40]


def test_who_is_dropped_is_not_computed(held):
    work = Held(released=True)
    batcher, let = held({"a": work}, most=1)
    gone, stays = batcher.submit("a", "gone", [1, 2]), batcher.submit("a", "stays", [3])
    batcher.drop("gone")
    batcher.drop("door")  # which is at work
    assert batcher.waiting == 1 and all(future.cancelled() for future in gone)
    let()
    assert stays[0].result(60) == 30 and work.batches == [[3]]
    batcher.drop("nobody")
    assert batcher.submit("a", "late", [4])[0].result(60) == 40, "the thread goes on"


class Device:
    """Work that a device does: begun at once, its results come when they are let."""

    def __init__(self) -> None:
        self.begun: list[list[int]] = []
        self.changed = threading.Condition()
        self.released = threading.Event()

    def __call__(self, items):
        if -1 in items:
            raise ValueError("broken")
        with self.changed:
            self.begun.append(list(items))
            self.changed.notify_all()

        def results():
            assert self.released.wait(10)
            if -2 in items:
                raise ValueError("late")
            return [item * 10 for item in items]

        return results

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) == count, 10)


def test_a_batch_is_begun_while_a_device_computes_the_last(held):
    device = Device()
    device.released.set()
    batcher, let = held({"device": device}, most=2)
    futures = batcher.submit("device", "first", range(6))
    device.released.clear()
    let()
    try:
        device.wait_for(2)  # the first is not answered yet
        assert not any(future.done() for future in futures)
    finally:
        device.released.set()
    assert [future.result(60) for future in futures] == [0, 10, 20, 30, 40, 50]
    assert device.begun == [[0, 1], [2, 3], [4, 5]]
    assert batcher.close(60) and batcher.seconds_at_work() == 0


def test_what_a_device_has_done_waits_for_no_other_work(held):
    device, slow = Device(), Held()
    device.released.set()
    batcher, let = held({"device": device, "slow": slow})
    first = batcher.submit("device", "first", [1])[0]
    last = batcher.submit("slow", "first", [2])[0]
    let()
    try:
        assert first.result(10) == 10
    finally:
        slow.released.set()
    assert last.result(60) == 20


def test_what_fails_on_a_device_spoils_no_other_item(held):
    device = Device()
    device.released.set()
    batcher, let = held({"device": device}, most=3)
    futures = batcher.submit("device", "first", [1, -1, 2, 3, -2, 4])
    let()
    for future, message in ((futures[1], "broken"), (futures[4], "late")):
        with pytest.raises(ValueError, match=message):
            future.result(60)
    assert [futures[i].result(60) for i in (0, 2, 3, 5)] == [10, 20, 30, 40]
