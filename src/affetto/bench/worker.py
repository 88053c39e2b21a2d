"""Process of one side: a command a line, an answer a line."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

from affetto.quiet import quiet_transformers


def main() -> None:
    """Serve until standard input ends. Whatever a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="affetto-bench-") as folder, quiet_transformers():
        serve(Path(folder), answers)


def serve(folder: Path, answers: TextIO) -> None:
    """Measure for each command on standard input, a JSON list of a name and arguments, and write the answer.

    The command `begin` has a task, see `affetto.bench.sides.Task`; it begins with an empty store below `folder`.
    """
    side: Any = None
    for number, line in enumerate(sys.stdin):
        name, *arguments = json.loads(line)
        if name == "begin":
            side = None
            gc.collect()  # the former side's tensors go before the next one's come
            side, value = make_side(arguments[0], folder / str(number)), None
        else:
            _reset_peak(side.device)
            value = getattr(side, name)(*arguments)
        print(json.dumps({"value": value, "peak_bytes": _peak_bytes(side.device)}), file=answers, flush=True)


def make_side(task: dict[str, Any], folder: Path) -> Any:
    """The side that a task names; its files and its store lie in `folder`."""
    import torch

    folder.mkdir(parents=True)
    os.environ["AFFETTO_CACHE"] = str(folder)
    if task.get("threads"):
        torch.set_num_threads(task["threads"])
    from affetto.bench import ours, yardstick
    from affetto.bench.clips import waves
    from affetto.training import device as devices

    device, clips = devices.choose(task["device"]), waves(task["clips"], task["window_seconds"])
    key, method = task["backbone"], task["method"]
    computing = {"device": device, "batch_size": task["batch_size"], "precision": task["precision"]}
    if task["side"] == "yardstick":
        return yardstick.Yardstick(key, method, clips, window_seconds=task["pad_seconds"], **computing)
    if task["side"] == "ours":
        return ours.Ours(key, method, clips, folder=folder, **computing)
    if task["side"] == "pipeline":
        return yardstick.Pipeline(key, clips, **computing)
    return ours.OurPipeline(key, method, clips, device=device, precision=task["precision"])


def _reset_peak(device: Any) -> None:
    """Set the peak of memory back to its present use: torch's on a device with its own, else Linux's of the process."""
    import torch

    from affetto.models.device import capabilities

    if capabilities(device).own_memory:
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_bytes(device: Any) -> int:
    import torch

    from affetto.models.device import capabilities

    if capabilities(device).own_memory:
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    except OSError:
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
