"""Where a result comes from: versions, commit, hardware, memory."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("affetto", "torch", "transformers", "peft", "accelerate", "numpy", "scikit-learn", "soundfile", "soxr")


def provenance(device: torch.device) -> dict[str, Any]:
    """Versions, commit (where the package runs from a checkout) and hardware."""
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({_processor()})",
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory in use: the device's where it has its own, else this process's resident set."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    here = Path(__file__).resolve().parent
    try:
        inside = subprocess.run(["git", "-C", here, "ls-files", __file__], capture_output=True, text=True, timeout=5)
        if inside.returncode or not inside.stdout.strip():
            return None  # installed; a surrounding repository is not ours
        head = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--dirty", "--abbrev=12"],
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
