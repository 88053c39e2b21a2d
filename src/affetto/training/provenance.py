"""Provenance of a result: versions, commit, hardware, memory."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from affetto.models import device as devices

SPECIALIZED = "specialized.json"
"""File that `affetto specialize` puts beside a checkpoint."""
PACKAGES = ("affetto", "torch", "transformers", "peft", "accelerate", "numpy", "scikit-learn", "soundfile", "soxr")


def provenance(device: torch.device, processes: int = 1) -> dict[str, Any]:
    """Versions, commit (where the package runs from a checkout) and hardware; on how many processes it ended."""
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "device": devices.device_name(device) or f"{device.type} ({_processor()})",
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "processes": processes,
    }


def specialised(backbone: str) -> dict[str, Any] | None:
    """Facts of a backbone that `affetto specialize` made: its parent, its corpus, and how far it moved; else None."""
    folder = Path(backbone)
    if not (folder / "config.json").is_file():
        return None
    try:
        record = json.loads((folder / SPECIALIZED).read_text(encoding="utf-8"))
        last = record["history"][-1]
        facts = {name: record[name] for name in ("objective", "method", "parent", "hours_heard", "steps", "cka")}
        facts |= {name: last[name] for name in ("validation_loss", "cer", "wer") if name in last}
        corpus = {name: record["corpus"][name] for name in ("name", "version", "language", "synthetic")}
        return facts | {"corpus": corpus | {"hours": record["corpus"]["train"]["hours"]}}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory in use: the device's where it has its own, else this process's resident set."""
    peak = devices.peak_memory_bytes(device)
    if peak is not None:
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    folder = Path(__file__).resolve().parent
    try:
        inside = subprocess.run(["git", "-C", folder, "ls-files", __file__], capture_output=True, text=True, timeout=5)
        if inside.returncode or not inside.stdout.strip():
            return None  # installed; a surrounding repository is not ours
        head = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
