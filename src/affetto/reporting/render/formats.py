"""Formats of tables: a sheet as the text of a Markdown or CSV file, with LaTeX (`latex`) the formats of a report."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

from affetto.reporting.render.latex import latex
from affetto.reporting.render.sheet import Cell, Sheet, Value


def markdown(sheet: Sheet) -> str:
    """GitHub's Markdown: title, table, caption and footnotes."""
    lines = [f"### {_escape(sheet.title)}", ""]
    if sheet.stamp:
        lines += [f"**{sheet.stamp.upper()}**", ""]
    lines.append("| " + " | ".join(_escape_bars(column.name) for column in sheet.columns) + " |")
    lines.append("| " + " | ".join("---:" if column.is_number else "---" for column in sheet.columns) + " |")
    lines += ["| " + " | ".join(map(_markdown_cell, row)) + " |" for row in sheet.rows]
    if sheet.caption:
        lines += ["", _escape(sheet.caption)]
    if sheet.notes:
        lines += ["", *(f"- {_escape(note)}" for note in sheet.notes)]
    return "\n".join(lines) + "\n"


def comma_separated(sheet: Sheet) -> str:
    """CSV: numbers to ten decimals, missing values empty, a last column `speech` where the sheet has a stamp."""
    suffixes = [sheet.suffixes(index) for index in range(len(sheet.columns))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = [
        f"{column.name} {suffix}".strip()
        for column, suffix_list in zip(sheet.columns, suffixes, strict=True)
        for suffix in suffix_list
    ]
    writer.writerow(header + (["speech"] if sheet.stamp else []))
    for row in sheet.rows:
        fields: list[str] = []
        for cell, suffix_list in zip(row, suffixes, strict=True):
            values = dict(cell.values or (("", cell.key),))
            fields += [field_text(values.get(suffix)) for suffix in suffix_list]
        writer.writerow(fields + ([sheet.stamp] if sheet.stamp else []))
    return out.getvalue()


@dataclass(frozen=True)
class Format:
    """A format of tables: the suffix of its files, and the function that gives their text."""

    suffix: str
    text: Callable[[Sheet], str]


FORMATS = {
    "markdown": Format(".md", markdown),
    "latex": Format(".tex", latex),
    "csv": Format(".csv", comma_separated),
}


def _markdown_cell(cell: Cell) -> str:
    text = f"**{_escape_bars(cell.text)}**" if cell.is_bold else _escape_bars(cell.text)
    return text + "".join(f"<br>{_escape_bars(line)}" for line in cell.under.split("\n") if line)


def _escape_bars(text: str) -> str:
    return _escape(text).replace("|", "\\|")


def _escape(text: str) -> str:
    """Text with Markdown's special characters escaped: no name becomes a heading, link or tag."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", text.replace("\n", " "))


def field_text(value: Value) -> str:
    """A value for programs; text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(round(value, 10))
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "@") or (text[:1] == "-" and not _is_number(text)) else text


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.\d+)?", text))
