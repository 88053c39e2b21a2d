"""Measurements of a running server in the text format of Prometheus (version 0.0.4), for `GET /metrics`.

Threads of recordings, the computing thread and the event loop add to them at once, each under a lock of its own.
"""

from __future__ import annotations

import math
import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from affetto._version import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
WINDOWS = (1, 2, 4, 8, 16, 32)
"""Upper bounds of histograms."""
NO_ANSWER = "none"
"""Status of a request whose client left before an answer."""


class Counter:
    """Sum for each combination of labels, which only grows."""

    kind = "counter"

    def __init__(self, name: str, description: str, labels: Sequence[str] = ()) -> None:
        self.name, self.description, self.labels = name, description, tuple(labels)
        self._sums: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        self._lock = threading.Lock()

    def add(self, amount: float, *values: str) -> None:
        """Add to the sum of these values of the labels."""
        assert len(values) == len(self.labels)
        with self._lock:
            self._sums[values] = self._sums.get(values, 0.0) + amount

    def samples(self) -> Iterator[str]:
        with self._lock:
            sums = sorted(self._sums.items())
        for values, total in sums:
            yield f"{self.name}{_labels(self.labels, values)} {_number(total)}"


class Gauge:
    """Present value of something, read when it is asked for."""

    kind = "gauge"

    def __init__(self, name: str, description: str, read: Callable[[], float]) -> None:
        self.name, self.description, self.read = name, description, read

    def samples(self) -> Iterator[str]:
        yield f"{self.name} {_number(self.read())}"


class Histogram:
    """Number and sum of values, and how many are at most each of the `bounds`."""

    kind = "histogram"

    def __init__(self, name: str, description: str, bounds: Sequence[float]) -> None:
        self.name, self.description, self.bounds = name, description, tuple(bounds)
        self._counts, self._sum = [0] * (len(bounds) + 1), 0.0
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        with self._lock:
            self._counts[bisect_left(self.bounds, value)] += 1
            self._sum += value

    def samples(self) -> Iterator[str]:
        with self._lock:
            counts, total = list(self._counts), self._sum
        below = 0
        for bound, count in zip((*self.bounds, float("inf")), counts, strict=True):
            below += count
            yield f"{self.name}_bucket{_labels(['le'], [_number(bound)])} {below}"
        yield f"{self.name}_sum {_number(total)}"
        yield f"{self.name}_count {below}"


class Meters:
    """All measurements of a server. `gauges` are added by those who have the values."""

    def __init__(self) -> None:
        self.requests = Counter(
            "affetto_requests_total", "Requests by path, status of the answer and model.", ("path", "status", "model")
        )
        self.audio_seconds = Counter(
            "affetto_audio_seconds_total", "Length of the recordings that were decoded.", ("model",)
        )
        self.decoding = Histogram("affetto_decoding_seconds", "Time to decode a recording.", SECONDS)
        self.waiting = Histogram("affetto_waiting_seconds", "Time from a window's arrival to its batch.", SECONDS)
        self.computing = Histogram("affetto_computing_seconds", "Time to compute a batch.", SECONDS)
        self.batch_windows = Histogram("affetto_batch_windows", "Windows in a batch.", WINDOWS)
        self.gauges = [Gauge("process_resident_memory_bytes", "Memory in use.", resident_bytes)]

    def add_gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Add a value that `read` returns at each request for the measurements."""
        self.gauges.append(Gauge(name, description, read))

    def count_request(self, path: str, status: int, model: str) -> None:
        """Count a request. `status` is 0 where the client left before an answer."""
        self.requests.add(1, path, str(status) if status else NO_ANSWER, model)

    def record_batch(self, waited: Sequence[float], seconds: float) -> None:
        """Record a computed batch: the time that each of its windows waited, and that of the batch."""
        self.batch_windows.observe(len(waited))
        self.computing.observe(seconds)
        for value in waited:
            self.waiting.observe(value)

    def text(self) -> str:
        """Write all measurements, each with its description and kind."""
        lines = [
            "# HELP affetto_info Version of affetto.",
            "# TYPE affetto_info gauge",
            f"affetto_info{_labels(['version'], [__version__])} 1",
        ]
        meters: list[Counter | Histogram | Gauge] = [self.requests, self.audio_seconds, self.decoding, self.waiting]
        for meter in (*meters, self.computing, self.batch_windows, *self.gauges):
            lines += [f"# HELP {meter.name} {meter.description}", f"# TYPE {meter.name} {meter.kind}", *meter.samples()]
        return "\n".join(lines) + "\n"


def resident_bytes() -> float:
    """Memory of this process that is in use, as Linux counts it; NaN on other systems."""
    try:
        with open("/proc/self/statm") as file:
            return float(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return math.nan


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels as the format has them; nothing for none."""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(int(value) if value == int(value) else float(value))
