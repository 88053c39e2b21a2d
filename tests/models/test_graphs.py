"""Captures of functions, with a recorder that stands for a device's: the CPU has none."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from affetto.models.graphs import Captured, recorder_of


class Record:
    """A recorder that notes what is asked of it; a capture computes on copies of what it must not change."""

    def __init__(self, changed: Callable[[], list[Tensor]] = list, problem: str | None = None) -> None:
        self.changed, self.problem = changed, problem
        self.calls: list[str] = []

    def warm_up(self, function: Callable[[], Tensor]) -> Tensor:
        self.calls.append("warm up")
        return function()

    def capture(self, function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        self.calls.append("capture")
        if self.problem is not None:
            raise RuntimeError(self.problem)
        before, random = [tensor.detach().clone() for tensor in self.changed()], torch.get_rng_state()
        result = function()
        torch.set_rng_state(random)
        with torch.no_grad():
            for tensor, value in zip(self.changed(), before, strict=True):
                tensor.copy_(value)

        def replay() -> None:
            self.calls.append("replay")
            result.copy_(function())

        return replay, result

    def recover(self) -> None:
        self.calls.append("recover")


def test_each_shape_is_warmed_up_captured_and_then_replayed() -> None:
    taken = torch.zeros(())
    seen: list[Tensor] = []

    def function(factor: int, x: Tensor) -> Tensor:
        seen.append(x)
        taken.add_(1)
        return factor * x.sum()

    record = Record(lambda: [taken])
    captured = Captured(function, record)
    short, long = torch.ones(2), torch.ones(3)
    for factor, x in ((1, short), (1, long), (1, short), (2, short), (1, short + 1), (1, long)):
        assert float(captured(factor, x)) == factor * float(x.sum())
    assert int(taken) == 6, "every call counts once"
    assert record.calls == ["warm up"] * 2 + ["capture", "replay", "warm up", "replay", "capture", "replay"]
    assert captured.shapes == 2 and captured.problem is None
    static = seen[2]
    assert static is not short and seen[3] is static and seen[5] is static, "the captured buffers are the replayed"
    assert short.tolist() == [1, 1], "inputs are copied"


def test_what_cannot_be_captured_is_computed_as_it_is() -> None:
    record = Record(problem="operation not permitted when stream is capturing\nand more")
    captured = Captured(lambda _, x: x + 1, record)
    assert [int(captured(None, torch.tensor(i))) for i in range(4)] == [1, 2, 3, 4]
    assert record.calls == ["warm up", "capture", "recover", "warm up", "warm up", "warm up"]
    assert captured.problem == "operation not permitted when stream is capturing"


def test_weights_that_have_moved_are_captured_anew() -> None:
    """A stack of fits takes the memory of their weights, and gives it back."""
    weight, record = torch.nn.Parameter(torch.tensor(2.0)), Record()
    captured = Captured(lambda _, x: x * weight.detach(), record, lambda: [weight])
    one = torch.ones(())
    for _ in range(3):
        captured(None, one)
    captured.refresh()
    assert captured.shapes == 1, "nothing has moved"
    weight.data = torch.tensor(5.0)
    captured.refresh()
    assert captured.shapes == 0 and float(captured(None, one)) == 5.0


def test_there_are_not_more_captures_than_memory_holds() -> None:
    record = Record()
    captured = Captured(lambda _, x: x.sum(), record)
    captured.most_shapes = 1
    for count in (1, 2, 1, 2, 2):
        captured(None, torch.ones(count))
    assert captured.shapes == 1 and record.calls.count("capture") == 1


def test_a_device_without_graphs_has_no_recorder() -> None:
    assert recorder_of(torch.device("cpu")) is None
