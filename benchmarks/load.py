"""A server under load: many clients, some of whose uploads are broken or too large, then a signal in the middle of it.

    python benchmarks/load.py [--requests 10000] [--clients 32] [--model RUN …] [--out load.json]

Starts `affetto serve` on the loopback interface and checks that each answer is the offline prediction, that nothing is
answered with 5xx but a deliberate 503, and that the server's memory is flat; then it sends SIGTERM while all clients
are busy and checks that every request that was accepted was answered and that the server exits with 0. Without
`--model` two small models with random weights share a backbone. Exit status 1 if anything does not hold.
"""

from __future__ import annotations

import argparse
import io
import json
import queue
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import soundfile

TOLERANCE = 1e-5
"""Of a probability in float32: padding and the number of threads change the last digits."""
BROKEN_SHARE = 0.05
MAX_MEGABYTES, MAX_SECONDS = 1, 20
LONGEST_MINUTES = 30
ENDING_SHARE = 0.05
"""So many requests again run while the signal comes."""


@dataclass(frozen=True)
class Case:
    """A body, how it is sent, and what must come back: probabilities, or a status."""

    name: str
    content: bytes
    kind: str = "audio/wav"
    model: str = ""
    status: int = 200
    probabilities: dict[str, float] = field(default_factory=dict)
    streamed: bool = False


# -- what is sent ---------------------------------------------------------------------------------------------------


def small_models(folder: Path) -> dict[str, Path]:
    """Two models with random weights on one backbone, a LoRA and a frozen one."""
    import torch

    from affetto.backbones.checkpoints import load_backbone
    from affetto.corpora.labels import EMOTIONS
    from affetto.models.saved import assemble, save_classifier

    made = {}
    for name, settings in (("lora", {"alpha": 8.0}), ("frozen", {})):
        torch.manual_seed(0)
        backbone = load_backbone("whisper-mini", random_weights=True)
        digest = backbone.weights_digest()
        plan = {
            "labels": list(EMOTIONS),
            "method": {"name": name, "first_block": 0, "settings": settings},
            "pooling": {"kind": "mean", "layer": None, "state_norm": "none"},
            "head": {"name": "paper", "width": 32, "dropout": 0.0, "unmasked_mean": False},
        }
        classifier = assemble(backbone, plan).eval()
        with torch.no_grad():
            for parameter in classifier.trainable().values():
                parameter.add_(0.2 * torch.randn(parameter.shape))
        known = {"name": "whisper-mini", "digest": digest, "random_weights": True, "weights_seed": 0}
        card = {
            "blueprint": plan,
            "audio": {"seconds": 2.0},
            "precision": "float32",
            "backbone": known,
            "synthetic": True,
        }
        save_classifier(classifier, folder / name, card)
        made[name] = folder / name
    return made


def good_cases(models: dict[str, Path], folder: Path, draw: np.random.Generator) -> list[Case]:
    """Clips in several formats, rates and lengths, each with the offline prediction of each model."""
    from affetto import load

    formats = (
        ("WAV", "PCM_16", "audio/wav"),
        ("WAV", "FLOAT", "audio/x-wav"),
        ("FLAC", None, "audio/flac"),
        ("OGG", None, "application/ogg"),
        ("MP3", None, "audio/mpeg"),
    )
    files = []
    for number in range(20):
        rate_hz = (16_000, 44_100, 48_000, 8_000)[number % 4]
        format_, subtype, kind = formats[number % 5]
        wave = 0.2 * draw.standard_normal((round(rate_hz * draw.uniform(0.3, 3)), 1 + number % 2))
        file = folder / f"clip{number}.{format_.lower()}"
        soundfile.write(file, np.cumsum(wave, axis=0) % 1 - 0.5, rate_hz, format=format_, subtype=subtype)
        files.append((file, kind))
    cases = []
    for name, model in models.items():
        predictor = load(model, device="cpu")
        for file, kind in files:
            content, found = file.read_bytes(), predictor(file).probabilities
            cases.append(Case(file.name, content, kind, name, probabilities=found))
            cases.append(Case(f"{file.name}, form", content, "form", name, probabilities=found))
    return cases


def bad_cases(draw: np.random.Generator) -> list[Case]:
    """What is no audio, broken, too large or too long, and the status that it deserves."""
    noise = (0.1 * draw.standard_normal(16_000)).astype(np.float32)
    nan = noise.copy()
    nan[100] = np.nan
    flac = encode(noise, format="FLAC", subtype="PCM_16")
    large = bytes(3_000_000)
    return [
        Case("text", b"not a sound", status=415),
        Case("nothing", b"", status=422),
        Case("text as a form", b"not a sound", "form", status=415),
        Case("json", b"{}", "application/json", status=415),
        Case("truncated wav", encode(noise)[:3000], status=422),
        Case("truncated flac", flac[:9000], status=422),
        Case("nan", encode(nan), status=422),
        Case("one sample", encode(noise[:1]), status=422),
        Case("8 hours in a header", _hours(), status=413),
        Case("no form", b"--x", "multipart/form-data", status=400),
        Case("too large", large, status=413),
        Case("too large, form", large, "form", status=413),
        Case("too large, unannounced", large, status=413, streamed=True),
        Case("no such model", encode(noise), model="nobody", status=404),
    ]


