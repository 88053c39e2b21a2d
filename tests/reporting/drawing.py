"""What every figure must be: nothing of it clipped, no words over others."""

from __future__ import annotations

import itertools


def texts(figure):
    from matplotlib.text import Text

    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def assert_clean(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    width, height = figure.bbox.size
    # Ticks beyond an axis' limits keep their text but are not drawn.
    boxes = {id(text): (text.get_text(), text.get_window_extent()) for text in texts(figure)}
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not axes.get_visible() or not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    boxes.pop(id(tick.label1), None)
    for words, box in boxes.values():
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, words
    for (words, box), (others, other) in itertools.combinations(boxes.values(), 2):
        across = min(box.x1, other.x1) - max(box.x0, other.x0)
        along = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert across < 0.5 or along < 0.5, (words, others)
