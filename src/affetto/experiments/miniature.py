"""Miniatures of grids: the same runs on synthetic corpora with small random backbones, to see that all of it works.

In place of each backbone key stands a small one of its shape (pre- or post-LayerNorm, group or layer norm, WavLM's
attention, Whisper) with weights of its own; in place of each corpus, synthetic speech in its layout. The results say
nothing about real models, and every page that shows them says that they are synthetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.families.registry import FAMILIES
from affetto.corpora.folders import MARKER
from affetto.errors import UserError, unknown
from affetto.experiments.grid import Grid
from affetto.experiments.planned import PlannedRun
from affetto.synthetic import registry as synthetic
from affetto.training.spec import acting, settings, text

EPOCHS = 2


def stand_in(backbone: str) -> tuple[str, int]:
    """Small key of the same shape, and a seed for its weights that no other key has.

    Raises UserError for a backbone that is not a key: the shape of a checkpoint is unknown before it is downloaded.
    """
    if backbone not in BACKBONES:
        raise unknown("backbone key", backbone, BACKBONES, hint="--miniature knows the shapes of keys only.")
    key = BACKBONES[backbone]
    if key.scenario == "small":
        return backbone, 0
    return FAMILIES.find(key.family).stand_in(key.config), 1 + list(BACKBONES).index(backbone)


def miniature(grid: Grid) -> Grid:
    """The grid with a small backbone and a few epochs in each run; the names of the backbones stay."""
    return Grid(f"{grid.name}-miniature", tuple(map(_small, grid.runs)))


def _small(run: PlannedRun) -> PlannedRun:
    key, weights_seed = stand_in(run["backbone"])
    for name in run.corpora:
        if name not in synthetic.miniatures():
            raise unknown("corpus", name, synthetic.miniatures(), hint="--miniature can make these.")
    values = {**run.values, "random_weights": True, "weights_seed": weights_seed}
    overrides = {name: text(value) for name, value in run.values.items() if "." in name}
    # Fewer epochs of a grid stay; the probe has none.
    overrides["training.epochs"] = str(min(run.settings.training.epochs, EPOCHS))
    overrides = acting(run["recipe"], overrides, method=run["method"], has_auxiliary=bool(run.auxiliary))
    resolved = settings(run["recipe"], overrides, method=run["method"])
    return replace(run, values=values, settings=resolved, stand_in=key)


def corpora(grid: Grid, folder: Path, say: Callable[[str], None] = lambda _: None) -> dict[str, str]:
    """Make the synthetic corpora that the runs need in `folder`, unless they exist: {name: path}.

    Raises UserError where the extra `demo` (espeak-ng) is not installed.
    """
    paths = {}
    for name in sorted({name for run in grid.runs for name in run.corpora}):
        path = folder / name
        if not (path / MARKER).exists():
            say(f"making synthetic {name}")
            speakers, clips = synthetic.miniatures()[name]
            try:
                synthetic.make(name, path, speakers=speakers, clips=clips)
            except UserError:
                if not (path / MARKER).exists():  # else another launcher was quicker
                    raise
        paths[name] = str(path)
    return paths
