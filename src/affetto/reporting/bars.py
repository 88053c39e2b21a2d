"""The paper's Figure 4 drawn anew: frozen backbones by corpus, with intervals, and what the paper's text gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError
from affetto.reporting.canvas import BLUE, GREY, INK, VERMILLION, framed, legend_above, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCENARIO_COLOURS = {"A": BLUE, "B": VERMILLION}


@dataclass(frozen=True)
class Bar:
    """One backbone on one corpus, ×100; `mean` None where it was not run, `published` None where nothing is."""

    name: str
    scenario: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    probe: float | None = None
    published: float | None = None


def figure_4(panels: Mapping[str, Sequence[Bar]], path: str | Path, title: str, words: str, stamp: str = "") -> Path:
    """A panel a corpus, a bar a backbone: scenario A blue, B hatched; the paper's values as diamonds."""
    if not any(panels.values()):
        raise UserError("no bars to draw: give at least one backbone.")
    with style():
        longest = max(len(bar.name) for bars in panels.values() for bar in bars)
        figure = framed(2.9 * len(panels) + 0.055 * longest + 0.7, 3.4, title, words, stamp)
        every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (name, bars) in zip(every, panels.items(), strict=True):
            _panel(axes, name, bars)
        legend_above(figure, every)
        return save(figure, path)


def _panel(axes: Axes, name: str, bars: Sequence[Bar]) -> None:
    for y, bar in enumerate(bars):
        colour = SCENARIO_COLOURS.get(bar.scenario, GREY)
        if bar.mean is None:
            axes.text(1.5, y, "not run", va="center", fontsize=7, color=GREY)
        else:
            hatch = "////" if bar.scenario == "B" else ""
            look: dict[str, Any] = {"facecolor": "white" if hatch else colour, "edgecolor": colour, "hatch": hatch}
            axes.barh(y, bar.mean, height=0.66, label=f"scenario {bar.scenario}", linewidth=1, **look)
        if bar.low is not None and bar.high is not None:
            axes.plot([bar.low, bar.high], [y, y], "|-", color=INK, linewidth=1.2, markersize=6, label="95 % interval")
        if bar.probe is not None:
            axes.plot([bar.probe] * 2, [y - 0.42, y + 0.42], color=GREY, linewidth=2, label="probe", zorder=3)
        if bar.published is not None:
            axes.plot(
                bar.published, y, "D", color=INK, markersize=6, markerfacecolor="white", label="the paper", zorder=4
            )
    axes.set_yticks(range(len(bars)), [f"{bar.name} ({bar.scenario})" for bar in bars])
    axes.set(ylim=(len(bars) - 0.4, -0.6), xlim=(0, 100), title=name, xlabel="macro F1 (×100)")
    axes.title.set_fontsize(10)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
