"""Processes of the two sides of a comparison, each with memory of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from affetto.errors import UserError

WINDOW_SECONDS = 4.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """Work of one side. `pad_seconds` None: the family's own window (Whisper: 30 s)."""

    side: str
    backbone: str
    method: str
    clips: int
    batch_size: int
    precision: str
    device: str = "auto"
    window_seconds: float = WINDOW_SECONDS
    pad_seconds: float | None = WINDOW_SECONDS
    threads: int | None = None
    stack: tuple[int, ...] = ()
    """Numbers of fits that are also measured as one training."""


class Worker:
    """A process that measures on command, and rests meanwhile."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        # A pipe that nobody reads would fill, and stop the process.
        self._messages = tempfile.TemporaryFile("w+")  # noqa: SIM115 (open as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "affetto.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
        )

    def call(self, name: str, *arguments: Any) -> Any:
        """Value of a measurement. Raises UserError with the process's last message if it has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):  # it has ended: its message tells why
            self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._messages.seek(0)
            messages = self._messages.read().strip().splitlines()
            raise UserError(messages[-1] if messages else "no reason given")
        answer: dict[str, Any] = json.loads(line)
        self.peak_bytes = answer["peak_bytes"]
        return answer["value"]

    @property
    def is_closed(self) -> bool:
        return self._messages.closed

    def close(self) -> None:
        """End the process."""
        if self.is_closed:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # a command that was never read
                pipe.close()
        self._messages.close()


class Side:
    """One side of a comparison, in a process of its own or in a `worker` that goes on to serve the next comparison."""

    def __init__(self, task: Task, worker: Worker | None = None) -> None:
        self.task, self._worker, self._ends_worker = task, worker or Worker(), worker is None
        self("begin", asdict(task))

    def __call__(self, name: str, *arguments: Any) -> Any:
        try:
            return self._worker.call(name, *arguments)
        except UserError as problem:
            self._worker.close()
            raise UserError(f"the benchmark of {self.task.side} stopped: {problem}") from None

    @property
    def peak_bytes(self) -> int:
        """Peak memory of the last measurement."""
        return self._worker.peak_bytes

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ends_worker:
            self._worker.close()


class Workers:
    """Processes of all comparisons of a benchmark.

    Where a device has memory of its own (`keep`), torch knows the peak of each measurement, and two processes serve all
    comparisons; starting one takes longer than many a measurement. Elsewhere the peak is that of a process, and each
    side of each comparison has a new one.
    """

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._workers: dict[bool, Worker] = {}

    def start(self, task: Task) -> Side:
        """The side of a task, ready to measure."""
        if not self._keep:
            return Side(task)
        is_ours = task.side.startswith("our")
        # A side that failed has closed its process.
        worker = self._workers.get(is_ours)
        if worker is None or worker.is_closed:
            worker = self._workers[is_ours] = Worker()
        return Side(task, worker)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers = {}
