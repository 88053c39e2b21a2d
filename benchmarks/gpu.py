"""Figures of a GPU within a few minutes: tests, speed on the paper's shapes, EMOVO with every method, the paper's grid.

    benchmarks/gpu.sh [--minutes 8] [--out gpu-figures] [--emovo EMOVO] [--model FOLDER] [--part tests --part shapes …]

Each part has a share of the minutes, and leaves the rest of it to the next ones. A part whose time is over is stopped,
and what it has measured counts. `results.json` and `results.md` in --out hold all of it; a cell without a measurement
says "not measured". Exit status 1 if a test, a benchmark or a run has failed.

`--tiny --device cpu` tries the script itself: small shapes, few clips, synthetic speech in place of EMOVO.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gpu_tables

PROJECT = Path(__file__).resolve().parents[1]
SHARES = {"tests": 0.18, "shapes": 0.5, "emovo": 0.3, "paper": 0.02}
"""Parts in their order, and their shares of the minutes."""
SHAPES = ("wav2vec2-base", "wav2vec2-large", "whisper-small", "wavlm-base-plus", "xlsr-53")
"""Backbones of the paper with shapes of their own; the other three have those of the last or of Whisper small."""
TINY_SHAPES = ("whisper-mini",)
COMPARED = ("lora", "frozen", "adapter", "inference")
FIRST_METHODS = ("probe", "frozen", "adapter", "lora")
SEEDS = (0, 1, 2)
DONE, FAILED, LATE, SKIPPED = "done", "failed", "out of time", "skipped"
GRACE_SECONDS = 10.0
"""Time that a stopped command has to end by itself."""


@dataclass(frozen=True)
class Outcome:
    """State of a command after it has ended, its exit status and its wall time."""

    state: str
    status: int
    seconds: float


class Bench:
    """The parts of one call. `limit` is the moment, by `time.monotonic`, at which the present part stops."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.out = options, options.out.resolve()
        self.started = self.limit = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Do the parts. The results are written after each of them."""
        results: dict[str, Any] = {"minutes": self.options.minutes, "tiny": self.options.tiny, "parts": {}}
        results["machine"] = machine(self.options.device)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "tests": self.tests,
            "shapes": self.shapes,
            "emovo": self.emovo,
            "paper": lambda: paper(results["parts"].get("shapes", {}).get("results", []), tiny=self.options.tiny),
        }
        share = 0.0
        for name in SHARES:
            share += SHARES[name]
            if name not in self.options.part:
                continue
            self.limit = self.started + 60 * self.options.minutes * share
            print(f"== {name}: until {60 * self.options.minutes * share:.0f} s", flush=True)
            started = time.monotonic()
            part = parts[name]()
            results["parts"][name] = part | {"seconds": round(time.monotonic() - started, 1)}
            results["seconds"] = round(time.monotonic() - self.started, 1)
            print(f"   {name}: {part['state']}{' (' + part['note'] + ')' if part.get('note') else ''}", flush=True)
            (self.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
            (self.out / "results.md").write_text(gpu_tables.page(results))
        return results

    def command(self, log: str, *arguments: str | Path) -> Outcome:
        """Run Python with arguments until the part's limit; what it prints goes to a file."""
        started = time.monotonic()
        remaining = self.limit - started
        if remaining <= 0:
            return Outcome(LATE, -1, 0.0)
        with (self.out / log).open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                cwd=PROJECT,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                status = process.wait(remaining)
                state = DONE if status == 0 else FAILED
            except subprocess.TimeoutExpired:
                stop(process)
                status, state = -1, LATE
        return Outcome(state, status, time.monotonic() - started)

    def affetto(self, log: str, *arguments: str | Path) -> Outcome:
        """Run an affetto command on the device."""
        return self.command(log, "-m", "affetto", *arguments, "--device", self.options.device)

    # Parts --------------------------------------------------------------------------------------------------

    def tests(self) -> dict[str, Any]:
        """The tests marked `gpu`; with --tiny their bodies on the CPU."""
        file = self.out / "tests.xml"
        marked = () if self.options.tiny else ("-m", "gpu")
        arguments = ("-m", "pytest", "tests/gpu", *marked, "-p", "no:cacheprovider", f"--junitxml={file}")
        outcome = self.command("tests.log", *arguments)
        if "No module named pytest" in (self.out / "tests.log").read_text():
            return {"state": SKIPPED, "note": "pytest is not installed"}
        return {"state": outcome.state, "note": "see tests.log"} | count_tests(file)

    def shapes(self) -> dict[str, Any]:
        """`affetto bench` on the paper's shapes, both sides in bfloat16; with --tiny in float32."""
        tiny, file = self.options.tiny, self.out / "shapes.json"
        file.unlink(missing_ok=True)
        precision = "float32" if tiny else "bfloat16"  # CPUs without bfloat16 of their own take minutes for it
        arguments = ["--comparison", "same", "--precision", precision, "--out", str(file)]
        for backbone in TINY_SHAPES if tiny else SHAPES:
            arguments += ["--backbone", backbone]
        for method in COMPARED[:2] if tiny else COMPARED:
            arguments += ["--method", method]
        sizes = ("9", "4", "1") if tiny else ("256", "32", "2")
        for option, size in zip(("--clips", "--batch-size", "--rounds"), sizes, strict=True):
            arguments += [option, size]
        outcome = self.affetto("shapes.log", "bench", *arguments)
        measured = json.loads(file.read_text()) if file.exists() else {"results": []}
        note = last_line(self.out / "shapes.log") if outcome.state == FAILED else ""
        return measured | {"state": outcome.state, "note": note}

    def emovo(self) -> dict[str, Any]:
        """EMOVO, leave one speaker out: LoRA alone under the clock, then every method with three seeds."""
        options = self.options
        if options.tiny:
            return self._grid("whisper-base", ("probe", "frozen"), SEEDS[:1], "--miniature")
        for name, path in (("--emovo", options.emovo), ("--model", options.model)):
            if path is None or not Path(path).is_dir():
                return {"state": SKIPPED, "note": f"{name} is not given" if path is None else f"no folder {path}"}
        corpus, model = f"emovo={Path(options.emovo).resolve()}", str(Path(options.model).resolve())
        arguments = ("--corpus", corpus, "--backbone", model, "--method", "lora", "--split", "loso")
        alone = self.affetto("lora.log", "train", *arguments, "--quiet", "--out", self.out / "lora")
        methods = tuple(dict.fromkeys((*FIRST_METHODS, *all_methods())))
        grid = self._grid(model, methods, SEEDS, "--corpus", corpus)
        state = alone.state if alone.state != DONE else grid["state"]
        return grid | {"state": state, "lora_alone_seconds": alone.seconds if alone.state == DONE else None}

    def _grid(self, backbone: str, methods: Sequence[str], seeds: Sequence[int], *arguments: str) -> dict[str, Any]:
        file, folder = self.out / "emovo.yaml", self.out / "emovo"
        axes = {"backbone": backbone, "corpus": "emovo", "method": list(methods), "seed": list(seeds), "split": "loso"}
        file.write_text(json.dumps({"name": "emovo", "axes": axes}) + "\n")  # JSON is YAML
        outcome = self.affetto("emovo.log", "grid", "run", file, "--out", folder, *arguments)
        runs = finished_runs(folder)
        note = f"{len(runs)} of {len(methods) * len(seeds)} runs done"
        return {"state": outcome.state, "note": note, "runs": runs, "grid_seconds": outcome.seconds}


