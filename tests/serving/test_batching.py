"""Batches: who shares one, who goes first, what happens when work fails and when the end comes."""

from __future__ import annotations

import threading
import time
import weakref

import pytest

from affetto.serving.batching import PATIENCE, SHORT, Batcher, ClosedError, Kind, Owner
from serving.served import until


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
    """`held(…)` → a batcher whose thread is at its first batch, and what lets it go on."""
    batchers = []

    def make(**options):
        door = Held()
        batcher = Batcher(wait_seconds=0.0, **options)
        batchers.append((batcher, door))
        batcher.submit(Owner(Kind(door)), [0])
        assert door.entered.wait(60)
        return batcher, door.released.set

    yield make
    for batcher, door in batchers:
        door.released.set()
        assert batcher.close(60)


def bring(batcher, kind, *items):
    """Futures of the items of an owner who brings these alone."""
    return batcher.submit(Owner(kind, len(items)), items)


def outcomes(*futures):
    return [future.result(60) for future in futures]


def test_what_waits_together_goes_together_and_kinds_never_mix(held):
    a, b = Held(released=True), Held(released=True)
    batcher, let = held(most=3)
    kinds = {"a": Kind(a), "b": Kind(b)}
    futures = [bring(batcher, kinds[name], n)[0] for n, name in enumerate("abaabab")]
    let()
    assert outcomes(*futures) == [0, 10, 20, 30, 40, 50, 60]
    assert a.batches == [[0, 2, 3], [5]] and b.batches == [[1, 4, 6]]


def test_a_long_recording_delays_a_clip_by_the_window_at_work_alone(held):
    """The bound of docs/serving.md, by the windows in their order: 299 are 600 s of sound."""
    work = Held(released=True)
    batcher, let = held()
    kind = Kind(work, turn=1)
    long = batcher.submit(Owner(kind, 299), range(100, 116))
    batcher.submit(Owner(Kind(work)), [1])  # the batch behind the door's
    clip = bring(batcher, kind, 2)
    other = bring(batcher, kind, *range(3, 3 + SHORT))
    let()
    assert outcomes(*clip, *other) == [10 * n for n in range(2, 3 + SHORT)]
    outcomes(*long)
    # Both go before the first window of the long one, which joins no batch of theirs.
    assert work.batches[:3] == [[2, *range(3, 3 + SHORT)], [1], [100]]
    assert work.batches[3:] == [[n] for n in range(101, 116)]


def test_of_long_recordings_the_shortest_is_first_and_the_longest_has_its_turn(held):
    work = Held(released=True)
    batcher, let = held()
    kind = Kind(work, turn=1)
    longest, shorter = Owner(kind, 200), Owner(kind, 60)
    futures = [*batcher.submit(longest, range(100, 116)), *batcher.submit(shorter, range(20, 60))]
    let()
    outcomes(*futures)
    order = [item for batch in work.batches for item in batch]
    assert order[:PATIENCE] == list(range(20, 20 + PATIENCE)), "the shorter one"
    assert order[PATIENCE] == 100, "who has waited for so many windows of others is next"
    assert order[PATIENCE + 1 :][:PATIENCE] == list(range(20 + PATIENCE, 20 + 2 * PATIENCE))
    assert all(len(batch) == 1 for batch in work.batches), "and goes by turns"


def test_a_crowd_of_clips_never_starves_a_long_recording(held):
    work = Held(released=True)
    batcher, let = held(most=4)
    kind = Kind(work, turn=1)
    long = batcher.submit(Owner(kind, 100), range(100, 103))
    crowd = [bring(batcher, kind, n)[0] for n in range(60)]
    let()
    outcomes(*crowd, *long)
    batches = [[item for item in batch if item >= 100] for batch in work.batches]
    assert [n for n, batch in enumerate(batches) if batch] == [4, 9, 14], "one window after 16 of others"
    assert max(len(batch) for batch in work.batches) == 4


def test_a_device_computes_whole_batches_of_long_recordings(held):
    work = Held(released=True)
    batcher, let = held(most=4)
    kind = Kind(work, turn=4)
    long = [batcher.submit(Owner(kind, 20), range(at, at + 5)) for at in (10, 20)]
    clip = bring(batcher, kind, 1)
    let()
    outcomes(*clip, *long[0], *long[1])
    assert work.batches == [[1, 10, 11, 12], [13, 14, 20, 21], [22, 23, 24]]


