"""Who may read what is written."""

from __future__ import annotations

import os
from pathlib import Path


def share(folder: Path) -> None:
    """Let a folder's files be read by those whom the umask allows; safetensors leaves them to their owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o666 & ~mask)