def paper(rows: list[dict[str, Any]], *, tiny: bool = False) -> dict[str, Any]:
    """The paper's runs, from the measured steps in rows of `affetto bench`."""
    from affetto.bench.grid_time import grid_time, speeds
    from affetto.experiments.grid import read
    from affetto.experiments.miniature import miniature
    from affetto.experiments.named import grid_file

    grid = read(grid_file(Path("paper")))
    time_of_grid = grid_time((miniature(grid) if tiny else grid).runs, speeds(rows))
    missing = [" × ".join(pair) for pair in time_of_grid.missing]
    result = {"state": DONE, "runs": time_of_grid.runs, "total_seconds": time_of_grid.seconds, "missing": missing}
    if missing:
        return result | {"note": f"not measured: {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}"}
    names = ("prepare", "train", "judge")
    return result | {"note": "", "parts": {name: getattr(time_of_grid, name) for name in names}}


def finished_runs(folder: Path) -> list[dict[str, Any]]:
    """Method, seed, UAR and wall time of the finished runs below a grid's folder."""
    runs = []
    for file in sorted(folder.glob("runs/*/metrics.json")):
        metrics = json.loads(file.read_text())
        facts = {name: metrics[name] for name in ("method", "seed", "wall_seconds")}
        runs.append(facts | {"uar": metrics["test"]["uar"]})
    return runs


def count_tests(file: Path) -> dict[str, Any]:
    """Numbers of tests by outcome, and the names of those that failed, from pytest's XML file."""
    if not file.exists():
        return {}
    suite = ElementTree.parse(file).getroot()[0]
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    broken = [case.get("name", "") for case in suite.iter("testcase") if case.find("failure") is not None]
    return {"counts": counts, "broken": broken, "note": f"{counts['tests']} tests, {counts['skipped']} skipped"}


def all_methods() -> tuple[str, ...]:
    from affetto.models.methods.registry import METHODS

    return tuple(METHODS)


def machine(device: str) -> dict[str, Any]:
    """Versions, commit and hardware. Raises UserError where the device is missing."""
    from affetto.training import device as devices
    from affetto.training.provenance import provenance

    return provenance(devices.choose(device))


def last_line(file: Path) -> str:
    lines = file.read_text().strip().splitlines()
    return lines[-1] if lines else ""


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", default="auto")
    options.add_argument("--minutes", type=float, default=8.0)
    options.add_argument("--out", type=Path, default=Path("gpu-figures"))
    options.add_argument("--emovo", help="folder of EMOVO")
    options.add_argument("--model", help="folder of the checkpoint of Whisper base, or of another backbone")
    options.add_argument("--part", action="append", choices=list(SHARES), help="do only this part (repeatable)")
    options.add_argument("--tiny", action="store_true", help="try the script with small shapes")
    arguments = options.parse_args()
    arguments.part = arguments.part or list(SHARES)
    arguments.out.mkdir(parents=True, exist_ok=True)
    from affetto.errors import UserError

    try:
        results = Bench(arguments).run()
    except UserError as problem:
        sys.exit(f"error: {problem}")
    print(gpu_tables.page(results))
    failed = [name for name, part in results["parts"].items() if part["state"] == FAILED]
    if failed:
        sys.exit(f"error: failed: {', '.join(failed)}; see the logs in {arguments.out}")


if __name__ == "__main__":
    main()
