"""Decoding ahead of the model: order, errors in their place, bounded memory, an end in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from affetto.audio import AudioError
from affetto.inference.read_ahead import AHEAD, Recording, read_ahead

SAMPLES = 1000
BLOCK_BYTES = 4 * SAMPLES


class Decoder:
    """Recordings of constant blocks; counts the blocks that were decoded, over all recordings."""

    def __init__(self) -> None:
        self.decoded = 0
        self.changed = threading.Condition()

    def recording(self, number: int, blocks: int, fails_at: int | None = None) -> Recording:
        def decode() -> Iterator[np.ndarray]:
            for at in range(blocks):
                if at == fails_at:
                    raise AudioError(f"{number}: broken")
                with self.changed:
                    self.decoded += 1
                    self.changed.notify_all()
                yield np.full(SAMPLES, number, np.float32)

        return str(number), decode()

    def wait_for(self, decoded: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.decoded >= decoded, 60)


def values(recordings: Iterator[Recording]) -> list[tuple[str, list[float]]]:
    return [(name, [float(block[0]) for block in blocks]) for name, blocks in recordings]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_recordings_come_in_order_with_all_their_blocks(threads: int) -> None:
    lengths = [1, 5, 0, 2, 9, 1, 1, 3, 1, 1, 1, 1, 1, 4]
    decoder = Decoder()
    recordings = (decoder.recording(number, blocks) for number, blocks in enumerate(lengths))
    # There is room for two blocks: whoever's turn it is goes on all the same.
    result = values(read_ahead(recordings, threads, most_bytes=2 * BLOCK_BYTES))
    assert result == [(str(number), [number] * blocks) for number, blocks in enumerate(lengths)]


def test_a_problem_comes_behind_the_good_blocks_and_spoils_no_other_recording() -> None:
    decoder = Decoder()
    recordings = (decoder.recording(number, 3, fails_at=2 if number == 1 else None) for number in range(4))
    good, problems = [], []
    for name, blocks in read_ahead(recordings, 2):
        count = 0
        try:
            for _ in blocks:
                count += 1
        except AudioError as problem:
            problems.append((name, str(problem)))
        good.append(count)
    assert good == [3, 2, 3, 3] and problems == [("1", "1: broken")]


def test_what_listing_raises_waits_for_the_recordings_before_it() -> None:
    decoder = Decoder()

    def listed() -> Iterator[Recording]:
        yield decoder.recording(0, 1)
        yield decoder.recording(1, 1)
        raise ValueError("no table")

    recordings = read_ahead(listed(), 2)
    for number in range(2):
        name, blocks = next(recordings)
        assert (name, len(list(blocks))) == (str(number), 1)
    with pytest.raises(ValueError, match="no table"):
        next(recordings)


def test_decoding_runs_ahead_and_stops_where_the_room_ends() -> None:
    decoder = Decoder()
    recordings = read_ahead((decoder.recording(number, 50) for number in range(4)), 2, most_bytes=10 * BLOCK_BYTES)
    _, blocks = next(recordings)
    decoder.wait_for(10)  # nothing was asked for yet
    taken = 0
    for block in blocks:
        taken += 1
        del block
        # Ten blocks wait; each of two threads holds one more, and the first may add one beyond the room.
        assert decoder.decoded <= taken + 10 + 2 + 1
    assert taken == 50
    recordings.close()


def test_recordings_are_listed_only_a_few_ahead() -> None:
    decoder, listed = Decoder(), []

    def listing() -> Iterator[Recording]:
        for number in range(100):
            listed.append(number)
            yield decoder.recording(number, 1)

    recordings = read_ahead(listing(), 2)
    next(recordings)
    assert len(listed) == 2 * AHEAD
    recordings.close()


def test_whoever_stops_early_leaves_no_thread_behind() -> None:
    decoder = Decoder()
    before = threading.active_count()
    recordings = read_ahead((decoder.recording(number, 50) for number in range(9)), 3, most_bytes=BLOCK_BYTES)
    _, blocks = next(recordings)
    next(iter(blocks))
    recordings.close()
    assert threading.active_count() == before


def test_a_recording_that_is_left_half_read_gives_its_room_back() -> None:
    decoder = Decoder()
    for _, blocks in read_ahead((decoder.recording(number, 9) for number in range(9)), 2, most_bytes=3 * BLOCK_BYTES):
        next(iter(blocks))
