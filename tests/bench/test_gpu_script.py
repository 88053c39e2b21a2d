"""`benchmarks/gpu.sh`: its time budget, its exit status, and the tables that it writes."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def gpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT / "benchmarks")
        # Under a name of its own: the tests of `tests/gpu` are modules of a package `gpu`.
        spec = importlib.util.spec_from_file_location("gpu_script", PROJECT / "benchmarks" / "gpu.py")
        assert spec is not None and spec.loader is not None
        script = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "gpu_script", script)
        spec.loader.exec_module(script)
        yield script


@pytest.fixture
def bench(gpu, tmp_path):
    options = argparse.Namespace(
        device="cpu", minutes=1.0, out=tmp_path, emovo=None, model=None, part=list(gpu.SHARES), tiny=False
    )
    return gpu.Bench(options)


def comparison(backbone, method, ratio, **more):
    return {
        "backbone": backbone,
        "comparison": "same",
        "method": method,
        "clips": 256,
        "ratio": ratio,
        "our_clips_per_second": 900.0,
        "yardstick_clips_per_second": 300.0,
        "memory_ratio": 0.5,
        **more,
    }


def results(*parts, **more):
    versions = dict.fromkeys(("python", "torch", "transformers", "peft", "affetto"), "1.0")
    machine = {"device": "a GPU", "versions": versions, "commit": "abc"}
    return {"minutes": 8, "tiny": False, "machine": machine, "parts": dict(parts), **more}


def test_a_command_ends_at_the_limit_with_all_that_it_started(bench, tmp_path):
    marks = tmp_path / "marks"
    child = f"import time; time.sleep(4); open({str(marks)!r}, 'w')"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    bench.limit = time.monotonic() + 1
    outcome = bench.command("late.log", "-c", parent)
    assert outcome.state == "out of time" and outcome.seconds < 4
    assert bench.command("late.log", "-c", parent).seconds == 0.0
    bench.limit = time.monotonic() + 60
    assert bench.command("bad.log", "-c", "raise SystemExit('no')").state == "failed"
    assert (tmp_path / "bad.log").read_text() == "no\n"
    assert bench.command("good.log", "-c", "").state == "done"
    time.sleep(3.5)
    assert not marks.exists()


def test_each_part_leaves_its_time_to_the_next_and_its_results_on_the_disk(bench, gpu, tmp_path, monkeypatch):
    limits = []

    def part(self):
        limits.append(self.limit - self.started)
        return {"state": "done", "note": "", "results": [], "runs": []}

    for name in ("tests", "shapes", "emovo"):
        monkeypatch.setattr(gpu.Bench, name, part)
    results = bench.run()
    assert limits == pytest.approx([60 * 0.18, 60 * 0.68, 60 * 0.98])
    assert sum(gpu.SHARES.values()) == pytest.approx(1.0)
    assert results["parts"]["paper"]["total_seconds"] is None
    assert json.loads((tmp_path / "results.json").read_text())["parts"].keys() == gpu.SHARES.keys()
    assert (
        "| the paper's 216 runs, from measured steps | ≤ 2.5 hours | not measured |"
        in (tmp_path / "results.md").read_text()
    )


def test_without_corpus_or_model_emovo_is_skipped_and_says_so(bench, tmp_path):
    assert bench.emovo() == {"state": "skipped", "note": "--emovo is not given"}
    bench.options.emovo, bench.options.model = str(tmp_path), str(tmp_path / "none")
    assert bench.emovo()["note"] == f"no folder {tmp_path / 'none'}"


def test_the_page_holds_what_was_measured_and_nothing_else(gpu):
    empty = gpu.gpu_tables.page(results())
    rows = re.findall(r"^\| .* \| [≥≤] .* \| (.*) \|$", empty, re.MULTILINE)
    assert len(rows) == len(gpu.gpu_tables.TARGETS) and set(rows) == {"not measured"}
    three = {"ratio": 80.0, "our_clips_per_second": 900.0, "yardstick_clips_per_second": 30.0}
    shapes = [
        comparison("wav2vec2-base", "lora", 3.3, epoch_parts={"step": 0.01, "steps": 0.09, "outside": 0.01})
        | {"counts": {"launches": 12, "dispatched": 700}, "share_of_peak": 0.4, "stacked": {"6": three}},
        comparison("wav2vec2-base", "frozen", 20.0, three_seeds=three, prepare_seconds=0.16),
    ]
    runs = [{"method": "lora", "seed": seed, "wall_seconds": 20.0 + seed, "uar": 0.5} for seed in (1, 0)]
    emovo = {"state": "done", "seconds": 60, "note": "", "runs": runs, "lora_alone_seconds": 31.0}
    part = {"state": "out of time", "seconds": 200, "note": "", "results": shapes}
    page = gpu.gpu_tables.page(results(("shapes", part), ("emovo", emovo), seconds=300))
    assert "| LoRA, an epoch, wav2vec2-base | ≥ 3× | 3.3× |" in page
    assert "six folds stacked, each | ≥ 5× | 80× |" in page and "| … 6 stacked, each | 80.00× | 900 | 30 |" in page
    assert "one seed | ≥ 28× | 20× (missed) |" in page and "three seeds | ≥ 75× | 80× |" in page
    assert "| preparing, wav2vec2-base | ≥ 1500 clips/s | 1600 clips/s |" in page
    assert "with probe and final model | ≤ 30 s | 31 s (missed) |" in page
    assert "| wav2vec2-base | lora | 3.30× | 900 | 300 | 0.50× | 40 % | 10.0 ms | 12 | 10 % outside steps |" in page
    assert "| lora | 0.500 0.500 | 20.5 |" in page and "out of time" in page
    assert "| LoRA, an epoch, WavLM Base+ | ≥ 2.5× | not measured |" in page


def test_the_page_on_performance_has_every_target(gpu):
    page = (PROJECT / "docs" / "performance.md").read_text()
    for target in gpu.gpu_tables.TARGETS:
        title, bound, _ = target.cells({"parts": {}})
        assert f"| {title} | {bound} |" in page


@pytest.mark.slow
def test_the_script_runs_in_small(tmp_path):
    out = tmp_path / "figures"
    arguments = ["--device", "cpu", "--tiny", "--minutes", "60", "--part", "shapes", "--part", "paper"]
    finished = subprocess.run(
        ["benchmarks/gpu.sh", *arguments, "--out", out],
        cwd=PROJECT,
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    parts = json.loads((out / "results.json").read_text())["parts"]
    assert parts["shapes"]["state"] in ("done", "out of time") and parts["shapes"]["results"]
