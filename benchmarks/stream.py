"""Latency of a stream: from a window's last sample to its answer, as a client measures it.

    python benchmarks/stream.py --model RUN clip.wav [clip.wav …] [--pause 1.0] [--bound-ms 300]

Starts `affetto serve` on the loopback interface, sends the clips with pauses between them as somebody speaks them, in
messages of 20 ms, and notes when the answer of each window comes. The window that ends a stretch of speech is known as
such only after a pause of half a second, so that those are a figure of their own. A window that ends in a shorter pause
waits until the speech goes on: the 95th percentile shows those, and the bound is one of the median. Prints a line of
JSON. Exit status 1 where the median of the windows within speech is above the bound, or there is none.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from affetto import audio

MESSAGE = 320
"""Samples in a message: 20 ms."""


def start_server(model: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a server of the model. Returns its process and address once it runs."""
    command = [sys.executable, "-m", "affetto", "serve", f"model={model}", "--port", "0", "--no-page"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if match := re.match(r"affetto serves at http(.*)", line):
            return process, f"ws{match[1].strip()}/v1/stream"
    raise SystemExit("the server did not start")


def speak(socket: ClientConnection, samples: np.ndarray, sent: list[float]) -> None:
    """Send samples, int16 (samples,), as they would be spoken; `sent` gets the time of each message."""
    began = time.monotonic()
    for start in range(0, len(samples), MESSAGE):
        part = samples[start : start + MESSAGE]
        time.sleep(max(0.0, began + (start + len(part)) / audio.RATE_HZ - time.monotonic()))
        sent.append(time.monotonic())
        socket.send(part.astype("<i2").tobytes())
    socket.send('{"type": "end"}')


def listen(socket: ClientConnection, sent: list[float]) -> tuple[list[tuple[float, float]], dict[str, Any]]:
    """Take all answers. Returns the end of each window in seconds with its latency in ms, and the last message."""
    windows, message = [], {}
    try:
        while True:
            message = json.loads(socket.recv())
            if message["type"] == "window":
                number = int(np.ceil(round(message["end"] * audio.RATE_HZ) / MESSAGE)) - 1
                windows.append((message["end"], 1000 * (time.monotonic() - sent[number])))
    except ConnectionClosed:
        return windows, message


def measure(url: str, samples: np.ndarray) -> dict[str, Any]:
    """Stream the samples once. Returns the figures."""
    with connect(url, compression=None, proxy=None) as socket:
        socket.send(json.dumps({"sample_rate": audio.RATE_HZ, "format": "pcm16", "windows": True}))
        assert json.loads(socket.recv())["type"] == "ready"
        sent: list[float] = []
        threading.Thread(target=speak, args=(socket, samples, sent), daemon=True).start()
        windows, end = listen(socket, sent)
    if end.get("type") != "end":
        raise SystemExit(f"the stream ended with {end}")
    # A segment may end within speech, but no window does so at the same sample, except by chance.
    ends = {segment["end"] for segment in end["segments"]}
    within = [latency for at, latency in windows if at not in ends]
    closing = [latency for at, latency in windows if at in ends]
    return {
        "seconds": end["seconds"],
        "segments": len(end["segments"]),
        "windows": len(windows),
        "within_speech_ms": percentiles(within),
        "at_a_pause_ms": percentiles(closing),
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and largest of values; none for no values."""
    if not values:
        return {}
    named = {"median": 50, "p95": 95, "max": 100}
    return {name: round(float(np.percentile(values, share)), 1) for name, share in named.items()}


def main() -> int:
    """Measure as the command line says. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+", help="files with speech")
    parser.add_argument("--model", type=Path, required=True, help="run, or folder of a model")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds of silence behind each clip (default: 1)")
    parser.add_argument("--bound-ms", type=float, default=300.0, help="bound of the median (default: 300)")
    options = parser.parse_args()
    silence = np.zeros(round(options.pause * audio.RATE_HZ), np.float32)
    wave = np.concatenate([part for clip in options.clips for part in (audio.load(clip), silence)])
    samples = np.clip(np.round(32768 * wave), -32768, 32767).astype(np.int16)
    process, url = start_server(options.model)
    try:
        figures = measure(url, samples)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    is_within = bool(figures["within_speech_ms"]) and figures["within_speech_ms"]["median"] <= options.bound_ms
    print(json.dumps({"model": options.model.name, **figures, "bound_ms": options.bound_ms, "is_within": is_within}))
    return 0 if is_within else 1


if __name__ == "__main__":
    raise SystemExit(main())
