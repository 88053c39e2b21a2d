"""A server under load: mixed requests of many clients while models change, then a signal in the middle of it.

    python benchmarks/load.py [--requests 10000] [--clients 64] [--model RUN …] [--quick] [--out load.json]

Starts `affetto serve` with three models on the loopback interface. Clients send files, chunks, forms, batches and
streams, and 5 % of what no honest client sends, while an admin replaces, removes and adds models. Each answer must be
the offline prediction of a model that served under its name at that time; no status is 5xx but a deliberate 503; the
memory is flat. Then SIGTERM comes while all clients are busy: each request that the server has accepted is answered,
streams get the result of what had come, and the exit status is 0. Without `--model` the models are small, with random
weights. Speech is made by espeak-ng (extra `demo`). Exit status 1 if anything does not hold.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from load_cases import TOLERANCE, Judge, choose
from load_clients import Crowd, percentiles
from load_hostile import Hostile, hostile_cases
from load_models import Clip, Offline, Talk, copy_models, make_clips, make_talks, write_small_models
from load_requests import Case
from load_server import Server
from load_swaps import Swapper, Timetable

HOSTILE_SHARE = 0.05
ENDING_SHARE = 0.05
"""Share of the requests that are sent again while the signal comes."""
FEWEST_AT_THE_END = 100
STREAM_SHARE_AT_THE_END = 0.3
LARGEST_GROWTH = 0.05
"""Largest growth of the memory from the second quarter of the requests to the last."""
REPORT_SECONDS = 30
QUICK_REQUESTS, QUICK_CLIENTS = 150, 16


@dataclass
class Mix:
    """Recordings and hostile requests, of which each request is chosen."""

    models: Sequence[str]
    clips: Sequence[Clip]
    talks: Sequence[Talk]
    hostile: Sequence[Hostile]
    has_page: bool

    def choose(self, count: int, seed: int, stream_share: float = 0.0) -> Iterator[Case | Hostile]:
        """Choose requests. `stream_share`: share of streams at the pace of speech beside the others."""
        chance = random.Random(seed)
        for _ in range(count):
            if stream_share and chance.random() < stream_share:
                talk, model = chance.choice(self.talks), chance.choice(["", *self.models])
                yield Case("stream", (talk,), model, seed=chance.randrange(1000), is_spoken=True)
            elif chance.random() < HOSTILE_SHARE:
                yield chance.choice(self.hostile)
            else:
                yield choose(chance, self.models, self.clips, self.talks, has_page=self.has_page)


@dataclass(frozen=True)
class Size:
    """Size of a test. `pause_seconds`: between two changes of the models, on average."""

    requests: int
    clients: int
    pause_seconds: float
    most_seconds: float
    """Time after which no request begins but those at the end."""


def measure(versions: dict[str, list[str]], folder: Path, size: Size) -> dict[str, Any]:
    """Run the test."""
    draw = np.random.default_rng(0)
    talks, clips = make_talks(4, draw), make_clips(10, draw)
    offline = Offline(folder)
    offline.compute(versions, [*talks, *clips])
    timetable = Timetable.of(versions)
    judge = Judge(offline, timetable)
    server = Server(versions, folder)
    try:
        crowd = Crowd(server.url, size.clients, judge)
        swapper = Swapper(server.url, server.admin_token, versions, timetable)
        has_opus = importlib.util.find_spec("av") is not None
        mix = Mix(list(versions), clips, talks, hostile_cases(draw, has_opus=has_opus), server.has_page)
        server.watch(lambda: crowd.record.done)
        swapper.start(size.pause_seconds)
        began = time.monotonic()
        crowd.run(_reported(mix.choose(size.requests, 1), crowd), size.most_seconds)
        seconds, requests = time.monotonic() - began, crowd.record.done
        server.stop_watching()
        latency = {kind: percentiles(values) for kind, values in sorted(crowd.record.seconds.items())}
        answers = crowd.record.counts_by_kind()
        count = max(FEWEST_AT_THE_END, round(size.requests * ENDING_SHARE))
        ending = _end_under_load(server, crowd, swapper, mix.choose(count, 2, STREAM_SHARE_AT_THE_END))
    finally:
        server.process.kill()
    return {
        "requests": requests,
        "clients": size.clients,
        "seconds": round(seconds, 1),
        "answers": answers,
        "wrong": (crowd.record.wrong + swapper.problems)[:50],
        "largest_gap": judge.largest_gap,
        "smallest_gap_between_models": offline.smallest_gap(versions),
        "changes": dict(swapper.counts),
        "latency_seconds": latency,
        "memory_megabytes_by_quarter": server.memory_by_quarter(),
        "sigterm": ending,
    }


def _reported(cases: Iterator[Case | Hostile], crowd: Crowd) -> list[Case | Hostile]:
    """Return the cases; while their clients are at work, a line says twice a minute how far they are."""
    listed, began = list(cases), time.monotonic()

    def report() -> None:
        while crowd.record.done < len(listed) and not crowd.ending.wait(REPORT_SECONDS):
            wrong, seconds = len(crowd.record.wrong), time.monotonic() - began
            print(f"{crowd.record.done} of {len(listed)}, {wrong} wrong, {seconds:.0f} s", file=sys.stderr, flush=True)

    threading.Thread(target=report, daemon=True).start()
    return listed


def _end_under_load(server: Server, crowd: Crowd, swapper: Swapper, cases: Iterator[Case | Hostile]) -> dict[str, Any]:
    """Send the signal once a quarter of these cases is answered. Returns who was answered after it, and who was not."""
    again = list(cases)
    before = crowd.record.done
    counts = {kind: dict(counter) for kind, counter in crowd.record.counts.items()}

    def end_it() -> None:
        while crowd.record.done < before + len(again) // 4:
            time.sleep(0.001)
        crowd.ending.set()
        swapper.note_end()
        server.process.send_signal(signal.SIGTERM)

    thread = threading.Thread(target=end_it, daemon=True)
    thread.start()
    crowd.run(again)
    swapper.stop()
    status, log = server.wait()
    record = crowd.record
    for case, answer in record.beginnings:
        problem = crowd.judge.beginning_problem(case, answer)
        if problem:
            record.wrong.append(f"a stream that ended early: {problem}")
    requests = [line for line in log if line["event"] == "request"]
    ended: dict[str, Any] = next((line for line in reversed(log) if line["event"] == "ended"), {})
    ids = {line["id"] for line in requests}
    accepted = [line for line in requests if line["path"].startswith("/v1/")]
    return {
        "exit_status": status,
        "answers": {
            kind: {word: n - counts.get(kind, {}).get(word, 0) for word, n in counter.items()}
            for kind, counter in sorted(record.counts.items())
        },
        "accepted": ended.get("accepted"),
        "answered": ended.get("answered"),
        "logged": len(accepted),
        "clients_that_left": sum(bool(line.get("client_left")) for line in accepted),
        "honest_clients_that_left": [
            line["id"] for line in requests if line.get("client_left") and line["id"] not in record.hostile
        ],
        "lost": sorted(record.unanswered & ids),
        "never_accepted": len(record.unanswered - ids),
        "streams_ended_early": len(record.beginnings),
        "defects": [line for line in log if line["event"] == "defect" or "traceback" in line][:3],
        "errors": [line for line in log if line["level"] == "error"][:3],
        "server_errors": sorted(
            {f"{line['status']} {line.get('error')}" for line in requests if (line["status"] or 0) >= 500}
        ),
    }


def failures(figures: dict[str, Any]) -> list[str]:
    """Say what does not hold."""
    end, memory = figures["sigterm"], figures["memory_megabytes_by_quarter"]
    _, warm, _, late = memory
    deliberate = {"503 queue_full", "503 ending", "503 None"}
    checks = {
        f"wrong answers: {figures['wrong'][:3]}": not figures["wrong"],
        f"models of one name are alike: {figures['smallest_gap_between_models']}": (
            figures["smallest_gap_between_models"] > 100 * TOLERANCE
        ),
        f"memory grew: {memory}": not (warm and late) or late <= (1 + LARGEST_GROWTH) * warm,
        f"statuses {end['server_errors']}": set(end["server_errors"]) <= deliberate,
        f"lost: {end['lost'][:3]}": not end["lost"] and not end["honest_clients_that_left"],
        f"accepted and not answered: {end}": (
            end["accepted"] == end["logged"] and 0 <= end["accepted"] - end["answered"] <= end["clients_that_left"]
        ),
        f"exit status {end['exit_status']}": end["exit_status"] == 0,
        f"defects: {end['defects']} {end['errors']}": not end["defects"] and not end["errors"],
    }
    return [problem for problem, holds in checks.items() if not holds]


def main() -> None:
    """Run the test as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="requests before the signal (default: 10000)")
    parser.add_argument("--clients", type=int, default=64, help="clients at once (default: 64)")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between two changes of models (default: 5)")
    parser.add_argument("--minutes", type=float, default=120, help="no more requests after these (default: 120)")
    parser.add_argument("--model", type=Path, action="append", help="a run's folder; two at least, may be repeated")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_REQUESTS} requests of {QUICK_CLIENTS} clients")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    options = parser.parse_args()
    requests, clients = (QUICK_REQUESTS, QUICK_CLIENTS) if options.quick else (options.requests, options.clients)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        versions = copy_models(options.model, folder) if options.model else write_small_models(folder)
        figures = measure(versions, folder, Size(requests, clients, options.pause, 60 * options.minutes))
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    problems = failures(figures)
    for problem in problems:
        print(f"does not hold: {problem}", file=sys.stderr)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
