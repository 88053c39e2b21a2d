"""Extensions by third parties: one file and one entry point each, from training to the exported model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from training.corpora import write_table

TOYS = Path(__file__).parent / "toys"
DRIVER = """
import json, sys
from affetto.cli import main
for words in json.load(sys.stdin):
    sys.argv = ["affetto", *words]
    print("===", *words, flush=True)
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


def install(folder: Path, group: str, **points: str) -> Path:
    """An installed distribution in `folder` with these entry points, {name: "module:object"}, of one group."""
    info = folder / "toys-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    rows = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{rows}")
    return folder


def run(installed: Path, *commands: Sequence[object]) -> list[str]:
    """What each command of the command line prints, all of them in one new process that has the toys installed."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(installed), str(TOYS), os.environ.get("PYTHONPATH", "")])
    }
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([[str(word) for word in words] for words in commands]),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [part.partition("\n")[2] for part in done.stdout.split("=== ")[1:]]


def test_a_method(tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus", speakers=4)
    installed = install(tmp_path / "site", "affetto.methods", gains="gains:Gains")
    common = ["--table", table, "--backbone", "whisper-mini", "--random-weights", "--no-probe", "--quiet"]
    common += ["--set", "training.epochs=1"]
    clip = table.parent / "audio" / "s3-joy-0.wav"
    runs = tmp_path / "runs"
    listed, settings, *_, trained, exported = run(
        installed,
        ["methods"],
        ["settings", "--method", "gains"],
        ["train", *common, "--method", "gains", "--out", runs / "alone"],
        ["train", *common, "--method", "lora+gains", "--set", "gains.start=0.9", "--out", runs / "both"],
        ["report", runs, "--out", tmp_path / "report"],
        ["export", runs / "both", "--to", "hf", "--out", tmp_path / "hf"],
        ["predict", runs / "both", clip, "--format", "json"],
        ["predict", tmp_path / "hf", clip, "--format", "json"],
    )
    assert "Gains: a factor on each feature of a block's feed-forward part" in listed
    assert "gains.start=1.1" in settings
    metrics = [json.loads((runs / name / "metrics.json").read_text()) for name in ("alone", "both")]
    assert metrics[0]["trainable_parameters"] < metrics[1]["trainable_parameters"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Gains" in page and "LoRA + Gains" in page
    ours, exports = (json.loads(text)[0]["probabilities"] for text in (trained, exported))
    assert all(abs(ours[emotion] - exports[emotion]) < 1e-4 for emotion in ours)
