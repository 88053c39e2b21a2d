"""sdist and wheel build, install and run outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from conftest import PROJECT
from training.corpora import write_table


def ran(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.mark.slow
def test_built_installed_and_run_elsewhere(tmp_path: Path) -> None:
    """The wheel is built from the unpacked sdist, so that the sdist is known to hold all that it needs."""
    tools = tmp_path / "tools"
    got = ran(sys.executable, "-m", "pip", "install", "-q", "--target", tools, "hatchling>=1.26", timeout=120)
    if got.returncode != 0:
        pytest.skip("hatchling cannot be had here (no package index)")
    build = [sys.executable, "-m", "hatchling", "build", "-d", tmp_path / "dist"]
    environment = os.environ | {"PYTHONPATH": str(tools)}
    made = ran(*build, "-t", "sdist", cwd=PROJECT, env=environment)
    assert made.returncode == 0, made.stderr
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    made = ran(*build, "-t", "wheel", cwd=source, env=environment)
    assert made.returncode == 0, made.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {"affetto/py.typed", "affetto/grids/paper.yaml", "affetto/export/example.py"} <= held
    assert not [name for name in held if "test" in name.lower().split("/")[0]]

    venv.create(tmp_path / "env", with_pip=False)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    # What affetto requires, by a path alone: an editable affetto there is not followed.
    (site / "required.pth").write_text(sysconfig.get_path("purelib"))
    installed = ran(
        sys.executable,
        "-m",
        "pip",
        "--python",
        tmp_path / "env" / "bin" / "python",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        wheel,
    )
    assert installed.returncode == 0, installed.stderr
    _runs(tmp_path / "env" / "bin" / "affetto", tmp_path)


def _runs(affetto: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    table = write_table(elsewhere)
    where = {"cwd": elsewhere, "env": {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}}
    python = affetto.with_name("python")
    assert str(tmp_path) in ran(python, "-c", "import affetto; print(affetto.__file__)", **where).stdout
    assert ran(affetto, "--version", **where).stdout.startswith("affetto ")
    listed = ran(affetto, "grid", "run", "paper", "--out", "grid", "--dry-run", **where)
    assert "216 runs" in listed.stdout, listed.stderr
    trained = ran(
        affetto,
        "train",
        "--table",
        table,
        "--backbone",
        "whisper-mini",
        "--random-weights",
        "--method",
        "frozen",
        "--set",
        "training.epochs=1",
        "--no-probe",
        "--quiet",
        "--out",
        "run",
        **where,
    )
    assert trained.returncode == 0, trained.stderr
    exported = ran(affetto, "export", "run", "--to", "hf", "--out", "exported", **where)
    assert exported.returncode == 0, exported.stderr
    answered = ran(affetto, "predict", "exported", "audio/s5-joy-0.wav", "--format", "json", **where)
    assert answered.returncode == 0 and len(json.loads(answered.stdout)) == 1, answered.stderr


def test_shell_completion() -> None:
    asked = os.environ | {"_AFFETTO_COMPLETE": "complete_bash", "COMP_WORDS": "affetto exp", "COMP_CWORD": "1"}
    answered = ran(
        sys.executable, "-c", "import sys; sys.argv[0] = 'affetto'; import affetto.cli as c; c.main()", env=asked
    )
    assert answered.stdout.split() == ["export"], answered.stderr
