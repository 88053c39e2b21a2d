"""A grid in small: the same runs on synthetic corpora with small random backbones, to see that all of it works.

Each backbone key is stood in for by a small one of its shape (pre- or post-LayerNorm, group or layer norm, WavLM's
attention, Whisper), with weights of its own; each corpus by synthetic speech in its layout. Nothing that comes out says
anything about real models, and whatever shows it says that it is synthetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from affetto.corpora.folders import MARKER
from affetto.errors import UserError, unknown
from affetto.experiments.grid import Grid, PlannedRun, text
from affetto.models.catalogue import BACKBONES
from affetto.models.families.registry import FAMILIES
from affetto.synthetic import registry as synthetic
from affetto.training.spec import acting, settings

EPOCHS = 2


def stand_in(backbone: str) -> tuple[str, int]:
    """The small key of the same shape, and a seed for its weights that no other key has.

    Raises UserError for what is no key: of a checkpoint's shape nothing is known before it is there.
    """
    if backbone not in BACKBONES:
        raise unknown("backbone key", backbone, BACKBONES, hint="--miniature knows the shapes of keys only.")
    key = BACKBONES[backbone]
    if key.scenario == "small":
        return backbone, 0
    return FAMILIES.find(key.family).stand_in(key.config), 1 + list(BACKBONES).index(backbone)


def miniature(grid: Grid) -> Grid:
    """The grid's runs, each with its stand-in and a few epochs; the backbones' names stay."""
    return Grid(f"{grid.name}-miniature", tuple(map(_small, grid.runs)))


def _small(run: PlannedRun) -> PlannedRun:
    key, weights_seed = stand_in(run["backbone"])
    names = run["corpus"].split("+")
    for name in names:
        if name not in synthetic.miniatures():
            raise unknown("corpus", name, synthetic.miniatures(), hint="--miniature can make these.")
    values = {**run.values, "random_weights": True, "weights_seed": weights_seed}
    chosen = {axis: value for axis, value in run.values.items() if "." in axis}
    # A grid's own epochs stay where they are fewer; the probe has none.
    few = min(run.settings.training.epochs, EPOCHS)
    small = {**{k: text(v) for k, v in chosen.items()}, "training.epochs": str(few)}
    small = acting(run["recipe"], small, method=run["method"])
    resolved = settings(run["recipe"], small, method=run["method"])
    return replace(run, values=values, settings=resolved, stand_in=key)


def corpora(grid: Grid, folder: Path, say: Callable[[str], None] = lambda _: None) -> dict[str, str]:
    """The synthetic corpora that the grid's runs need, made in `folder` where they are not there yet: {name: path}.

    Raises UserError where the extra `demo` (espeak-ng) is not installed.
    """
    made = {}
    for name in sorted({name for run in grid.runs for name in run["corpus"].split("+")}):
        place = folder / name
        if not (place / MARKER).exists():
            say(f"making synthetic {name}")
            speakers, clips = synthetic.miniatures()[name]
            try:
                synthetic.make(name, place, speakers=speakers, clips=clips)
            except UserError:
                if not (place / MARKER).exists():  # there, another launcher was quicker
                    raise
        made[name] = str(place)
    return made
