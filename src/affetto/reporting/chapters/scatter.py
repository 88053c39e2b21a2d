"""Truth and prediction of each dimension, clip by clip, beside the line on which both are equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from affetto.errors import UserError
from affetto.measures.confusion import Floats
from affetto.measures.regression import CCC
from affetto.reporting.chapters.selection import Group, drawn_part, group_by_corpus, stem
from affetto.reporting.render.canvas import BLUE, GREY, INK, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.parts import PartEvidence
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.judged import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ACROSS = 4
"""Configurations side by side."""
MOST_POINTS = 800
"""Clips that a panel draws; of more, evenly many of them."""


@dataclass(frozen=True, kw_only=True)
class Points:
    """Truth and prediction of one dimension, (clips,), of the clips of all seeds."""

    truth: Floats
    prediction: Floats
    low: float
    high: float
    """Ends of the dimension's range."""
    score: str
    """CCC as tables show it."""


Panels = Mapping[str, Mapping[str, Points]]
"""Points of each dimension, by configuration and dimension."""


def scatter_pictures(evidence: PartEvidence) -> list[Picture]:
    """A figure a corpus and split, a row of panels a dimension, a column a configuration."""
    return [_picture(evidence, drawn_part(evidence, group)) for group in group_by_corpus(evidence)]


def draw_scatter(panels: Panels, path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw prediction against truth, a column a configuration, a row a dimension. UserError where there are none."""
    if not panels:
        raise UserError("no dimensions to draw: give at least one configuration.")
    names = list(dict.fromkeys(name for of_names in panels.values() for name in of_names))
    with style():
        caption = f"A dot is a clip of one seed; at most {MOST_POINTS} a panel are drawn, evenly from all."
        figure = framed(max(4.6, 2.3 * len(panels) + 0.6), 2.3 * len(names) + 0.4, title, caption, stamp)
        grid = figure.subplots(len(names), len(panels), squeeze=False)
        for column, (config, of_names) in zip(grid.T, panels.items(), strict=True):
            column[0].set_title(config, fontsize=9)
            column[-1].set_xlabel("truth")
            for axes, name in zip(column, names, strict=True):
                if name in of_names:
                    _draw_panel(axes, of_names[name])
                else:
                    axes.set_visible(False)
        for axes, name in zip(grid[:, 0], names, strict=True):
            axes.set_ylabel(f"predicted {name}")
        legend_above(figure, grid.flat)
        return save(figure, path)


def points_of(evidence: PartEvidence, config: Configuration) -> dict[str, Points]:
    """Points of each dimension of a configuration."""
    system = evidence.outcomes(config)
    assert system is not None
    pairs = [numbers(system.target, system.runs[seed]) for seed in system.seeds]
    truth, prediction = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return {
        name: Points(
            truth=truth[:, column],
            prediction=prediction[:, column],
            low=ends.low,
            high=ends.high,
            score=CCC.text(evidence.spread(config, f"{CCC.name}_{name}").mean),
        )
        for column, (name, ends) in enumerate(system.target.dimensions.items())
    }


def _picture(evidence: PartEvidence, group: Group) -> Picture:
    panels = {
        group.label(config): points_of(evidence, config)
        for config in _drawn_configurations(evidence, group.configurations)
    }
    title, stamp = f"Truth and prediction: {group.heading}", stamp_of(group.configurations)
    scores = "; ".join(
        f"{config} {', '.join(f'{name} CCC {points.score}' for name, points in of_names.items())}"
        for config, of_names in panels.items()
    )
    return Picture(
        name=f"scatter-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. {scores}.",
        draw=lambda path: draw_scatter(panels, path, title, stamp),
    )


def _drawn_configurations(evidence: PartEvidence, configs: Sequence[Configuration]) -> Sequence[Configuration]:
    """The best of many configurations, and the probe of the first of them, in their order."""
    if len(configs) <= MOST_ACROSS:
        return configs
    trained = [config for config in configs if not config.axes.is_baseline] or configs
    best = sorted(trained, key=lambda config: -evidence.spread(config).mean)[: MOST_ACROSS - 1]
    probes = [config for config in configs if config.axes.is_baseline and config.axes.target == best[0].axes.target]
    return [config for config in configs if config in best or config in probes[:1]]


def _draw_panel(axes: Axes, points: Points) -> None:
    step = max(1, -(-len(points.truth) // MOST_POINTS))
    fade = 0.55 if len(points.truth) // step <= 200 else 0.3
    ends = (points.low, points.high)
    margin = 0.03 * (points.high - points.low)
    axes.plot(ends, ends, "--", color=INK, linewidth=1, label="prediction = truth")
    truth, prediction = points.truth[::step], points.prediction[::step]
    axes.scatter(truth, prediction, s=9, color=BLUE, alpha=fade, linewidths=0, zorder=3)
    limits = (points.low - margin, points.high + margin)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.locator_params(nbins=5)
    axes.text(0.04, 0.96, f"CCC {points.score}", transform=axes.transAxes, va="top", fontsize=8, color=GREY)
