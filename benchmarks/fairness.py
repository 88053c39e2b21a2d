"""A short clip beside a long recording: how much longer it waits for its answer than alone.

    python benchmarks/fairness.py [--model RUN] [--seconds 600] [--clip-seconds 2.9] [--repeats 5] [--out fairness.json]

Starts `affetto serve` on the loopback interface, measures a clip alone (median of the repeats), then begins a long
recording of silence, small as FLAC, and measures the clip again from time to time while the long one is at work. The
delay must stay below twice the clip's time alone. Without `--model` a small model with random weights is served.
Exit status 1 if that does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

from load import Server, encode, small_models

RATE_HZ = 16_000
MOST_DELAYS = 2.0
"""Delay of a clip, in times that it takes alone."""


def ask(url: str, content: bytes, limit_seconds: float = 600) -> float:
    """Seconds to the answer of a recording."""
    started = time.monotonic()
    answer = httpx.post(
        f"{url}/v1/predict", content=content, headers={"Content-Type": "audio/flac"}, timeout=limit_seconds
    )
    answer.raise_for_status()
    return time.monotonic() - started


def measure(url: str, seconds: float, clip_seconds: float, repeats: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    clip = encode(0.1 * draw.standard_normal(round(clip_seconds * RATE_HZ)), format="FLAC", subtype="PCM_16")
    silence = encode(np.zeros(round(seconds * RATE_HZ), np.float32), format="FLAC", subtype="PCM_16")
    alone = median(ask(url, clip) for _ in range(repeats))
    long_seconds: list[float] = []
    thread = threading.Thread(target=lambda: long_seconds.append(ask(url, silence)))
    thread.start()
    beside: list[float] = []
    while len(beside) < repeats and thread.is_alive():
        time.sleep(max(0.3, alone))
        beside.append(ask(url, clip))
    was_at_work = thread.is_alive()
    thread.join()
    delays = [(value - alone) / alone for value in beside]
    return {
        "long_seconds": seconds,
        "long_bytes": len(silence),
        "clip_seconds": clip_seconds,
        "alone_seconds": round(alone, 4),
        "beside_seconds": [round(value, 4) for value in beside],
        "delay_in_times_alone": {"median": round(median(delays), 3), "largest": round(max(delays), 3)},
        "long_answer_seconds": round(long_seconds[0], 2),
        "long_was_at_work": was_at_work,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, help="a run's folder")
    options.add_argument("--seconds", type=float, default=600.0)
    options.add_argument("--clip-seconds", type=float, default=2.9)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--out", type=Path, help="a JSON file for the result")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = {"model": chosen.model} if chosen.model else {"model": small_models(Path(folder))["lora"]}
        server = Server(models, Path(folder), max_seconds=chosen.seconds)
        try:
            result = measure(server.url, chosen.seconds, chosen.clip_seconds, chosen.repeats)
        finally:
            server.process.kill()
    text = json.dumps(result, indent=2)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n")
    holds = result["delay_in_times_alone"]["median"] < MOST_DELAYS
    if not holds:
        print(f"does not hold: the clip is delayed by {MOST_DELAYS:g} times its own time or more", file=sys.stderr)
    sys.exit(not holds)


if __name__ == "__main__":
    main()
