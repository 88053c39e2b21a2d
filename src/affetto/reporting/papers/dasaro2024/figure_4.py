"""Figure 4 of the paper: frozen backbones by corpus, as a table and a figure, with the values that its text gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.backbones.catalogue import BACKBONES
from affetto.errors import UserError
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.papers.dasaro2024.cells import EXPECTED, corpus_cell, mean_cell, protocol_sheet
from affetto.reporting.papers.dasaro2024.protocols import SCENARIOS, Protocol
from affetto.reporting.render.canvas import BLUE, GREY, INK, VERMILLION, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.sheet import Sheet, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.marks import interval_words
from affetto.reporting.results.naming import corpus_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCENARIO_COLOURS = {"A": BLUE, "B": VERMILLION}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Score of one backbone on one corpus, ×100."""

    name: str
    scenario: str
    mean: float | None = None
    """None where the backbone was not run."""
    low: float | None = None
    high: float | None = None
    probe: float | None = None
    published: float | None = None
    """None where the paper's text gives no value."""


def figure_4_table(protocol: Protocol) -> Sheet:
    """Score of each frozen backbone on each corpus, beside the three values that the paper's text gives."""
    rows = [
        (
            text_cell(BACKBONES[key].scenario),
            text_cell(BACKBONES[key].title),
            *(corpus_cell(protocol, key, corpus) for corpus in numbers.CORPORA),
            mean_cell(protocol, key, "frozen"),
        )
        for key in SCENARIOS
    ]
    caption = (
        "Macro F1 ×100 of the downstream classifier on the frozen backbone, by corpus: mean ± standard deviation "
        f"(ddof 1) over seeds, {interval_words(protocol.estimates)}, the probe's macro F1, the paper's value, and "
        f"{EXPECTED}. Of its Figure 4 the paper's text gives three values; the others are bars in an image and are not "
        f"read off. {protocol.words}"
    )
    names = ("scenario", "backbone", *map(corpus_title, numbers.CORPORA), "mean")
    return protocol_sheet(
        protocol,
        name="figure-4",
        title="Figure 4: frozen backbones by corpus",
        columns=columns(*names, texts=names[:2]),
        rows=rows,
        caption=caption,
        slim="Macro F1 ×100 of frozen backbones by corpus, mean ± standard deviation over seeds; below: the paper's.",
    )


def figure_4(protocol: Protocol) -> Picture:
    """Bars of the frozen backbones by corpus, drawn like the paper's Figure 4."""
    panels = {corpus_title(corpus): [_bar(protocol, key, corpus) for key in SCENARIOS] for corpus in numbers.CORPORA}
    title = "Frozen backbones by corpus, after the paper's Figure 4"
    words = (
        "Macro F1 of the downstream classifier on frozen backbones, mean over seeds; whiskers: "
        f"{interval_words(protocol.estimates)}. Diamonds: the three values that the paper's text gives; "
        f"its other bars are not published as text. {protocol.words}"
    )
    stamp = stamp_of(protocol.usable)

    def draw(path: Path) -> Path:
        return draw_bars(panels, path, title, words, stamp)

    return Picture(f"figure-4{protocol.suffix}", title, f"{title}. The same values stand in the table.", draw)


def draw_bars(panels: Mapping[str, Sequence[Bar]], path: str | Path, title: str, words: str, stamp: str = "") -> Path:
    """Draw a panel for each corpus with a bar for each backbone, B hatched, and the paper's values as diamonds.

    Raises UserError where there is no bar.
    """
    if not any(panels.values()):
        raise UserError("no bars to draw: give at least one backbone.")
    with style():
        longest = max(len(bar.name) for bars in panels.values() for bar in bars)
        figure = framed(2.9 * len(panels) + 0.055 * longest + 0.7, 3.4, title, words, stamp)
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (name, bars) in zip(row, panels.items(), strict=True):
            _draw_panel(axes, name, bars)
        legend_above(figure, row)
        return save(figure, path)


def _draw_panel(axes: Axes, name: str, bars: Sequence[Bar]) -> None:
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
    """Bar of a frozen backbone, finished or not."""
    config = protocol.find(key, "frozen", corpus)
    published = numbers.published(key, "frozen", corpus)
    bar = Bar(
        name=BACKBONES[key].title,
        scenario=BACKBONES[key].scenario,
        published=published.mean if published else None,
    )
    if config is None or not protocol.evidence.system(config):
        return bar
    estimate, baseline = protocol.evidence.estimate(config), protocol.evidence.baseline(config)
    return replace(
        bar,
        mean=100 * protocol.evidence.spread(config).mean,
        low=100 * estimate.low,
        high=100 * estimate.high,
        probe=None if baseline is None else 100 * protocol.evidence.spread(baseline).mean,
    )
