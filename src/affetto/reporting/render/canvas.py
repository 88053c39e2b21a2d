"""Canvas of all figures: their look, the frame of title, stamp and caption, and the file that they end in.

Figures are drawn on matplotlib's `Figure` objects, never through pyplot: no display, no global figure, usable in a
server. The same data give the same bytes. Colours are Okabe and Ito's, which colour-blind readers can tell apart;
position, line style or words repeat what every colour says.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError, unknown
from affetto.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, INK, GREY = "#0072B2", "#D55E00", "#222222", "#666666"
GRID, LINE_GREY = "#E5E5E5", "#CCCCCC"
MARKS = (
    (INK, "s"),
    (BLUE, "o"),
    (VERMILLION, "^"),
    ("#009E73", "D"),
    ("#CC79A7", "v"),
    ("#E69F00", "P"),
    ("#56B4E9", "X"),
    (GREY, "*"),
)
"""Colours with a shape each, for lines and points that a figure tells apart."""
DPI = 150
# Neither a date nor matplotlib's version: a figure changes only with what it shows.
METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": "affetto"},
    ".svg": {"Date": None, "Creator": "affetto"},
}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so every machine sets the same line breaks
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a user's title stays a dollar sign
    "axes.facecolor": "none",  # the background of the figure shows through
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "affetto",
    "svg.fonttype": "none",  # text stays text: it can be found, copied and read aloud
}
TITLE_POINTS, CAPTION_POINTS, MARGIN_INCHES, LEGEND_INCHES = 12, 8, 0.14, 0.26
# Mean advance of a character of DejaVu Sans and height of a line, in units of the font's size.
CHARACTER, BOLD_CHARACTER, LINE = 0.53, 0.64, 1.4


@contextmanager
def style() -> Iterator[None]:
    """Set matplotlib's defaults and our settings for one figure, whatever the user's settings are."""
    try:
        from matplotlib import style as styles
    except ImportError as error:
        raise UserError("figures need matplotlib: pip install 'affetto[report]'") from error
    with styles.context(["default", STYLE]):
        yield


def framed(width: float, height: float, title: str, caption: str, stamp: str) -> Figure:
    """A figure of `width` × `height` inches for the axes, with stamp and title above and caption below.

    Texts are broken to the width beforehand, and their height is added to the figure's, so that long texts collide
    with nothing.
    """
    from matplotlib.figure import Figure

    room = (width - 2 * MARGIN_INCHES) * 72
    above = textwrap.wrap(title, int(room / (TITLE_POINTS * BOLD_CHARACTER)), break_on_hyphens=False)
    below = textwrap.wrap(caption.strip(), int(room / (CAPTION_POINTS * CHARACTER)))
    raised = 0.28 if stamp else 0.0
    header = raised + len(above) * LINE * TITLE_POINTS / 72 + 1.5 * MARGIN_INCHES
    footer = len(below) * LINE * CAPTION_POINTS / 72 + 2 * MARGIN_INCHES
    total = height + header + footer
    figure = Figure(figsize=(width, total), facecolor="white")
    figure.set_layout_engine("constrained", rect=(0.01, footer / total, 0.98, height / total))
    x, top = MARGIN_INCHES / width, 1 - MARGIN_INCHES / total
    if stamp:
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": VERMILLION, "linewidth": 1.2}
        look: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 8, "fontweight": "bold", "color": VERMILLION}
        figure.text(x + 0.04 / width, top - 0.03 / total, stamp.upper(), bbox=box, **look)
    title_look: dict[str, Any] = {"ha": "left", "va": "top", "linespacing": LINE / 1.2, "fontweight": "bold"}
    figure.text(x, top - raised / total, "\n".join(above), fontsize=TITLE_POINTS, **title_look)
    caption_look: dict[str, Any] = {"ha": "left", "va": "bottom", "linespacing": LINE / 1.2}
    figure.text(x, MARGIN_INCHES / total, "\n".join(below), fontsize=CAPTION_POINTS, color=GREY, **caption_look)
    return figure


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure in the format of the suffix; a reader sees the old file or the new, never half."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in METADATA:
        raise unknown("figure format", suffix or path.name, METADATA, hint="The suffix of the path chooses it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    settle(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=DPI, metadata=METADATA[suffix])
    return path


def settle(figure: Figure) -> None:
    """Fix the layout of the axes, to a millionth of the figure.

    The layout's solver takes its constraints in the order of their addresses in memory, so that the last bits of a
    position differ from one drawing to the next; an SVG names its clip paths by a hash of those bits.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        x0, y0, width, height = axes.get_position(original=True).bounds
        axes.set_position((round(x0, 6), round(y0, 6), round(width, 6), round(height, 6)), which="original")


def legend(axes: Axes) -> None:
    """Add the legend above the axes, where no curve can run under it."""
    handles = legend_handles([axes])
    if handles:
        look: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "frameon": False, "fontsize": 8}
        axes.legend(handles.values(), handles.keys(), ncols=len(handles), **look)


def legend_above(figure: Figure, panels: Iterable[Axes]) -> None:
    """Add one legend for several panels between the title and them, in as many lines as its words need.

    The figure grows by the lines beyond the first.
    """
    handles = legend_handles(panels)
    engine = figure.get_layout_engine()
    if not handles or engine is None:
        return
    x, _, width, _ = engine.get()["rect"]
    look: dict[str, Any] = {"frameon": False, "fontsize": 8, "borderaxespad": 0, "loc": "upper right"}
    names = ["\n".join(textwrap.wrap(name, _characters(figure, width), break_on_hyphens=False)) for name in handles]
    look["bbox_to_anchor"] = (x + width, 1.0)
    drawn = figure.legend(handles.values(), names, ncols=len(handles), **look)
    for columns in range(len(handles), 0, -1):
        drawn.remove()
        drawn = figure.legend(handles.values(), names, ncols=columns, **look)
        extent = drawn.get_window_extent()
        if extent.width <= width * figure.bbox.width:
            break
    height = max(LEGEND_INCHES, extent.height / figure.dpi + 0.06)
    _grow(figure, height - LEGEND_INCHES)
    x, y, width, rest = engine.get()["rect"]
    share = height / figure.get_size_inches()[1]
    figure.set_layout_engine("constrained", rect=(x, y, width, rest - share))
    drawn.set_bbox_to_anchor((x + width, y + rest))


def _characters(figure: Figure, width: float) -> int:
    """Number of characters that fit one line of a legend, beside the mark."""
    return int((width * figure.get_size_inches()[0] * 72 - 40) / (8 * BOLD_CHARACTER))


def _grow(figure: Figure, inches: float) -> None:
    """Make the figure taller between title and caption, which keep their distances from the edges."""
    width, height = figure.get_size_inches()
    engine = figure.get_layout_engine()
    if inches <= 0 or engine is None:
        return
    taller = height + inches
    x, y, across, along = engine.get()["rect"]
    for text in figure.texts:
        y_text, shrink = text.get_position()[1], height / taller
        text.set_y(1 - (1 - y_text) * shrink if text.get_verticalalignment() == "top" else y_text * shrink)
    figure.set_size_inches(width, taller)
    rect = (x, y * height / taller, across, (along * height + inches) / taller)
    figure.set_layout_engine("constrained", rect=rect)


def legend_handles(panels: Iterable[Axes]) -> dict[str, Any]:
    """{label: mark} of these panels, without repetitions."""
    return {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
