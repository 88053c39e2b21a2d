"""Picture of the rooms of the code: the layers of the import contract, drawn as SVG."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from html import escape
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "affetto"
WIDTH, ROW, GAP, MARGIN = 760, 34, 8, 24
"""In pixels: the picture's width, a row's height, the space between rows, and the space for the arrow."""


def picture(layers: Sequence[Sequence[str]]) -> str:
    """SVG of the layers from top to bottom; a room may import from all rows below its own."""
    height = len(layers) * (ROW + GAP) + GAP
    left = 2 * MARGIN
    shapes = []
    for row, layer in enumerate(layers):
        width = (WIDTH - left - GAP * len(layer)) / len(layer)
        for column, room in enumerate(layer):
            x, y = left + column * (width + GAP), GAP + row * (ROW + GAP)
            shapes.append(
                f"<g><title>{escape(room)}: {escape(purpose(room))}</title>"
                f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{ROW}" rx="5" fill="#00897b" '
                f'fill-opacity=".12" stroke="#00897b"/>'
                f'<text x="{x + width / 2:.0f}" y="{y + ROW / 2 + 5:.0f}" text-anchor="middle" '
                f'fill="currentColor" font-size="14" font-family="monospace">{escape(room)}</text></g>'
            )
    arrow = (
        f'<path d="M{MARGIN} {GAP} V{height - 2 * GAP} m-5 -8 l5 8 l5 -8" fill="none" stroke="currentColor"/>'
        f'<text x="{MARGIN - 8}" y="{height / 2:.0f}" transform="rotate(-90 {MARGIN - 8} {height / 2:.0f})" '
        f'text-anchor="middle" fill="currentColor" font-size="13" font-family="sans-serif">may import</text>'
    )
    names = "; ".join(", ".join(layer) for layer in layers)
    return (
        f'<div><svg viewBox="0 0 {WIDTH} {height}" role="img" style="max-width:{WIDTH}px;width:100%" '
        f'aria-label="Rooms from top to bottom: {escape(names)}">{arrow}{"".join(shapes)}</svg></div>'
    )


def purpose(room: str) -> str:
    """First paragraph of a room's docstring."""
    file = SOURCE / room / "__init__.py"
    tree = ast.parse((file if file.is_file() else SOURCE / f"{room}.py").read_text(encoding="utf-8"))
    return " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
