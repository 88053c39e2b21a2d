"""Clients of the load test (`load.py`): threads that send requests, judge the answers, and count them."""

from __future__ import annotations

import queue
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.exceptions import WebSocketException

from load_cases import LATER, Judge, Session, send
from load_hostile import Hostile
from load_requests import STREAMS, Answer, Case

TIMEOUT_SECONDS = 180
LONGEST_SECONDS = 2 * 3600
NO_ANSWER = (httpx.HTTPError, OSError, WebSocketException)
MOST_ATTEMPTS = 2000


@dataclass
class Record:
    """Notes of all clients; a request's id is its number and its attempt."""

    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Answers by kind and by status or word."""
    wrong: list[str] = field(default_factory=list)
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Time from request to right answer, by kind."""
    answered: set[str] = field(default_factory=set)
    """Ids of honest attempts that got an answer."""
    unanswered: set[str] = field(default_factory=set)
    """Ids of honest attempts that got none, after the signal."""
    hostile: set[str] = field(default_factory=set)
    """Ids of hostile attempts."""
    beginnings: list[tuple[Case, Answer]] = field(default_factory=list)
    """Streams that the server ended early."""
    done: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, status: str, problem: str = "", seconds: float | None = None) -> None:
        with self._lock:
            self.counts[kind][status] += 1
            if problem:
                self.wrong.append(f"{kind}: {problem}")
                print(f"wrong: {kind}: {problem}", file=sys.stderr, flush=True)
            if seconds is not None:
                self.seconds[kind].append(seconds)

    def note_done(self) -> None:
        with self._lock:
            self.done += 1

    def counts_by_kind(self) -> dict[str, dict[str, int]]:
        return {kind: dict(sorted(self.counts[kind].items())) for kind in sorted(self.counts)}


class Crowd:
    """Clients of a server. `ending` is set once the server has been told to end: then no answer is no fault."""

    def __init__(self, url: str, count: int, judge: Judge) -> None:
        self.url, self.count, self.judge = url, count, judge
        self.record = Record()
        self.ending = threading.Event()
        self._numbers = iter(range(10**9))

    def run(self, cases: Iterable[Case | Hostile], seconds: float = LONGEST_SECONDS) -> None:
        """Send each request, again after a refusal for want of room, and wait for all answers.

        No request begins after `seconds`.
        """
        self._last = time.monotonic() + seconds
        todo: queue.SimpleQueue[tuple[int, Case | Hostile]] = queue.SimpleQueue()
        for case in cases:
            todo.put((next(self._numbers), case))
        threads = [threading.Thread(target=self._work, args=(todo, seed), daemon=True) for seed in range(self.count)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + LONGEST_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            self.record.wrong.append(f"clients still wait after {LONGEST_SECONDS} s")

    def _work(self, todo: queue.SimpleQueue[tuple[int, Case | Hostile]], seed: int) -> None:
        chance = random.Random(seed)
        with httpx.Client(base_url=self.url, timeout=TIMEOUT_SECONDS) as client:
            while time.monotonic() < self._last:
                try:
                    number, case = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    is_over = self._attempt_all(client, case, number, chance)
                except Exception as problem:
                    self.record.note(_kind(case), "a defect of the test or the answer", repr(problem)[:300])
                    is_over = False
                self.record.note_done()
                if is_over:
                    return

    def _attempt_all(self, client: httpx.Client, case: Case | Hostile, number: int, chance: random.Random) -> bool:
        """Send a request until it is answered. Returns True once the server has ended."""
        for attempt in range(MOST_ATTEMPTS):
            request_id = f"r{number}.{attempt}"
            try:
                if isinstance(case, Hostile):
                    code = self._attack(client, case, request_id)
                else:
                    code = self._ask(client, case, request_id)
            except NO_ANSWER as problem:
                if not isinstance(case, Hostile):
                    self.record.unanswered.add(request_id)
                is_refused = isinstance(problem, (httpx.ConnectError, ConnectionRefusedError))
                fault = "" if self.ending.is_set() else f"no answer: {problem!r}"[:300]
                self.record.note(_kind(case), "no answer", fault)
                return self.ending.is_set() and is_refused
            if code not in LATER:
                return False
            time.sleep(chance.uniform(0.2, 1.2))  # Retry-After is a second at least
        self.record.note(_kind(case), "given up", "always refused for want of room")
        return False

    def _ask(self, client: httpx.Client, case: Case, request_id: str) -> str:
        """Send an honest request. Returns the code of its refusal, "" for none."""
        answer = send(Session(self.url, client), case, request_id)
        self.record.answered.add(request_id)
        status = f"{answer.status} {answer.code}".strip()
        if self.ending.is_set() and self._is_ended(case, answer):
            self.record.note(case.kind, f"{status}, as the server ended")
            return ""
        problem = self.judge.problem(case, answer)
        seconds = answer.ended - answer.began if answer.status == 200 and not problem else None
        if problem:
            recordings = ", ".join(recording.name for recording in case.recordings)
            problem = f"{case.model} {recordings}: {problem}; {status} {str(answer.body)[:300]}"
        self.record.note(case.kind, status, problem, seconds)
        return answer.code

    def _is_ended(self, case: Case, answer: Answer) -> bool:
        """True for an answer that the end of the server explains."""
        if case.kind in STREAMS and answer.status == 200 and answer.close == 1012:
            self.record.beginnings.append((case, answer))
            return True
        is_read = case.path == "/readyz" and answer.status == 503
        # A stream of which less than 0.1 s had come.
        is_empty = case.kind in STREAMS and answer.code == "unusable_audio"
        return is_read or is_empty or answer.code == "ending"

    def _attack(self, client: httpx.Client, case: Hostile, request_id: str) -> str:
        """Send a hostile request. Returns the code of a refusal for want of room, else ""."""
        self.record.hostile.add(request_id)
        word = case.send(self.url, client, request_id)
        is_expected = word in case.words or word in LATER
        if self.ending.is_set():
            is_expected = is_expected or word in (
                "ending",
                "close code 1012",
                "close code 0",
                "cut off",
                "unusable_audio",
            )
        problem = "" if is_expected else f"{case.name}: {word!r} in place of {case.words}"
        self.record.note("hostile", word, problem)
        return word if word in LATER else ""


def _kind(case: Case | Hostile) -> str:
    return "hostile" if isinstance(case, Hostile) else case.kind


def percentiles(values: list[float]) -> dict[str, Any]:
    """Median, 95th and 99th percentile and largest of times in seconds."""
    ranked = sorted(values)
    return {str(share): round(ranked[int(share * (len(ranked) - 1))], 3) for share in (0.5, 0.95, 0.99, 1)}
