"""The paper's Figure 4 drawn anew: frozen backbones by corpus, with intervals, and what the paper's text gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError
from affetto.models.catalogue import BACKBONES
from affetto.reporting.intervals import interval_words
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.papers.dasaro2024.protocols import SCENARIOS, Protocol
from affetto.reporting.render.canvas import BLUE, GREY, INK, VERMILLION, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.naming import corpus_title

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


def picture(protocol: Protocol) -> Picture:
    """The paper's Figure 4 with what was run."""
    panels = {corpus_title(corpus): [_bar(protocol, key, corpus) for key in SCENARIOS] for corpus in numbers.CORPORA}
    title = "Frozen backbones by corpus, after the paper's Figure 4"
    words = (
        "Macro F1 of the downstream classifier on frozen backbones, mean over seeds; whiskers: "
        f"{interval_words(protocol.estimates)}. Diamonds: the three values that the paper's text gives; "
        f"its other bars are not published as text. {protocol.words}"
    )
    ones = [one for one in protocol.ones if protocol.evidence.system(one)]
    said = stamp_of(ones)

    def draw(path: Path) -> Path:
        return draw_bars(panels, path, title, words, said)

    return Picture(f"figure-4{protocol.suffix}", title, f"{title}. The same values stand in the table.", draw)


def draw_bars(panels: Mapping[str, Sequence[Bar]], path: str | Path, title: str, words: str, stamp: str = "") -> Path:
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


def _bar(protocol: Protocol, key: str, corpus: str) -> Bar:
    one = protocol.find(key, "frozen", corpus)
    printed = numbers.published(key, "frozen", corpus)
    bar = Bar(BACKBONES[key].title, BACKBONES[key].scenario, published=printed.mean if printed else None)
    if one is None or not protocol.evidence.system(one):
        return bar
    estimate, baseline = protocol.evidence.estimate(one), protocol.evidence.baseline(one)
    probe = None if baseline is None else 100 * protocol.evidence.spread(baseline).mean
    mean = 100 * protocol.evidence.spread(one).mean
    ends = (100 * estimate.low, 100 * estimate.high)
    return Bar(bar.name, bar.scenario, mean, *ends, probe, bar.published)
