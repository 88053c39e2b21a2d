"""The plane of valence and arousal: where predictions lie, and where the truth of each emotion does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affetto.corpora.labels import in_order
from affetto.errors import UserError
from affetto.measures.confusion import Floats
from affetto.reporting.chapters.selection import Group, group_by_corpus, highest, stem
from affetto.reporting.render.canvas import BLUE, INK, VERMILLION, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.parts import PartEvidence
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.judged import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = ("valence", "arousal")
"""Dimensions of the plane, across and up."""
FEWEST_CELLS, MOST_CELLS = 8, 24
"""Cells of the density across the plane: the square root of the clips, within these."""
EDGE = 0.08
"""Share of the range within which a name stands on the side away from the edge."""


@dataclass(frozen=True, kw_only=True)
class Centre:
    """Means over the clips of an emotion, (2,) each: valence, arousal."""

    truth: Floats
    prediction: Floats
    raters: Floats | None = None
    """Mean standard deviation of the raters of a clip; None where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Predictions of one configuration."""

    prediction: Floats
    """Valence and arousal of the clips of all seeds: (clips, 2)."""
    ranges: tuple[tuple[float, float], tuple[float, float]]
    centres: Mapping[str, Centre]
    """Centres by emotion; "" stands for all clips where the emotions are not known."""


def plane_pictures(evidence: PartEvidence) -> list[Picture]:
    """A figure a corpus and split whose models predict both: of the configuration with the highest mean CCC."""
    pictures = []
    for group in group_by_corpus(evidence):
        configs = [config for config in group.configurations if set(AXES) <= set(evidence.target(config).dimensions)]
        if configs:
            pictures.append(_picture(evidence, group, highest(evidence, configs)))
    return pictures


def plane_of(evidence: PartEvidence, config: Configuration) -> Plane:
    """The plane of a configuration that predicts valence and arousal."""
    system = evidence.outcomes(config)
    assert system is not None
    target = system.target
    columns = [list(target.dimensions).index(name) for name in AXES]
    parts = [numbers(target, system.runs[seed]) for seed in system.seeds]
    truth, prediction = (np.concatenate(values)[:, columns] for values in zip(*parts, strict=True))
    rows = [row for seed in system.seeds for row in system.runs[seed]]
    emotions = np.array([emotion_of(row) for row in rows])
    across, up = (target.dimensions[name] for name in AXES)
    return Plane(
        prediction=prediction,
        ranges=((across.low, across.high), (up.low, up.high)),
        centres={
            emotion: Centre(
                truth=truth[emotions == emotion].mean(axis=0),
                prediction=prediction[emotions == emotion].mean(axis=0),
                raters=_deviation([row for row, name in zip(rows, emotions, strict=True) if name == emotion]),
            )
            for emotion in in_order(set(emotions.tolist()))
        },
    )


def emotion_of(row: Mapping[str, Any]) -> str:
    """Emotion of a line: the true label of a joint model, else that which the corpus has beside its numbers, or ""."""
    truth = row["truth"]
    return truth if isinstance(truth, str) else str(row.get("emotion", ""))


def draw_plane(plane: Plane, path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw the density of predictions, and the centres of truth and prediction. UserError without predictions."""
    if not len(plane.prediction):
        raise UserError("no plane to draw: give at least one clip.")
    with style():
        caption = (
            "Blue: density of the predictions of all seeds. Squares: mean truth; a line leads to the mean prediction."
        )
        if any(centre.raters is not None for centre in plane.centres.values()):
            caption += " Crosses: mean standard deviation of the raters of a clip."
        figure = framed(5.6, 5.0, title, caption, stamp)
        axes = figure.add_subplot()
        _draw_density(axes, plane)
        for emotion, centre in plane.centres.items():
            _draw_centre(axes, emotion, centre, plane.ranges[1])
        across, up = plane.ranges
        axes.axvline(sum(across) / 2, color=INK, linewidth=0.6, alpha=0.4)
        axes.axhline(sum(up) / 2, color=INK, linewidth=0.6, alpha=0.4)
        axes.set(xlim=across, ylim=up, xlabel=AXES[0], ylabel=AXES[1])
        legend_above(figure, [axes])
        return save(figure, path)


def _picture(evidence: PartEvidence, group: Group, config: Configuration) -> Picture:
    plane = plane_of(evidence, config)
    title, stamp = f"Valence and arousal: {group.heading}, {group.label(config)}", stamp_of([config])
    words = "; ".join(
        f"{emotion or 'all clips'}: truth {_pair(centre.truth)}, prediction {_pair(centre.prediction)}"
        for emotion, centre in plane.centres.items()
    )
    return Picture(
        name=f"plane-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. Mean valence and arousal of {words}.",
        draw=lambda path: draw_plane(plane, path, title, stamp),
    )


def _pair(values: Floats) -> str:
    return f"{values[0]:.2f} and {values[1]:.2f}"


def _draw_density(axes: Axes, plane: Plane) -> None:
    """Cells of one colour, the fuller the less transparent: they show on light and on dark ground."""
    cells = int(np.clip(np.sqrt(len(plane.prediction)), FEWEST_CELLS, MOST_CELLS))
    counts, across, up = np.histogram2d(plane.prediction[:, 0], plane.prediction[:, 1], bins=cells, range=plane.ranges)
    for column, row in zip(*np.nonzero(counts), strict=True):
        share = float(counts[column, row] / counts.max())
        width, height = across[column + 1] - across[column], up[row + 1] - up[row]
        axes.bar(
            across[column], height, width, up[row], align="edge", color=BLUE, alpha=0.12 + 0.7 * share, linewidth=0
        )


def _draw_centre(axes: Axes, emotion: str, centre: Centre, ends: tuple[float, float]) -> None:
    (x, y), (x_end, y_end) = centre.truth, centre.prediction
    height = (y - ends[0]) / (ends[1] - ends[0])
    is_above = height < EDGE or (height < 1 - EDGE and y_end < y)
    axes.plot([x, x_end], [y, y_end], color=INK, linewidth=1, zorder=4)
    axes.plot(x_end, y_end, "o", color=INK, markersize=4, zorder=5, label="mean prediction")
    if centre.raters is not None:
        across, up = centre.raters
        axes.errorbar(x, y, yerr=up, xerr=across, color=VERMILLION, linewidth=0.8, alpha=0.7, zorder=4)
    axes.plot(x, y, "s", color=VERMILLION, markersize=7, markeredgecolor="white", zorder=6, label="mean truth")
    look: dict[str, Any] = {"ha": "center", "va": "bottom" if is_above else "top", "fontsize": 8, "zorder": 7}
    axes.annotate(emotion, (x, y), xytext=(0, 6 if is_above else -6), textcoords="offset points", **look)


def _deviation(rows: list[Mapping[str, Any]]) -> Floats | None:
    """Mean over clips of the raters' standard deviation, (2,); None where no clip has it."""
    deviations = [row["deviation"] for row in rows if set(AXES) <= set(row.get("deviation") or ())]
    return np.array([[values[name] for name in AXES] for values in deviations]).mean(axis=0) if deviations else None
