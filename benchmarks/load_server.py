"""The server of the load test (`load.py`) as a process: how it starts, its memory, its log and its end."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

MAX_MEGABYTES, MAX_SECONDS = 1, 20
UPLOAD_SECONDS = 60
"""Time limit of an upload; a hello has a sixth, which a client on a busy machine may need."""
WATCHING_SECONDS = 0.5
ENDING_SECONDS = 300
"""Time that the server has to end after the signal."""


class Server:
    """`affetto serve` with the first model of each name, and an admin who may change them."""

    def __init__(self, versions: Mapping[str, Sequence[str]], folder: Path) -> None:
        self.log = folder / "log.jsonl"
        self.admin_token = secrets.token_hex(16)
        self.has_page = importlib.util.find_spec("gradio") is not None
        command = [sys.executable, "-m", "affetto", "serve"]
        command += [f"{name}={folder / group[0]}" for name, group in versions.items()]
        command += ["--models-folder", str(folder), "--port", "0", "--device", "cpu"]
        command += ["--max-megabytes", str(MAX_MEGABYTES), "--max-seconds", str(MAX_SECONDS)]
        command += ["--upload-seconds", str(UPLOAD_SECONDS), *([] if self.has_page else ["--no-page"])]
        environment = os.environ | {"AFFETTO_ADMIN_TOKEN": self.admin_token}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.search(r"http://\S+", line)
        if not match:
            raise SystemExit(f"the server did not start: {line}{self.log.read_text()}")
        self.url = match[0]
        self.memory: list[tuple[int, float]] = []
        """Number of requests that were done, and resident megabytes."""
        self._stops = threading.Event()

    def watch(self, progress: Callable[[], int]) -> None:
        """Note the memory twice a second, on Linux; `progress` gives the number of requests that are done."""
        status = Path(f"/proc/{self.process.pid}/status")

        def look() -> None:
            while not self._stops.wait(WATCHING_SECONDS) and status.exists():
                match = re.search(r"VmRSS:\s+(\d+)", status.read_text())
                if match:
                    self.memory.append((progress(), int(match[1]) / 1024))

        threading.Thread(target=look, daemon=True).start()

    def stop_watching(self) -> None:
        self._stops.set()

    def memory_by_quarter(self) -> list[float | None]:
        """Median of the memory, MB, in each quarter of the requests; None where it was not measured."""
        last = max((done for done, _ in self.memory), default=0)
        quarters: list[list[float]] = [[], [], [], []]
        for done, megabytes in self.memory:
            quarters[min(3, int(4 * done / max(1, last)))].append(megabytes)
        return [round(median(values), 1) if values else None for values in quarters]

    def wait(self) -> tuple[int, list[dict[str, Any]]]:
        """Wait for the end after a signal. Returns the exit status and the log."""
        status = self.process.wait(ENDING_SECONDS)
        return status, [json.loads(line) for line in self.log.read_text().splitlines()]
