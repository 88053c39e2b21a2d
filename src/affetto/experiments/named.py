"""Bundled grids by name: files beside the package or, in a checkout, in its `grids/`."""

from __future__ import annotations

from pathlib import Path

from affetto.errors import unknown

FOLDERS = (Path(__file__).parents[1] / "grids", Path(__file__).parents[3] / "grids")
SUFFIX = ".yaml"


def names() -> list[str]:
    """List the bundled grids."""
    return sorted({file.stem for folder in FOLDERS for file in folder.glob(f"*{SUFFIX}")})


def grid_file(grid: Path) -> Path:
    """Find the file of a grid: a path, or the name of a bundled grid (`paper`).

    Raises UserError for an unknown name.
    """
    if grid.suffix or grid.is_file() or grid.name != str(grid):
        return grid
    for folder in FOLDERS:
        file = folder / f"{grid}{SUFFIX}"
        if file.is_file():
            return file
    raise unknown("grid", str(grid), names(), hint="A grid of your own is a file in YAML.")
