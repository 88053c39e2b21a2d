"""Sizes of the hidden states, layer by layer: the recipe as it is, and with one setting changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.reporting.render.canvas import framed, legend_above, save, style
from affetto.reporting.strips import MARKS

ACROSS = 3
WORDS = (
    "Root mean square of each state's elements over the frames of some test clips, on a logarithmic scale; 0 is the "
)
WORDS += "embedding output."


def state_sizes(
    groups: Mapping[str, Mapping[str, Mapping[str, Any]]], path: str | Path, title: str, stamp: str = ""
) -> Path:
    """A panel a configuration, a line a change; `groups` has {configuration: {change: {"rms": [L+1 sizes]}}}."""
    if not groups:
        raise UserError("no states to draw: run a grid with record_states: true.")
    changes = list(dict.fromkeys(name for group in groups.values() for name in group))
    look = dict(zip(changes, MARKS, strict=False))
    columns = min(ACROSS, len(groups))
    rows = -(-len(groups) // columns)
    with style():
        figure = framed(max(5.2, 2.7 * columns + 0.6), 2.3 * rows + 0.4, title, WORDS, stamp)
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in panels.flat[len(groups) :]:
            axes.set_visible(False)
        for axes, (name, group) in zip(panels.flat, groups.items(), strict=False):
            for change, each in group.items():
                colour, mark = look.get(change, MARKS[-1])
                sizes = [max(1e-12, float(value)) for value in each["rms"]]
                axes.plot(range(len(sizes)), sizes, f"{mark}-", color=colour, markersize=4, linewidth=1.2, label=change)
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
