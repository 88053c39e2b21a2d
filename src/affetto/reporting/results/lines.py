"""Lines of the JSON Lines files of a run: predictions and logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from affetto.errors import UserError

Rows = list[dict[str, Any]]


def read_lines(file: Path) -> Rows:
    """Read JSON Lines; [] where the file is missing. Raises UserError where it is broken."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError
        return rows
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        raise UserError(f"{file}: cannot be read; run again with another --out") from None
