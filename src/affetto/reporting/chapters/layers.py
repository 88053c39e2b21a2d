"""Sizes of the hidden states, layer by layer: the recipe as it is, and with one setting changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.reporting.render.canvas import MARKS, framed, legend_above, save, style
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.sheet import Cell, Column, Sheet, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, changes
from affetto.reporting.results.records import BESIDE, Configuration

Sizes = Mapping[str, Any]
"""Sizes of the states as a run's metrics have them: `rms` [L+1 sizes] and `share` [L+1 fractions of the pooled]."""

MOST_PANELS = 9
PANELS_ACROSS = 3
CAPTION = (
    "Root mean square of the elements of each state over the frames of some test clips, on a logarithmic scale; state "
    "0 is the embedding output."
)


def state_table(evidence: Evidence) -> Sheet | None:
    """A row a configuration and change: the size of each hidden state; None where no run has measured it."""
    groups = _groups(evidence)
    if not groups:
        return None
    count = max(len(sizes["rms"]) for group in groups.values() for sizes in group.values())
    return Sheet(
        name="states",
        title="Sizes of the hidden states",
        columns=(
            Column("configuration", is_number=False),
            Column("changed", is_number=False),
            *(Column(str(number)) for number in range(count)),
        ),
        rows=tuple(
            (text_cell(name), text_cell(change), *(_cell(sizes, number) for number in range(count)))
            for name, group in groups.items()
            for change, sizes in group.items()
        ),
        caption=(
            "Size of each hidden state (root mean square of its elements over the frames of some test clips of one "
            "fold, first seed), from the embedding output, 0, to the last block; below: its share of the pooled state, "
            "%."
        ),
        stamp=stamp_of([config for config in evidence.configurations if _sizes(config)]),
    )


def state_picture(evidence: Evidence) -> Picture:
    """A panel a configuration that has measured its states, a line a change."""
    groups = dict(list(_groups(evidence).items())[:MOST_PANELS])
    title, stamp = "Sizes of the hidden states", stamp_of(evidence.configurations)
    return Picture(
        name="states",
        title=title,
        alt=f"{title}. The same values stand in the table.",
        draw=lambda path: draw_states(groups, path, title, stamp),
    )


def draw_states(groups: Mapping[str, Mapping[str, Sizes]], path: str | Path, title: str, stamp: str = "") -> Path:
    """Draw `groups` {configuration: {change: sizes}}. Raises UserError where there are none."""
    if not groups:
        raise UserError("no states to draw: run a grid with record_states: true.")
    changed = list(dict.fromkeys(change for group in groups.values() for change in group))
    marks = dict(zip(changed, MARKS, strict=False))
    columns = min(PANELS_ACROSS, len(groups))
    rows = -(-len(groups) // columns)
    with style():
        figure = framed(max(5.2, 2.7 * columns + 0.6), 2.3 * rows + 0.4, title, CAPTION, stamp)
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in panels.flat[len(groups) :]:
            axes.set_visible(False)
        for axes, (name, group) in zip(panels.flat, groups.items(), strict=False):
            for change, sizes in group.items():
                colour, mark = marks.get(change, MARKS[-1])
                rms = [max(1e-12, float(value)) for value in sizes["rms"]]
                axes.plot(range(len(rms)), rms, f"{mark}-", color=colour, markersize=4, linewidth=1.2, label=change)
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda *_: "")
            axes.set_title(name, fontsize=8)
            axes.set_xlabel("state")
            axes.locator_params(axis="x", integer=True)
        for axes in panels[:, 0]:
            axes.set_ylabel("size (RMS)")
        legend_above(figure, panels.flat)
        return save(figure, path)


def _groups(evidence: Evidence) -> dict[str, dict[str, Sizes]]:
    """{backbone, corpus, method: {change: sizes of the states}} of the runs that have measured them."""
    configs = [config for config in evidence.configurations if _sizes(config)]
    naming = Naming(configs, hide=("changed",))
    groups: dict[str, dict[str, Sizes]] = {}
    for config in configs:
        change = changes(evidence.changed(config)) or "unchanged"
        groups.setdefault(naming.label(config), {})[change] = _sizes(config) or {}
    return groups


def _sizes(config: Configuration) -> Sizes | None:
    if config.axes.recipe == BESIDE:
        return None  # the states are those of the run that the probe stood beside
    sizes: Sizes | None = (config.done[0].metrics or {}).get("states") if config.done else None
    return sizes if sizes and "rms" in sizes else None


def _cell(sizes: Sizes, number: int) -> Cell:
    if number >= len(sizes["rms"]):
        return Cell("")
    rms, share = float(sizes["rms"][number]), 100 * float(sizes["share"][number])
    return Cell(f"{rms:.3g}", rms, under=f"{share:.0f} %", values=(("rms", rms), ("share (%)", share)))
