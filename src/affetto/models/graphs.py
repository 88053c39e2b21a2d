"""Functions of static tensors, captured once for each shape of their inputs and then replayed by one call.

A device that takes its work from a queue waits for Python where its kernels are short: a training step has hundreds.
Captured, they are launched together. A function that is captured must compute on the device alone: it reads no value
of a tensor, and it writes in place whatever has to outlive it (weights, the optimiser's state).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from affetto.models.device import capabilities

GRAPHS_VARIABLE = "AFFETTO_GRAPHS"
SHAPES = 16
"""Shapes of inputs that are captured at most; further ones are computed call by call."""


class Recorder(Protocol):
    """A device's way to capture and to replay."""

    def warm_up(self, function: Callable[[], Tensor]) -> Tensor:
        """Compute once without capturing, where the capture will be: libraries load, and the optimiser gets a state."""

    def capture(self, function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Capture without computing → a function that computes anew, and the tensor that it writes to."""

    def recover(self) -> None:
        """Make the device usable again after a capture that has failed."""


class CudaRecorder:
    """`torch.cuda.CUDAGraph`: graphs of one memory pool, warmed up and captured on one side stream."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Callable[[], Tensor]) -> Tensor:
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = function()
        current.wait_stream(self.stream)
        return result

    def capture(self, function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        graph = torch.cuda.CUDAGraph()
        # Threads that write a checkpoint or decode audio may wait for the device meanwhile.
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            result = function()
        return graph.replay, result

    def recover(self) -> None:
        torch.cuda.synchronize(self.device)
        # The generator that was captured still believes that it is; a copy of its state does not.
        with contextlib.suppress(RuntimeError, AttributeError, IndexError), torch.cuda.device(self.device):
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())


def recorder_of(device: torch.device) -> Recorder | None:
    """The device's recorder; None where it has none, or where `$AFFETTO_GRAPHS` is `off`."""
    is_off = os.environ.get(GRAPHS_VARIABLE) == "off"
    return CudaRecorder(device) if capabilities(device).graphs and not is_off else None


@dataclass
class _Graph:
    """A capture: its inputs, what it writes to, and the function that computes anew."""

    inputs: tuple[Tensor, ...]
    replay: Callable[[], None]
    result: Tensor


class Captured:
    """A function of tensors, and of a key that may stand for all else its kernels depend on → a tensor.

    The first call with a shape computes as it is, the second captures; from then on calls of this shape replay. Every
    call counts once: a training step that is captured is also taken. The result is overwritten by the next call of its
    shape. Where a capture fails, `problem` says why, and all calls compute as they are from then on.

    A capture holds addresses, not tensors: `weights` gives those that it reads beside its inputs, and `refresh` has to
    be called where they may have moved.
    """

    most_shapes = SHAPES

    def __init__(
        self, function: Callable[..., Tensor], recorder: Recorder, weights: Callable[[], Iterable[Tensor]] = tuple
    ) -> None:
        self.function, self.recorder, self.weights = function, recorder, weights
        self._addresses = self._present()
        self.problem: str | None = None
        self._warm: set[Hashable] = set()
        self._graphs: dict[Hashable, _Graph] = {}

    def _present(self) -> tuple[int, ...]:
        return tuple(tensor.data_ptr() for tensor in self.weights())

    def refresh(self) -> None:
        """Forget the captures if weights have moved since they were made."""
        addresses = self._present()
        if addresses != self._addresses:
            self._addresses = addresses
            self._warm.clear()
            self._graphs.clear()

    def __call__(self, key: Hashable, *inputs: Tensor) -> Tensor:
        """Compute `function(key, *inputs)`; the inputs lie on the device."""
        shape = (key, *((tuple(tensor.shape), tensor.dtype) for tensor in inputs))
        graph = self._graphs.get(shape)
        if graph is None and shape in self._warm and self.problem is None and len(self._graphs) < self.most_shapes:
            graph = self._capture(key, shape, inputs)
        if graph is None:
            self._warm.add(shape)
            return self.recorder.warm_up(lambda: self.function(key, *inputs))
        for static, tensor in zip(graph.inputs, inputs, strict=True):
            static.copy_(tensor, non_blocking=True)
        graph.replay()
        return graph.result

    def _capture(self, key: Hashable, shape: Hashable, inputs: tuple[Tensor, ...]) -> _Graph | None:
        static: Any = tuple(tensor.clone() for tensor in inputs)
        try:
            replay, result = self.recorder.capture(lambda: self.function(key, *static))
        except RuntimeError as problem:
            self.problem = str(problem).strip().partition("\n")[0]
            self.recorder.recover()
            return None
        self._graphs[shape] = _Graph(static, replay, result)
        return self._graphs[shape]

    @property
    def shapes(self) -> int:
        """Number of shapes that are captured."""
        return len(self._graphs)
