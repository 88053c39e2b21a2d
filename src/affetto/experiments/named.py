"""Grids by name: those that come with affetto, as files beside the package or, in a checkout, in its `grids/`."""

from __future__ import annotations

from pathlib import Path

from affetto.errors import unknown

PLACES = (Path(__file__).parents[1] / "grids", Path(__file__).parents[3] / "grids")
SUFFIX = ".yaml"


def names() -> list[str]:
    """The grids that come with affetto."""
    return sorted({file.stem for place in PLACES for file in place.glob(f"*{SUFFIX}")})


def grid_file(given: Path) -> Path:
    """The file of a grid: as given, or by the name of one that comes with affetto (`paper`).

    Raises UserError for a name that none has.
    """
    if given.suffix or given.is_file() or given.name != str(given):
        return given
    for place in PLACES:
        file = place / f"{given}{SUFFIX}"
        if file.is_file():
            return file
    raise unknown("grid", str(given), names(), hint="A grid of your own is a file in YAML.")
