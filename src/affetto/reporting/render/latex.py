r"""LaTeX of a table, whole: a `longtable` in the largest print in which it fits the line, on its side where it must."""

from __future__ import annotations

from collections.abc import Sequence

from affetto.reporting.render.sheet import Cell, Column, Sheet
from affetto.reporting.render.widths import Layout, Size, choose_layout, wrap

LINE, LANDSCAPE = 345.0, 500.0
"""Points of a line in LaTeX's `article` of 10 points, upright and on its side, where the margins are taken off."""
GAP = 3.0
"""Points at each side of a column."""
LAYOUTS = (
    *((name, LINE) for name in ("small", "footnotesize", "scriptsize")),
    *((name, LANDSCAPE) for name in ("footnotesize", "scriptsize", "tiny")),
)
"""Sizes and widths, the first that fits is taken."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "[": "{[}",  # else the argument of a line break before it
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "—": "---",
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "·": r"\ensuremath{\cdot}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "Δ": r"\ensuremath{\Delta}",
    "→": r"\ensuremath{\rightarrow}",
    "√": r"\ensuremath{\surd}",
    "α": r"\ensuremath{\alpha}",
    "²": r"\ensuremath{^2}",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "✓": r"\ensuremath{\surd}",
    "\u00a0": "~",
    "\u202f": "~",
    "\u2009": r"\,",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "≈": r"\ensuremath{\approx}",
}
_BREAKABLE = "_/.,-="
"""Characters after which a name may be broken into lines."""


def latex(sheet: Sheet) -> str:
    r"""A `longtable` with all columns and all lines of the cells; text in UTF-8.

    It needs `\usepackage{booktabs,longtable,array}`, with `pdflscape` for a table on its side.
    """
    layout = choose_layout(sheet, LAYOUTS, GAP, is_full=True)
    is_landscape = layout.line == LANDSCAPE
    lines = [
        rf"% \usepackage{{booktabs,longtable,array{',pdflscape' if is_landscape else ''}}}",
        *([r"\begin{landscape}"] if is_landscape else []),
        rf"{{\{layout.size.command}\setlength{{\tabcolsep}}{{{GAP:g}pt}}",
        rf"\begin{{longtable}}{{{column_spec(sheet, layout)}}}",
        rf"\caption{{{caption(sheet, sheet.caption)}}}\label{{tab:{sheet.name}}}\\",
        *(r"\toprule", header_line(sheet, layout), r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"),
        *body_lines(sheet, layout),
        r"\end{longtable}",
        *(rf"\noindent {tex(note)}\par" for note in sheet.notes),
        "}",
        *([r"\end{landscape}"] if is_landscape else []),
    ]
    return "\n".join(lines) + "\n"


def caption(sheet: Sheet, words: str) -> str:
    """Stamp, title and words of a table."""
    stamp = rf"\textbf{{{tex(sheet.stamp.upper())}.}} " if sheet.stamp else ""
    return f"{stamp}{tex(sheet.title)}. {tex(words)}".strip()


def column_spec(sheet: Sheet, layout: Layout) -> str:
    """Columns of a `tabular`: numbers right, texts left, those with a width in lines of that many points."""
    columns = zip(sheet.columns, layout.widths, strict=True)
    return "@{}" + "".join(_alignment(column, width) for column, width in columns) + "@{}"


def header_line(sheet: Sheet, layout: Layout) -> str:
    """Names of the columns."""
    return " & ".join(_header(sheet, layout, index) for index in range(len(sheet.columns))) + r" \\"


def body_lines(sheet: Sheet, layout: Layout) -> list[str]:
    """Rows of the table, with the rules between them."""
    lines = []
    for number, row in enumerate(sheet.rows):
        lines += [r"\midrule"] if number and number in sheet.breaks else []
        cells = zip(row, sheet.columns, layout.widths, strict=True)
        lines.append(" & ".join(_cell(cell, column, width, layout.size) for cell, column, width in cells) + r" \\")
    return lines


def tex(text: str, *, is_breakable: bool = False) -> str:
    r"""Text with LaTeX's special characters escaped; a breakable one may end a line within a name.

    >>> tex("50 % of A_1 & {B} – ±1")
    '50 \\% of A\\_1 \\& \\{B\\} -- \\ensuremath{\\pm}1'
    """
    end = r"\allowbreak{}" if is_breakable else ""
    return "".join(
        _LATEX.get(character, character) + (end if character in _BREAKABLE else "")
        for character in text.replace("\n", " ")
    )


def _header(sheet: Sheet, layout: Layout, index: int) -> str:
    """Name of a column, in as many lines as the width of its cells asks for."""
    column = sheet.columns[index]
    if layout.widths[index] is not None:
        return tex(column.name, is_breakable=True)
    lines = wrap(column.name, layout.needs[index].natural / layout.size.em)
    return _stacked([tex(line) for line in lines], column, "b")


def _alignment(column: Column, width: float | None) -> str:
    if width is None:
        return _side(column)
    side = "raggedleft" if column.is_number else "raggedright"
    return rf">{{\{side}\arraybackslash}}p{{{width:.1f}pt}}"


def _side(column: Column) -> str:
    return "r" if column.is_number else "l"


def _cell(cell: Cell, column: Column, width: float | None, size: Size) -> str:
    """Cell with the lines below its text."""
    is_wrapped = width is not None
    text = tex(cell.text, is_breakable=is_wrapped)
    text = rf"\textbf{{{text}}}" if cell.is_bold else text
    text = f"{{}}{text}" if text.startswith("*") else text  # else the argument of a line break before it
    if not cell.under:
        return text
    lines = [rf"{{\{size.smaller} {tex(line, is_breakable=is_wrapped)}}}" for line in cell.under.split("\n")]
    return r"\newline ".join([text, *lines]) if is_wrapped else _stacked([text, *lines], column, "t")


def _stacked(lines: Sequence[str], column: Column, line: str) -> str:
    """Lines one below the other in a cell; `line` is the one in the row: top (t) or bottom (b)."""
    if len(lines) == 1:
        return lines[0]
    return rf"\begin{{tabular}}[{line}]{{@{{}}{_side(column)}@{{}}}}" + r"\\ ".join(lines) + r"\end{tabular}"
