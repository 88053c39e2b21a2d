"""Changes of the models while the load test (`load.py`) runs, and the models that may have answered meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

FOREVER = float("inf")
SHARE_OF_REMOVALS = 0.3


@dataclass
class Period:
    """Time in which a model may serve under a name; `version` is its folder's name, None for no model."""

    version: str | None
    began: float
    ended: float = FOREVER

    def touches(self, began: float, ended: float) -> bool:
        return self.began <= ended and began <= self.ended


@dataclass
class Timetable:
    """Models by name over time. A change takes place at some moment between its request and its answer."""

    _periods: dict[str, list[Period]]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, versions: Mapping[str, Sequence[str]]) -> Timetable:
        """Timetable of a server that starts with the first model of each name."""
        return cls({name: [Period(group[0], 0.0)] for name, group in versions.items()})

    def present(self, name: str) -> str | None:
        """Model that serves under a name; None for none."""
        return self._periods[name][-1].version

    def names(self) -> list[str]:
        """Names that are served."""
        return [name for name in self._periods if self.present(name) is not None]

    def begin(self, name: str, version: str | None) -> None:
        """Note a change that is about to be asked for."""
        with self._lock:
            self._periods[name].append(Period(version, time.monotonic()))

    def finish(self, name: str) -> None:
        """Note the answer: the former model takes no more requests."""
        with self._lock:
            self._periods[name][-2].ended = time.monotonic()

    def withdraw(self, name: str) -> None:
        """Note that the change was refused."""
        with self._lock:
            self._periods[name].pop()

    def versions(self, name: str, began: float, ended: float) -> list[str]:
        """Models that may have answered a request of that time; several while they change."""
        return sorted({period.version for period in self._touched(name, began, ended) if period.version is not None})

    def may_lack(self, name: str, began: float, ended: float) -> bool:
        """True if there may have been no model of that name."""
        return any(period.version is None for period in self._touched(name, began, ended))

    def _touched(self, name: str, began: float, ended: float) -> Iterator[Period]:
        with self._lock:
            return iter([period for period in self._periods.get(name, []) if period.touches(began, ended)])


class Swapper:
    """Thread that replaces, removes and adds models by the requests of an admin, one after another."""

    def __init__(self, url: str, token: str, versions: Mapping[str, Sequence[str]], timetable: Timetable) -> None:
        self.url, self.versions, self.timetable = url, versions, timetable
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._headers = {"Authorization": f"Bearer {token}"}
        self._chance = random.Random(3)
        self._stops = threading.Event()
        self._server_ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._thread.start()

    def note_end(self) -> None:
        """Take no answer for no fault: the server has been told to end."""
        self._server_ends.set()

    def stop(self) -> None:
        self._stops.set()
        self._thread.join(120)

    def _run(self) -> None:
        with httpx.Client(base_url=self.url, headers=self._headers, timeout=120) as client:
            while not self._stops.wait(self._chance.uniform(0.5, 1.5) * self._pause_seconds):
                try:
                    self._change(client)
                except httpx.HTTPError as problem:
                    if self._server_ends.is_set():
                        return
                    self.problems.append(f"a change of the models: {problem!r}")

    def _change(self, client: httpx.Client) -> None:
        """Remove a model, or add one: in the place of the present one, or where one was removed."""
        served = self.timetable.names()
        absent = sorted(self.versions.keys() - set(served))
        name = self._chance.choice(absent or sorted(self.versions))
        present = self.timetable.present(name)
        if present is not None and len(served) > 1 and self._chance.random() < SHARE_OF_REMOVALS:
            self.timetable.begin(name, None)
            kind, response = "removed", client.delete(f"/v1/models/{name}")
        else:
            version = self._chance.choice([version for version in self.versions[name] if version != present])
            self.timetable.begin(name, version)
            kind = "added" if present is None else "replaced"
            response = client.post("/v1/models", json={"name": name, "path": version})
        is_done = response.status_code == (201 if kind == "added" else 200)
        self.counts[kind if is_done else f"{kind}: {response.status_code}"] += 1
        if is_done:
            self.timetable.finish(name)
        else:
            self.timetable.withdraw(name)
            if not self._server_ends.is_set():
                self.problems.append(f"a model {kind}: {response.status_code} {response.text[:200]}")
