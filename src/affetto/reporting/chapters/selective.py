"""Selective answers: errors of the clips of which a system is most sure, and sets that hold the true label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from affetto.errors import UserError
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import Group, drawn_part, group_by_corpus, opening, stem
from affetto.reporting.render.canvas import GRID, MARKS, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, percent_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming
from affetto.reporting.stats.selective import Selective, SetCoverage, measure_selective, measure_set_coverage
from affetto.targets.label_sets import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHARES = (1.0, 0.8, 0.5)
"""Shares of the clips at which the table gives the errors."""
LEAST_DRAWN = 0.05
"""Share of the clips at which the curves begin: below it a clip more or less is a leap."""
CAPTION = (
    "Share of errors where a system answers only the clips of which it is most sure; at the right edge it answers "
    "all. Mean over seeds."
)


def build(evidence: Evidence) -> Section:
    groups = [drawn_part(evidence, group) for group in group_by_corpus(evidence)]
    return Section(
        words=(
            "What a system that may keep silent would gain: the errors that are left where it answers only its surest "
            "clips, and how large the sets of labels must be that hold the true one of nine clips in ten."
        ),
        items=(*(_picture(evidence, group) for group in groups), selective_table(evidence)),
    )


def selective_table(evidence: Evidence) -> Sheet:
    """A row a configuration: area under the risk-coverage curve, errors at three shares, sets of labels."""
    naming = Naming(evidence.configurations)
    rows, over = [], set()
    for config in evidence.configurations:
        system = evidence.system(config)
        assert system is not None
        selective, sets = measure_selective(system), measure_set_coverage(system)
        over.add(selective.over)
        risks = [percent_cell(selective.risk(share)) for share in SHARES]
        rows.append((*naming.cells(config), _area_cell(selective), *risks, *_set_cells(sets)))
    heads = [f"errors at {100 * share:.0f} %" for share in SHARES]
    level = f"{100 * LEVEL:.0f} %"
    return Sheet(
        name="selective",
        title="Answers and silence",
        columns=(
            *naming.columns(),
            *columns("AURC", *heads, f"sets of {level} hold", "labels in a set", "least", "for", texts=("for",)),
        ),
        rows=tuple(rows),
        caption=(
            f"{opening(naming)}×100. AURC: area under the risk-coverage curve, the mean share of errors over all "
            "shares of clips that may be answered, the surest first; below: 95 % interval over "
            f"{' or '.join(sorted(over))}. Errors at 80 %: where the surest 80 % of the clips are answered. Sets: as "
            f"many labels for each clip as hold the true one in {level} of the clips of all other speakers (split "
            "conformal, 1 − p; the first seed). They hold it in so many clips of a speaker who had no part in their "
            "limit; below: the interval; least: for the speaker of whom they hold it least often."
        ),
        stamp=stamp_of(evidence.configurations),
        slim=Slim(
            caption=f"{opening(naming)}×100. AURC: area under the risk-coverage curve. Sets: split conformal, {level}.",
            without=("for", "least"),
        ),
    )


def draw_selective(curves: Mapping[str, Selective], path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw the share of errors against the share of clips answered, a line a configuration. UserError for none."""
    if not curves:
        raise UserError("no curves to draw: give at least one configuration.")
    with style():
        figure = framed(8.2, 3.2, title, CAPTION, stamp)
        axes = figure.add_subplot()
        for number, (name, selective) in enumerate(curves.items()):
            _draw_curve(axes, number, name, selective)
        axes.set(xlabel="clips answered (%)", ylabel="errors among them (%)", xlim=(0, 100.5))
        axes.set_ylim(bottom=0)
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        legend_above(figure, [axes])
        return save(figure, path)


def _draw_curve(axes: Axes, number: int, name: str, selective: Selective) -> None:
    """Draw one line, with its mark at every tenth of the clips."""
    count = len(selective.risks)
    shares = np.arange(1, count + 1) / count
    drawn = shares >= min(LEAST_DRAWN, 1.0)
    colour, mark = MARKS[number % len(MARKS)]
    x, y = 100 * shares[drawn], 100 * selective.risks[drawn]
    # Marks of the lines stand apart along them: lines that coincide can be told by their marks.
    first = (number * len(x)) // (10 * len(MARKS))
    every = (first, max(1, len(x) // 10))
    axes.plot(x, y, color=colour, linewidth=1.3, marker=mark, markevery=every, markersize=5, label=name)


def _picture(evidence: Evidence, group: Group) -> Picture:
    curves = {
        group.label(config): measure_selective(system)
        for config in group.configurations
        if (system := evidence.system(config))
    }
    title, stamp = f"Errors of the surest clips: {group.heading}", stamp_of(group.configurations)
    areas = "; ".join(f"{name} AURC {percent_text(selective.area)}" for name, selective in curves.items())
    return Picture(
        name=f"selective-{stem(evidence, group)}",
        title=title,
        alt=f"{title}. {areas}.",
        draw=lambda path: draw_selective(curves, path, title, stamp),
    )


def _area_cell(selective: Selective) -> Cell:
    low, high = selective.interval or (None, None)
    values = (("", 100 * selective.area), ("low", _hundredfold(low)), ("high", _hundredfold(high)))
    under = "" if low is None or high is None else f"{percent_text(low)}–{percent_text(high)}"
    return Cell(percent_text(selective.area), 100 * selective.area, under=under, values=values)


def _set_cells(sets: SetCoverage | None) -> tuple[Cell, Cell, Cell, Cell]:
    if sets is None:
        return Cell(DASH), Cell(DASH), Cell(DASH), Cell(DASH)
    low, high = sets.interval
    held = Cell(
        percent_text(sets.coverage),
        100 * sets.coverage,
        under=f"{percent_text(low)}–{percent_text(high)}",
        values=(("", 100 * sets.coverage), ("low", 100 * low), ("high", 100 * high)),
    )
    name, share = sets.lowest
    return held, Cell(f"{sets.size:.1f}", sets.size), percent_cell(share), Cell(name, name)


def _hundredfold(value: float | None) -> float | None:
    return None if value is None else 100 * value


SELECTIVE = Chapter(name="selective", title="When to answer, and when not", order=505, build=build)
