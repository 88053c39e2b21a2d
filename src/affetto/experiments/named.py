"""Grids that come with affetto, by name: files beside the package or, in a checkout, in `grids/`."""

from __future__ import annotations

from pathlib import Path

from affetto.errors import unknown

FOLDERS = (Path(__file__).parents[1] / "grids", Path(__file__).parents[3] / "grids")
SUFFIX = ".yaml"


def names() -> list[str]:
    """The grids that come with affetto."""
    return sorted({file.stem for folder in FOLDERS for file in folder.glob(f"*{SUFFIX}")})


def grid_file(path: Path) -> Path:
    """File of a grid, from its path or from the name of a grid that comes with affetto (`paper`).

    Raises UserError for an unknown name.
    """
    if path.suffix or path.is_file() or path.name != str(path):
        return path
    for folder in FOLDERS:
        file = folder / f"{path}{SUFFIX}"
        if file.is_file():
            return file
    raise unknown("grid", str(path), names(), hint="A grid of your own is a file in YAML.")
