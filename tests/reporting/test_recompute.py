"""results.csv and results.json have documented columns, and docs/recompute.py finds every number again by itself."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from affetto.reporting.report import write
from affetto.reporting.results.exports import COLUMNS
from reporting.folders import write_run
from reporting.target_folders import write_target_run

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT = DOCS / "recompute.py"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Frozen with two seeds, LoRA with one, dimensions, and a corpus of one tested speaker; with probes beside."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        write_run(folder / f"frozen-{seed}", seed=seed, skill=0.3 + 0.2 * seed)
    write_run(folder / "lora", method="lora", speakers=5, corpus="demos")
    write_run(folder / "few", corpus="emozionalmente", split="paper", speakers=6)
    write_target_run(folder / "numbers", "dimensions", speakers=4)
    out = tmp_path_factory.mktemp("report")
    write(folder, out, only=("csv", "predictions"))
    return out


def read(file):
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def recompute(folder):
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(folder)], capture_output=True, text=True, timeout=300, check=False
    )


def test_every_score_and_interval_of_test_clips_is_found_again(report):
    ran = recompute(report)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    counts = ast.literal_eval(ran.stdout.splitlines()[-1])
    rows = read(report / "results.csv")
    other = [row for row in rows if row["part"] == "validation" or re.match("mae|rmse|pearson", row["measure"])]
    assert counts == {"equal": len(rows) - len(other), "not equal": 0, "not computed here": len(other)}
    assert {"all", "0", "1"} <= {row["seed"] for row in rows} and {"clips", "speakers", ""} == {
        row["drawn"] for row in rows
    }


@pytest.mark.parametrize("column", ["score", "low"])
def test_a_changed_digit_of_a_score_is_found(report, tmp_path, column):
    folder = shutil.copytree(report, tmp_path / "report")
    text = (folder / "results.csv").read_text()
    row = next(row for row in read(report / "results.csv") if (row["method"], row["measure"]) == ("lora", "macro_f1"))
    digit = row[column][4]
    changed = row[column][:4] + str((int(digit) + 1) % 10) + row[column][5:]
    (folder / "results.csv").write_text(text.replace(row[column], changed))
    ran = recompute(folder)
    assert (
        ran.returncode == 1 and f"test macro_f1 {changed if column == 'score' else row['score']} is not" in ran.stderr
    )


def test_a_changed_digit_of_a_prediction_is_found(report, tmp_path):
    folder = shutil.copytree(report, tmp_path / "report")
    file = next((folder / "predictions").glob("*lora*.csv"))
    file.write_text(re.sub(r"\d$", lambda digit: str((int(digit[0]) + 1) % 10), file.read_text().rstrip("\n")) + "\n")
    ran = recompute(folder)
    assert ran.returncode == 1 and "is not the file of results.csv" in ran.stderr


def test_a_folder_without_results_is_one_line(tmp_path):
    ran = recompute(tmp_path)
    assert ran.returncode == 1 and ran.stderr.startswith("usage: ") and ran.stderr.count("\n") == 1


def test_the_script_has_fifty_lines_of_code_and_imports_numpy_alone():
    text = SCRIPT.read_text(encoding="utf-8")
    heads = [node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.Expr)) and node.lineno < 15]
    skipped = {line for node in heads for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    code = [line for number, line in enumerate(text.splitlines(), 1) if line.strip() and number not in skipped]
    assert len(code) <= 50
    assert set(re.findall(r"^(?:import|from) (\w+)", text, flags=re.M)) == {"csv", "hashlib", "pathlib", "sys", "numpy"}


def test_every_column_is_documented_and_both_files_are_equal(report):
    rows, content = read(report / "results.csv"), json.loads((report / "results.json").read_text())
    assert list(rows[0]) == list(content["columns"]) == [name for name in COLUMNS if name != "auxiliary"]
    docs = (DOCS / "reports.md").read_text(encoding="utf-8")
    assert [name for name in COLUMNS if f"| `{name}` |" not in docs] == []
    assert content["format"] == 1 and content["columns"] == {name: COLUMNS[name] for name in content["columns"]}
    for row, record in zip(rows, content["rows"], strict=True):
        for name, value in record.items():
            expected = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            assert row[name] == expected or float(row[name]) == pytest.approx(float(expected)), (name, row, record)


def test_digests_are_those_of_the_files(report):
    rows = [row for row in read(report / "results.csv") if row["predictions"]]
    assert {row["part"] for row in rows} == {"test", "probe beside"}
    for row in rows:
        assert row["predictions digest"] == hashlib.sha256((report / row["predictions"]).read_bytes()).hexdigest()
    assert all(row["interval"] == "t" for row in rows if row["low"])


def test_the_model_index_is_one_that_the_hub_reads(report):
    hub = pytest.importorskip("huggingface_hub.repocard_data")
    entries = yaml.safe_load((report / "model-index.yaml").read_text(encoding="utf-8"))["model-index"]
    rows = {
        (row["corpus"], row["method"], row["measure"]): row
        for row in read(report / "results.csv")
        if row["seed"] == "all"
    }
    assert len(entries) == 6
    for entry in entries:
        name, results = hub.model_index_to_eval_results([entry])
        assert hub.eval_results_to_model_index(name, results) == [entry]
        assert {result.task_type for result in results} == {"audio-classification"} and len(results) == 4
    frozen = next(entry for entry in entries if "EMOVO" in entry["name"] and "frozen" in entry["name"])
    metric = next(metric for metric in frozen["results"][0]["metrics"] if metric["name"] == "UAR")
    assert metric["value"] == pytest.approx(float(rows["emovo", "frozen", "uar"]["score"]), abs=1e-4)
    assert metric["args"]["seeds"] == 2 and metric["args"]["over"] == "speakers"
