"""Manifest, split and the batches of an epoch for tables of up to a million clips: seconds and memory, by size.

    python benchmarks/scale.py [--clips 1000000] [--speakers 2000]

Each size runs in a process of its own, so that its peak of memory is its own. Two sizes below the largest show
whether time grows in proportion.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FRAMES_PER_SECOND = 50


def write(table: Path, clips: int, speakers: int) -> None:
    """Clips as sections of recordings, so that each one's duration is known without opening it."""
    from affetto.corpora.labels import EMOTIONS

    random = np.random.default_rng(0)
    seconds = random.uniform(1, 6, clips).round(2)
    who, what = random.integers(0, speakers, clips), random.integers(0, len(EMOTIONS), clips)
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "emotion", "speaker", "gender", "start", "end"])
        for n in range(clips):
            rows.writerow([f"audio/{n}.wav", EMOTIONS[what[n]], f"s{who[n]}", "mf"[who[n] % 2], 0, seconds[n]])


def measure(table: Path) -> dict[str, float]:
    from affetto.corpora.registry import open_corpus
    from affetto.splits.protocols import make_split
    from affetto.training.batches import plan

    started = time.perf_counter()
    manifest = open_corpus("table", table)
    read = time.perf_counter()
    split = make_split(manifest, "paper", 0)
    parted = time.perf_counter()
    frames = {clip.id: int(((clip.end or 0) - (clip.start or 0)) * FRAMES_PER_SECOND) for clip in manifest.clips}
    batches = plan(split.folds[0].train, frames, 32, 16, 0, 0)
    done = time.perf_counter()
    kilobyte = 1024 if sys.platform != "darwin" else 1
    return {
        "clips": len(manifest.clips),
        "batches": len(batches),
        "manifest_seconds": read - started,
        "split_seconds": parted - read,
        "batches_seconds": done - parted,
        "seconds": done - started,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte / 1e9,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=int, default=1_000_000)
    options.add_argument("--speakers", type=int, default=2000)
    options.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.table:
        print(json.dumps(measure(chosen.table)))
        return
    for clips in (chosen.clips // 100, chosen.clips // 10, chosen.clips):
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "clips.csv"
            write(table, clips, chosen.speakers)
            done = subprocess.run([sys.executable, __file__, "--table", str(table)], stdout=subprocess.PIPE, check=True)
        result = {name: round(value, 3) for name, value in json.loads(done.stdout).items()}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
