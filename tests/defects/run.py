"""Planted defects: each wrong line of the tables beside this file must make its tests fail.

    python tests/defects/run.py                     all tables (`make defects`)
    python tests/defects/run.py tests/defects/splits.yaml --only prompt

A table is a list of records: `name`; `file`, and in it `find`, a text that occurs exactly once; `replace`, the wrong
text; `tests`, the ids of quick tests. Each defect is planted in a copy of the checkout, and each id must name a test
that then fails in its call: an error while it is set up or collected is none. Before that the same tests must pass on
the copy as it is. A process that has imported the heavy libraries is forked for each defect, so that one takes seconds.

Exit status: 0 all caught; 1 a defect survived, or a test failed without one; 2 a table no longer fits the code.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import ctypes
import gc
import importlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import yaml

SECONDS = 600
"""The time that one defect's tests may take: far above what they need, so that a hang ends."""

HEAVY = (
    "numpy",
    "scipy.stats",
    "sklearn.linear_model",
    "soundfile",
    "soxr",
    "torch",
    "torch.nn.functional",
    "accelerate",
    "peft",
    "transformers.models.whisper.modeling_whisper",
    "transformers.models.wav2vec2.modeling_wav2vec2",
    "transformers.models.wavlm.modeling_wavlm",
    "transformers.models.hubert.modeling_hubert",
    "pydantic",
    "typer",
    "matplotlib.pyplot",
    "httpx",
    "fastapi",
)
"""Modules that most tests import: imported once, before the forks."""


@dataclass(frozen=True)
class Defect:
    """A wrong line and the tests that must notice it."""

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    table: str

    def problem(self, root: Path) -> str | None:
        """Return why the record does not fit the code below `root`, or None."""
        path = root / self.file
        if not path.is_file():
            return f"{self.file} is not there"
        right = path.read_text(encoding="utf-8")
        count = right.count(self.find)
        if count != 1:
            return f"its text occurs {count} times in {self.file}, not once: {self.find!r}"
        if self.find == self.replace:
            return "the replacement is the text itself"
        if path.suffix == ".py" and not _is_python(right.replace(self.find, self.replace)):
            return f"with the wrong text {self.file} is no Python, and no test would run"
        missing = [test for test in self.tests if not (root / test.split("::")[0]).is_file()]
        return f"no such test file: {', '.join(missing)}" if missing or not self.tests else None


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


class Failures:
    """A pytest plugin that writes the ids of tests that failed in their call, and counts other trouble."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: object) -> None:
        if getattr(report, "failed", False) and getattr(report, "when", "") == "call":
            with self.path.open("a", encoding="utf-8") as lines:
                lines.write(f"{getattr(report, 'nodeid', '')}\n")


def load(tables: Sequence[Path]) -> list[Defect]:
    """Read the records of `tables`; names are unique over all of them."""
    defects = [
        Defect(**{**record, "tests": tuple(record["tests"])}, table=table.name)
        for table in tables
        for record in yaml.safe_load(table.read_text(encoding="utf-8"))
    ]
    names = [defect.name for defect in defects]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SystemExit(f"two defects of one name: {'; '.join(twice)}")
    return defects


def copy_of(root: Path, target: Path) -> Path:
    """Copy what git knows or would take of `root` to `target`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    for name in filter(None, listing.decode().split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    return target


def run_tests(copy: Path, tests: Sequence[str], failures: Path, log: Path) -> None:
    """Run `tests` in this (forked) process on `copy`; never returns."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: nothing of it outlives an interrupted runner
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy / "src")
    sys.path[:0] = [str(copy / "src")]
    import pytest

    arguments = [*tests, "-q", "-rfEs", "-p", "no:cacheprovider", f"--basetemp={copy.parent / 'pytest'}"]
    os._exit(int(pytest.main(arguments, plugins=[Failures(failures)])))


def outcome(copy: Path, tests: Sequence[str]) -> tuple[set[str], int | None, str]:
    """Run `tests` on `copy` in a fork; returns the failed ids, the exit status (None: out of time) and the output."""
    failures, log = copy.parent / "failures.txt", copy.parent / "log.txt"
    failures.write_text("")
    child = multiprocessing.get_context("fork").Process(target=run_tests, args=(copy, tests, failures, log))
    child.start()
    child.join(SECONDS)
    status = child.exitcode
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid or 0, 9)  # servers that a failed test left, and a child out of time
    child.join()
    return set(failures.read_text().split("\n")) - {""}, status, log.read_text(errors="replace")


@contextlib.contextmanager
def planted(defect: Defect, copy: Path) -> Iterator[None]:
    """Put the wrong text into `copy`, and the right one back."""
    path = copy / defect.file
    right = path.read_text(encoding="utf-8")
    path.write_text(right.replace(defect.find, defect.replace), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(right, encoding="utf-8")


def examine(defect: Defect, copies: Queue[Path]) -> bool:
    """Plant `defect`, run its tests, print a line; returns whether each of its ids failed."""
    copy, began = copies.get(), time.monotonic()
    try:
        with planted(defect, copy):
            failed, status, text = outcome(copy, defect.tests)
    finally:
        copies.put(copy)
    silent = [test for test in defect.tests if not any(name.startswith(test) for name in failed)]
    print(f"{'SURVIVES' if silent else 'caught':9}{time.monotonic() - began:6.1f} s  {defect.name}", flush=True)
    if silent:
        print(f"          status {status}; did not fail: {', '.join(silent)}\n{text[-1500:]}", flush=True)
    return not silent


def examine_all(defects: Sequence[Defect], root: Path, jobs: int) -> int:
    """Run the tests without defects, then with each; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="defects-") as folder, ThreadPoolExecutor(jobs) as pool:
        copies: Queue[Path] = Queue()
        for index in range(jobs):
            copies.put(copy_of(root, Path(folder, str(index), "copy")))
        first = copies.get()
        began = time.monotonic()
        _, status, text = outcome(first, sorted({test for defect in defects for test in defect.tests}))
        copies.put(first)
        if status != 0:
            print(f"{text[-6000:]}\nThe tests do not pass without a defect (status {status}): mend that first.")
            return 1
        print(f"clean    {time.monotonic() - began:6.1f} s  all tests pass without a defect", flush=True)
        caught = sum(pool.map(lambda defect: examine(defect, copies), defects))
    print(f"{caught} of {len(defects)} defects caught")
    return 0 if caught == len(defects) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Plant wrong lines, and see that quick tests fail.")
    parser.add_argument("tables", nargs="*", type=Path, help="tables of defects (default: all beside this file)")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[2], help="checkout (default: this file's)")
    parser.add_argument("--only", default="", help="defects whose name or file holds this text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="defects at a time (default: cores)")
    parser.add_argument("--list", action="store_true", help="print the names, run nothing")
    options = parser.parse_args()
    root = options.root.resolve()
    tables = options.tables or sorted((root / "tests/defects").glob("*.yaml"))
    defects = [defect for defect in load(tables) if options.only in defect.name or options.only in defect.file]
    problems = [f"{defect.table}: {defect.name}: {problem}" for defect in defects if (problem := defect.problem(root))]
    if problems or not defects:
        print("\n".join(problems) or "no such defects")
        return 2
    if options.list:
        print("\n".join(f"{defect.table:20} {defect.name}" for defect in defects))
        return 0
    sys.dont_write_bytecode = True  # a stale byte code of the same second and length would hide a defect
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg"}
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    for module in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.freeze()  # pytest collects garbage as it ends: over all of these modules that took longer than most tests
    return examine_all(defects, root, options.jobs)


if __name__ == "__main__":
    sys.exit(main())