def test_a_kind_that_never_ends_leaves_the_others_their_turns(held):
    a, b = Held(released=True), Held(released=True)
    batcher, let = held(most=2)
    many, (other,) = bring(batcher, Kind(a), *range(6)), bring(batcher, Kind(b), 1)
    seen = []
    other.add_done_callback(lambda _: seen.append(len(a.batches)))
    let()
    assert outcomes(*many, other) == [0, 10, 20, 30, 40, 50, 10] and seen == [1]


def test_an_item_waits_for_company_but_not_for_long():
    work = Held(released=True)
    batcher, kind = Batcher(most=2, wait_seconds=600.0), Kind(work)
    futures = [*bring(batcher, kind, 1), *bring(batcher, kind, 2)]  # a full batch goes at once
    assert outcomes(*futures) == [10, 20] and work.batches == [[1, 2]]
    assert batcher.close(60)
    batcher = Batcher(most=2, wait_seconds=0.2)
    started = time.monotonic()
    assert outcomes(*bring(batcher, kind, 3)) == [30]
    assert time.monotonic() - started >= 0.19
    assert batcher.close(60)


def test_one_bad_item_spoils_no_other(held):
    def work(items):
        if 2 in items:
            raise ValueError("two")
        return [item + 1 for item in items]

    batcher, let = held(most=4)
    kind = Kind(work)
    futures = [bring(batcher, kind, n)[0] for n in range(4)]
    let()
    assert [futures[n].result(60) for n in (0, 1, 3)] == [1, 2, 4]
    with pytest.raises(ValueError, match="two"):
        futures[2].result(60)
    assert outcomes(*bring(batcher, kind, 7)) == [8], "the thread goes on"


def test_closing_finishes_what_was_taken(held):
    work = Held(released=True)
    batcher, let = held(most=1)
    kind = Kind(work)
    futures = bring(batcher, kind, *range(5))
    assert not batcher.close(0.01), "one batch is at work"
    with pytest.raises(ClosedError):
        bring(batcher, kind, 9)
    assert batcher.seconds_at_work() > 0
    let()
    assert batcher.close(60) and not batcher.is_alive and batcher.seconds_at_work() == 0
    assert [future.result(0) for future in futures] == [0, 10, 20, 30, 40]


def test_who_is_dropped_is_not_computed(held):
    work = Held(released=True)
    batcher, let = held(most=1)
    kind = Kind(work)
    leaving = Owner(kind, 2)
    gone, stays = batcher.submit(leaving, [1, 2]), bring(batcher, kind, 3)
    batcher.drop(leaving)
    assert batcher.waiting == 1 and all(future.cancelled() for future in gone)
    let()
    assert stays[0].result(60) == 30 and work.batches == [[3]]
    batcher.drop(leaving)
    assert outcomes(*bring(batcher, kind, 4)) == [40], "the thread goes on"


def test_a_kind_that_nobody_uses_is_not_held(held):
    """The memory of a model that is removed is free at once, without a collector."""
    work = Held(released=True)
    batcher, let = held()
    let()
    kind = weakref.ref(made := Kind(work))
    assert outcomes(*bring(batcher, made, 1)) == [10]
    del made
    until(lambda: kind() is None)


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
    batcher, let = held(most=2)
    futures = bring(batcher, Kind(device), *range(6))
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
    batcher, let = held()
    (first,), (last,) = bring(batcher, Kind(device), 1), bring(batcher, Kind(slow), 2)
    let()
    try:
        assert first.result(10) == 10
    finally:
        slow.released.set()
    assert last.result(60) == 20


def test_what_fails_on_a_device_spoils_no_other_item(held):
    device = Device()
    device.released.set()
    batcher, let = held(most=3)
    futures = bring(batcher, Kind(device), 1, -1, 2, 3, -2, 4)
    let()
    for future, message in ((futures[1], "broken"), (futures[4], "late")):
        with pytest.raises(ValueError, match=message):
            future.result(60)
    assert [futures[i].result(60) for i in (0, 2, 3, 5)] == [10, 20, 30, 40]
