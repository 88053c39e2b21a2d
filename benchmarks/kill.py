"""A real grid killed at many random moments, and its numbers beside those of an undisturbed one.

    python benchmarks/kill.py [--kills 25] [--seed 0]

Six runs (frozen and LoRA, three seeds) on a small synthetic EMOVO with a small random backbone, two workers. SIGKILL
goes to the launcher or to one of its workers, by chance, up to 5 s after a run was taken up; then the launcher is
started again, and again, until the kills are used up, in a new folder whenever a grid was done before its kill. At the
end each folder's grid is completed and every metrics.json compared: all of it, but for times, memory and provenance.
Exit status 1 if one differs.
Needs the extra `demo` (espeak-ng) and Linux (/proc).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GRID = """
axes:
  backbone: whisper-mini
  corpus: emovo
  method: [frozen, lora]
  seed: [0, 1, 2]
  split: paper
  random_weights: true
  compute.precision: float32
  training.epochs: 20
"""
VOLATILE = {"seconds", "wall_seconds", "peak_memory_bytes", "provenance"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=25)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ |= {"AFFETTO_CACHE": str(folder / "store"), "OMP_NUM_THREADS": "1"}
        sys.exit(_run(folder, chosen.kills, random.Random(chosen.seed)))


def _run(folder: Path, kills: int, chance: random.Random) -> int:
    from affetto.synthetic import registry as synthetic

    synthetic.make("emovo", folder / "emovo", speakers=6, clips=84)
    (folder / "grid.yaml").write_text(GRID)
    assert _start(folder, "undisturbed").wait() == 0
    expected = _numbers(folder / "undisturbed")
    killed = {"launcher": 0, "worker": 0}
    grids = 0
    while sum(killed.values()) < kills:
        out = f"killed-{grids}"
        started = time.time()
        process = _start(folder, out)
        while process.poll() is None and not _at_work(folder / out, started):
            time.sleep(0.02)
        try:
            process.wait(chance.uniform(0, 5))
            grids += 1  # done before it could be killed: a new one
            continue
        except subprocess.TimeoutExpired:
            pass
        children = _children(process.pid)
        target = chance.choice([process.pid, *children])
        who = "launcher" if target == process.pid else "worker"
        done = len(list((folder / out).glob("runs/*/metrics.json")))
        os.kill(target, signal.SIGKILL)
        killed[who] += 1
        print(f"kill {sum(killed.values())}: the {who}, with {done} of {len(expected)} runs done", flush=True)
        if who == "worker":
            time.sleep(chance.uniform(0, 6))  # the launcher tries its run again
        process.kill()
        process.wait()
    different = 0
    for n in range(grids + 1):
        if not (folder / f"killed-{n}").exists():
            continue
        # A run whose workers were killed twice is recorded as failed, as it should be.
        assert _start(folder, f"killed-{n}", "--retry-failed").wait() == 0
        found = _numbers(folder / f"killed-{n}")
        different += sum(found.get(name) != metrics for name, metrics in expected.items())
        left = [str(file) for file in (folder / f"killed-{n}").rglob("*.tmp")]
        different += len(left)
    print(
        json.dumps(
            {
                "kills": killed,
                "grids": grids + 1,
                "runs": len(expected),
                "different": different,
            }
        )
    )
    return int(different > 0)


def _start(folder: Path, out: str, *more: str) -> subprocess.Popen[bytes]:
    words = ["grid", "run", folder / "grid.yaml", "--out", folder / out, "--corpus", f"emovo={folder / 'emovo'}"]
    command = [sys.executable, "-m", "affetto", *map(str, words), "--workers", "2", "--device", "cpu", "--quiet", *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _at_work(out: Path, since: float) -> bool:
    """Whether a run has been taken up since then: each begins by writing its split."""
    return any(file.stat().st_mtime > since for file in out.glob("runs/*/split.json"))


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def _numbers(out: Path) -> dict[str, Any]:
    return {file.parent.name: _lasting(json.loads(file.read_text())) for file in out.glob("runs/*/metrics.json")}


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(one) for name, one in value.items() if name not in VOLATILE}
    return [_lasting(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
