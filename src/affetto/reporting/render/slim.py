r"""Slim LaTeX of a main table: a `table` of one column of an article, or a `table*` over both of its columns.

The cells have their texts alone, such as mean ± standard deviation; the paper's values stand in a row below each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from affetto.reporting.render.latex import body_lines, caption, column_spec, header_line, tex
from affetto.reporting.render.page_table import page_table
from affetto.reporting.render.sheet import Cell, Sheet
from affetto.reporting.render.widths import Layout, choose_layout, line_count

COLUMN, PAGE = 219.0, 450.0
"""Points of a column and of both columns of a page, by the narrowest of common articles (ACL, A4 `article`)."""
GAP = 2.5
"""Points at each side of a column of the table."""
MOST_LINES = 44
"""Lines of a page, below a caption; a longer table is set in parts."""
LAYOUTS = (("footnotesize", PAGE), ("scriptsize", PAGE), ("tiny", PAGE))
"""Sizes of a table over both columns, the first that fits is taken."""
OF_COLUMN = ("footnotesize", "scriptsize")
"""Sizes of a table of one column."""
MOST_BROKEN = 1.5
"""A column of an article takes a table whose rows have at most so many lines on average."""
PAPER = "paper"
"""Name of the values of a cell that are the paper's, and of their row."""


def slim_latex(sheet: Sheet) -> str:
    r"""The slim form of a sheet that has one; it needs `\usepackage{booktabs,array}`."""
    slimmed, layout = slim_layout(sheet)
    assert slimmed.slim is not None
    parts = list(_parts(slimmed, layout))
    words = slimmed.slim.caption
    tables = []
    for number, part in enumerate(parts, 1):
        part_words = f" Part {number} of {len(parts)}." if len(parts) > 1 else ""
        label = f"tab:{sheet.name}-slim" + (f"-{number}" if number > 1 else "")
        notes = sheet.notes if slimmed.slim.has_notes and number == len(parts) else ()
        tables.append(_table(part, layout, f"{words}{part_words}", label, notes))
    return "% \\usepackage{booktabs,array}\n" + "\n".join(tables)


def slim_layout(sheet: Sheet) -> tuple[Sheet, Layout]:
    """The sheet with the columns and rows of its slim form, and the sizes with which it is set."""
    slimmed = slim_sheet(sheet)
    for size in OF_COLUMN:
        layout = choose_layout(slimmed, [(size, COLUMN)], GAP, is_full=False)
        if width(layout) <= COLUMN and _mean_lines(slimmed, layout) <= MOST_BROKEN:
            return slimmed, layout
    return slimmed, choose_layout(slimmed, LAYOUTS, GAP, is_full=False)


def slim_sheet(sheet: Sheet) -> Sheet:
    """The columns of the slim form, with words that all rows share in the caption, and the paper's rows."""
    assert sheet.slim is not None
    indices = [index for index, column in enumerate(sheet.columns) if column.name not in sheet.slim.without]
    names = {sheet.columns[index].name for index in indices}
    narrower = replace(
        sheet,
        columns=tuple(sheet.columns[index] for index in indices),
        rows=tuple(tuple(replace(row[index], under="") for index in indices) for row in sheet.rows),
        below=(),
        leading=tuple(name for name in sheet.leading if name in names),
        lists=tuple(name for name in sheet.lists if name in names),
    )
    table = page_table(narrower)
    rows: list[tuple[Cell, ...]] = []
    breaks: set[int] = set()
    for number, row in enumerate(table.sheet.rows):
        if number in sheet.breaks:
            breaks.add(len(rows))
        rows.append(row)
        printed = _paper_row(table.sheet, row)
        rows += [printed] if printed else []
    words = f"{sheet.slim.caption} In all rows: {table.shared}." if table.shared else sheet.slim.caption
    return replace(table.sheet, rows=tuple(rows), breaks=frozenset(breaks), slim=replace(sheet.slim, caption=words))


def width(layout: Layout) -> float:
    """Estimated width of a table in points."""
    columns = sum(set_to or need.natural for need, set_to in zip(layout.needs, layout.widths, strict=True))
    return columns + 2 * GAP * (len(layout.needs) - 1)


def _paper_row(sheet: Sheet, row: Sequence[Cell]) -> tuple[Cell, ...] | None:
    """The paper's values of a row; None where the paper has none."""
    printed = [_paper_cell(cell) for cell in row]
    if not any(cell.text for cell in printed):
        return None
    names = [index for index, column in enumerate(sheet.columns) if not column.is_number]
    if names:
        printed[names[-1]] = Cell(PAPER)
    return tuple(printed)


def _paper_cell(cell: Cell) -> Cell:
    values = dict(cell.values)
    mean, deviation = values.get(PAPER), values.get(f"{PAPER} sd")
    if mean is None:
        return Cell("")
    if isinstance(mean, int):
        return Cell(f"{mean:,}")
    return Cell(f"{mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}"))


def _parts(sheet: Sheet, layout: Layout) -> Iterator[Sheet]:
    """The rows in parts of at most a page; a row of the paper's values stays with the row above it."""
    start, used = 0, 0
    for number, row in enumerate(sheet.rows):
        cells = zip(row, layout.widths, strict=True)
        lines = max(line_count(cell, width_of, layout.size) for cell, width_of in cells)
        if used + lines > MOST_LINES and number > start and not _is_paper_s(row):
            yield _rows(sheet, start, number)
            start, used = number, 0
        used += lines
    yield _rows(sheet, start, len(sheet.rows))


def _rows(sheet: Sheet, start: int, end: int) -> Sheet:
    breaks = frozenset(number - start for number in sheet.breaks if start < number < end)
    return replace(sheet, rows=sheet.rows[start:end], breaks=breaks)


def _is_paper_s(row: Sequence[Cell]) -> bool:
    return any(cell.text == PAPER for cell in row)


def _mean_lines(sheet: Sheet, layout: Layout) -> float:
    lines = [
        max(line_count(cell, width_of, layout.size) for cell, width_of in zip(row, layout.widths, strict=True))
        for row in sheet.rows
    ]
    return sum(lines) / max(1, len(lines))


def _table(sheet: Sheet, layout: Layout, words: str, label: str, notes: Sequence[str]) -> str:
    """One float."""
    name = "table" if layout.line == COLUMN else "table*"
    lines = [
        rf"\begin{{{name}}}[tbp]",
        r"\centering",
        rf"\caption{{{caption(sheet, words)}}}\label{{{label}}}",
        rf"\{layout.size.command}\setlength{{\tabcolsep}}{{{GAP:g}pt}}",
        rf"\begin{{tabular}}{{{column_spec(sheet, layout)}}}",
        *(r"\toprule", header_line(sheet, layout), r"\midrule"),
        *body_lines(sheet, layout),
        *(r"\bottomrule", r"\end{tabular}"),
        *([r"\par\smallskip\raggedright\scriptsize", *(rf"{tex(note)}\par" for note in notes)] if notes else []),
        rf"\end{{{name}}}",
    ]
    return "\n".join(lines) + "\n"
