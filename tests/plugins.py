"""Plug-ins for tests: distributions that consist of entry points alone, found by Python as installed ones are."""

from __future__ import annotations

from pathlib import Path

import pytest


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, group: str, **points: str) -> None:
    """Put a distribution `toy` with entry points (name="module:attribute") of `group` onto the path of Python.

    Call `reload` of the registry before and after: it reads entry points once.
    """
    info = folder / "toy-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    with (info / "entry_points.txt").open("a") as file:
        file.write("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder)
