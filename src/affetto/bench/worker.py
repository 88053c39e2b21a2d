"""One side of a comparison in a process of its own, with memory of its own: a command a line, an answer a line."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

from affetto.quiet import quiet_transformers


def main() -> None:
    """`argv[1]` is the task as JSON; see `affetto.bench.compare.Task`."""
    task = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to stderr
    with tempfile.TemporaryDirectory(prefix="affetto-bench-") as folder:
        os.environ["AFFETTO_CACHE"] = folder
        with quiet_transformers():
            _serve(_side(task, Path(folder)), answers)


def _serve(side: Any, answers: TextIO) -> None:
    """Measure for each command on standard input, a JSON list of a name and arguments, and write the answer."""
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        _reset_peak()
        value = getattr(side, name)(*arguments)
        print(json.dumps({"value": value, "peak_bytes": _peak_bytes()}), file=answers, flush=True)


def _side(task: dict[str, Any], folder: Path) -> Any:
    import torch

    if task.get("threads"):
        torch.set_num_threads(task["threads"])
    from affetto.bench import ours, yardstick
    from affetto.bench.clips import waves

    clips = waves(task["clips"], task["window_seconds"])
    key, method = task["backbone"], task["method"]
    size_and_precision = {"batch_size": task["batch_size"], "precision": task["precision"]}
    if task["side"] == "yardstick":
        return yardstick.Yardstick(key, method, clips, window_seconds=task["pad_seconds"], **size_and_precision)
    if task["side"] == "ours":
        return ours.Ours(key, method, clips, folder=folder, **size_and_precision)
    if task["side"] == "pipeline":
        return yardstick.Pipeline(key, clips, task["batch_size"])
    return ours.OurPipeline(key, method, clips, task["precision"])


def _reset_peak() -> None:
    """Set the peak of memory back to its present use: torch's on a GPU, else Linux's of the process."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_bytes() -> int:
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    except OSError:
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