def encode(wave: np.ndarray, rate_hz: int = 16_000, **options: Any) -> bytes:
    """A file of the samples, WAV by default."""
    made = io.BytesIO()
    soundfile.write(made, wave, rate_hz, **{"format": "WAV", "subtype": "FLOAT"} | options)
    return made.getvalue()


def _hours() -> bytes:
    """Silence packs so well that 8 hours are 400 kB."""
    made = io.BytesIO()
    with soundfile.SoundFile(made, "w", 1000, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(8):
            file.write(np.zeros(3_600_000, np.int16))
    return made.getvalue()


# -- who sends ------------------------------------------------------------------------------------------------------


class Clients:
    """Threads that send cases until there are none left, and count what comes back."""

    def __init__(self, url: str, count: int) -> None:
        self.url, self.count = url, count
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.worst = 0.0
        self.answers = 0
        self.seconds: list[float] = []
        self._lock = threading.Lock()

    def run(self, cases: Iterator[Case], *, ending: threading.Event | None = None) -> None:
        """Send every case once (again after a 503). With `ending`, stop when it is set and the server has gone."""
        todo: queue.SimpleQueue[Case] = queue.SimpleQueue()
        for case in cases:
            todo.put(case)
        threads = [threading.Thread(target=self._client, args=(todo, n, ending)) for n in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONGEST_MINUTES * 60)

    def _client(self, todo: queue.SimpleQueue[Case], number: int, ending: threading.Event | None) -> None:
        chance = random.Random(number)
        with httpx.Client(timeout=120) as client:
            while True:
                try:
                    case = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    self._send(client, case, chance)
                except httpx.HTTPError as problem:
                    with self._lock:
                        self.counts[f"no answer ({type(problem).__name__})"] += 1
                        if ending is None or not ending.is_set():
                            self.wrong.append(f"{case.name}: {problem!r}")
                    if ending is not None and isinstance(problem, httpx.ConnectError):
                        return

    def _send(self, client: httpx.Client, case: Case, chance: random.Random) -> None:
        while True:
            started = time.monotonic()
            response = client.post(f"{self.url}/v1/predict", **_parts(case))
            with self._lock:
                self.seconds.append(time.monotonic() - started)
                self.answers += 1
                self.counts[str(response.status_code)] += 1
                self._check(case, response)
            if response.status_code != 503:
                return
            time.sleep(chance.uniform(0.01, 0.1))

    def _check(self, case: Case, response: httpx.Response) -> None:
        body = response.json()
        if response.status_code == 503:
            fair = body["error"] == "queue_full" and int(response.headers["Retry-After"]) >= 1
        elif response.status_code != case.status:
            fair = False
        elif case.status == 200:
            gap = max(abs(body["probabilities"][label] - p) for label, p in case.probabilities.items())
            self.worst = max(self.worst, gap)
            best = max(case.probabilities, key=case.probabilities.__getitem__)
            fair = gap <= TOLERANCE and body["model"] == case.model and body["emotion"] == best
        else:
            fair = bool(body["message"]) and body.keys() == {"error", "message"}
        if not fair:
            self.wrong.append(f"{case.name}: {response.status_code} {response.text[:200]}")


def _parts(case: Case) -> dict[str, Any]:
    options: dict[str, Any] = {"params": {"model": case.model} if case.model else {}}
    if case.kind == "form":
        return options | {"files": {"file": ("../../x.wav", case.content)}}
    content: Any = case.content
    if case.streamed:
        content = (case.content[at : at + 65_536] for at in range(0, len(case.content), 65_536))
    return options | {"content": content, "headers": {"Content-Type": case.kind}}


# -- the server -----------------------------------------------------------------------------------------------------


class Server:
    """`affetto serve` as a process of its own, and its memory over time."""

    def __init__(self, models: dict[str, Path], folder: Path, *, max_seconds: float = MAX_SECONDS) -> None:
        self.log = folder / "log.jsonl"
        named = [f"{name}={path}" for name, path in models.items()]
        command = [
            sys.executable,
            "-m",
            "affetto",
            "serve",
            *named,
            "--port",
            "0",
            "--max-megabytes",
            str(MAX_MEGABYTES),
            "--max-seconds",
            str(max_seconds),
            "--device",
            "cpu",
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"http://\S+", said)
        if not found:
            raise SystemExit(f"the server did not start: {said}{self.log.read_text()}")
        self.url = found[0]
        self.memory: list[tuple[float, float]] = []
        self._watching = threading.Event()

    def watch(self, progress: Callable[[], float]) -> None:
        """Note resident megabytes and the share that is done, twice a second; Linux only."""

        def look() -> None:
            status = Path(f"/proc/{self.process.pid}/status")
            while not self._watching.wait(0.5) and status.exists():
                found = re.search(r"VmRSS:\s+(\d+)", status.read_text())
                if found:
                    self.memory.append((progress(), int(found[1]) / 1024))

        threading.Thread(target=look, daemon=True).start()

    def stop_watching(self) -> None:
        self._watching.set()

    def end(self) -> dict[str, Any]:
        """Wait for its end after a signal; what it said last."""
        status = self.process.wait(120)
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        ended: dict[str, Any] = next((line for line in reversed(lines) if line["event"] == "ended"), {})
        defects = sum(line["event"] == "defect" for line in lines)
        return {
            "exit_status": status,
            "accepted": ended.get("accepted"),
            "answered": ended.get("answered"),
            "defects": defects,
        }


# -- the measurement ------------------------------------------------------------------------------------------------


def plan(good: list[Case], bad: list[Case], count: int, seed: int) -> Iterator[Case]:
    chance = random.Random(seed)
    for _ in range(count):
        yield chance.choice(bad if chance.random() < BROKEN_SHARE else good)


def measure(models: dict[str, Path], folder: Path, requests: int, clients: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    good, bad = good_cases(models, folder, draw), bad_cases(draw)
    server = Server(models, folder)
    try:
        crowd = Clients(server.url, clients)
        server.watch(lambda: crowd.answers / requests)
        started = time.monotonic()
        crowd.run(plan(good, bad, requests, 1))
        seconds = time.monotonic() - started
        server.stop_watching()
        ending = _end_under_load(server, crowd, plan(good, bad, max(100, round(requests * ENDING_SHARE)), 2))
    finally:
        server.process.kill()
    warm = [mb for done, mb in server.memory if 0.1 <= done <= 0.3]
    late = [mb for done, mb in server.memory if done >= 0.8]
    times = sorted(crowd.seconds)
    return {
        "requests": requests,
        "clients": clients,
        "answers": dict(crowd.counts),
        "wrong": crowd.wrong[:20],
        "largest_difference": crowd.worst,
        "seconds": round(seconds, 1),
        "latency_seconds": {str(q): round(times[int(q * (len(times) - 1))], 3) for q in (0.5, 0.95, 0.99, 1)},
        "memory_megabytes": {
            "after 10 to 30 %": round(median(warm), 1) if warm else None,
            "after 80 %": round(median(late), 1) if late else None,
        },
        "sigterm": ending,
    }


def _end_under_load(server: Server, crowd: Clients, cases: Iterator[Case]) -> dict[str, Any]:
    """The signal comes as soon as a quarter has been answered again."""
    again = list(cases)
    before, ending = crowd.answers, threading.Event()

    def signal_it() -> None:
        while crowd.answers < before + len(again) // 4:
            time.sleep(0.001)
        ending.set()
        server.process.send_signal(signal.SIGTERM)

    thread = threading.Thread(target=signal_it, daemon=True)
    thread.start()
    crowd.run(iter(again), ending=ending)
    return server.end() | {
        "received": crowd.answers,
        "answers_after_the_signal": crowd.answers - before - len(again) // 4,
    }


def failures(found: dict[str, Any]) -> list[str]:
    """What does not hold."""
    memory, end = found["memory_megabytes"], found["sigterm"]
    warm, late = memory["after 10 to 30 %"], memory["after 80 %"]
    checks = {
        f"wrong: {found['wrong'][:3]}": not found["wrong"],
        f"answers {found['answers']}": not [s for s in found["answers"] if s.startswith("5") and s != "503"],
        f"memory grew: {memory}": not (warm and late) or late < 1.1 * warm + 10,
        f"accepted requests were lost: {end}": end["accepted"] == end["answered"] == end["received"],
        f"exit status {end['exit_status']}": end["exit_status"] == 0,
        f"{end['defects']} defects": not end["defects"],
    }
    return [problem for problem, holds in checks.items() if not holds]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--clients", type=int, default=32)
    options.add_argument("--model", type=Path, action="append", help="a run's folder; may be repeated")
    options.add_argument("--out", type=Path, help="a JSON file for the result")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = {path.name: path for path in chosen.model or []} or small_models(Path(folder))
        found = measure(models, Path(folder), chosen.requests, chosen.clients)
    text = json.dumps(found, indent=2)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n")
    problems = failures(found)
    for problem in problems:
        print(f"does not hold: {problem}", file=sys.stderr)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
