"""Formats of tables: a sheet as the text of a Markdown, LaTeX (booktabs) or CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

from affetto.reporting.render.sheet import Cell, Sheet, Value

LONG = 40
"""A table of more rows does not fit a page: it is a longtable."""
WIDE = 8
"""A table of more columns is set in smaller print."""
LONG_WORDS = 34
"""Columns with longer texts are broken into lines."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
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


def latex(sheet: Sheet) -> str:
    r"""A `table` (or `longtable`) that needs `\usepackage{booktabs,array}`; text in UTF-8."""
    is_long = len(sheet.rows) > LONG
    spec = "@{}" + "".join(_alignment(sheet, number) for number in range(len(sheet.columns))) + "@{}"
    stamp = rf"\textbf{{{tex(sheet.stamp.upper())}.}} " if sheet.stamp else ""
    caption = f"{stamp}{tex(sheet.title)}. {tex(sheet.caption)}".strip()
    head = " & ".join(tex(column.name) for column in sheet.columns) + r" \\"
    body = []
    for number, row in enumerate(sheet.rows):
        body += [r"\midrule"] if number and number in sheet.breaks else []
        body.append(" & ".join(map(_latex_cell, row)) + r" \\")
    notes = [rf"{tex(note)}\par" for note in sheet.notes]
    size = r"\scriptsize\setlength{\tabcolsep}{3pt}" if len(sheet.columns) > WIDE else r"\small"
    caption, label = rf"\caption{{{caption}}}", rf"\label{{tab:{sheet.name}}}"
    if is_long:
        lines = [
            r"% \usepackage{booktabs,longtable,array}",
            "{" + size,
            rf"\begin{{longtable}}{{{spec}}}",
            caption + label + r"\\",
            *(r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"),
            *body,
            r"\end{longtable}",
            *notes,
            "}",
        ]
    else:
        lines = [
            r"% \usepackage{booktabs,array}",
            *(r"\begin{table}[htbp]", r"\centering", size, caption, label),
            *(rf"\begin{{tabular}}{{{spec}}}", r"\toprule", head, r"\midrule"),
            *body,
            *(r"\bottomrule", r"\end{tabular}"),
            *([r"\par\medskip\raggedright\footnotesize", *notes] if notes else []),
            r"\end{table}",
        ]
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


def tex(text: str) -> str:
    r"""Text with LaTeX's special characters escaped.

    >>> tex("50 % of A_1 & {B} – ±1")
    '50 \\% of A\\_1 \\& \\{B\\} -- \\ensuremath{\\pm}1'
    """
    return "".join(_LATEX.get(character, character) for character in text.replace("\n", " "))


def _alignment(sheet: Sheet, number: int) -> str:
    """Alignment of a column: numbers right, texts left, long texts in lines of a fixed width."""
    if sheet.columns[number].is_number:
        return "r"
    longest = max((len(row[number].text) for row in sheet.rows), default=0)
    width = "2.6cm" if len(sheet.columns) > WIDE else "3.6cm"
    return rf">{{\raggedright\arraybackslash}}p{{{width}}}" if longest > LONG_WORDS else "l"


def _latex_cell(cell: Cell) -> str:
    text = rf"\textbf{{{tex(cell.text)}}}" if cell.is_bold else tex(cell.text)
    if not cell.under:
        # A cell that begins with a bracket would be the argument of the line break before it.
        return f"{{}}{text}" if text.startswith("[") else text
    small = r"\\ ".join(rf"{{\scriptsize {tex(line)}}}" for line in cell.under.split("\n"))
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{text}\\ {small}\end{{tabular}}"


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
