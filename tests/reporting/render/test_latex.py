"""LaTeX of tables: whole ones against text written out by hand, slim ones against the width of a column."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.render.latex import GAP, LANDSCAPE, LAYOUTS, latex
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, count_cell, text_cell
from affetto.reporting.render.slim import COLUMN, PAGE, slim_latex, slim_layout, slim_sheet, width
from affetto.reporting.render.widths import Need, choose_layout, em_width, fit
from reporting.render.test_formats import SHEET

SLIM = replace(SHEET, slim=Slim(caption="Mean ± sd; below: the paper's.", without=("clips",)))


def test_a_whole_table_by_hand():
    assert latex(SHEET) == (
        "% \\usepackage{booktabs,longtable,array}\n{\\small\\setlength{\\tabcolsep}{3pt}\n"
        "\\begin{longtable}{@{}lrr@{}}\n"
        "\\caption{\\textbf{SYNTHETIC SPEECH.} F1 \\textbar{} by \\textless{}method\\textgreater{}. "
        "Mean \\ensuremath{\\pm} sd.}\\label{tab:table-3}\\\\\n"
        "\\toprule\nbackbone & frozen & clips \\\\\n\\midrule\n\\endhead\n\\bottomrule\n\\endfoot\n"
        "A\\_1 \\& co \\textbar{} 50 \\% & \\begin{tabular}[t]{@{}r@{}}67.1 \\ensuremath{\\pm} 1.3\\\\ "
        "{\\scriptsize paper 67.61}\\\\ {\\scriptsize \\ensuremath{-}0.5, inside}\\end{tabular} & 1,234 \\\\\n"
        "\\midrule\n"
        "{[}b] & \\begin{tabular}[t]{@{}r@{}}---\\\\ {\\scriptsize 3 seeds missing}\\end{tabular} & --- \\\\\n"
        "\\end{longtable}\n\\noindent A note: 100 \\%.\\par\n}\n"
    )


def test_a_slim_table_has_the_paper_in_a_row_of_its_own():
    text = slim_latex(SLIM)
    assert text.startswith("% \\usepackage{booktabs,array}\n\\begin{table}[tbp]\n\\centering\n\\caption{\\textbf{SYNTH")
    assert (
        "\\begin{tabular}{@{}lr@{}}\n\\toprule\nbackbone & frozen \\\\\n\\midrule\n"
        "A\\_1 \\& co \\textbar{} 50 \\% & 67.1 \\ensuremath{\\pm} 1.3 \\\\\n"
        "paper & 67.61 \\\\\n\\midrule\n{[}b] & --- \\\\\n\\bottomrule\n" in text
    )
    assert "clips" not in text and "A note" not in text and "\\label{tab:table-3-slim}" in text


def test_words_that_all_rows_share_stand_in_the_slim_caption():
    rows = tuple((text_cell(name), text_cell("EMOVO"), count_cell(n)) for n, name in enumerate("ab"))
    sheet = Sheet(
        name="x",
        title="x",
        columns=columns("m", "corpus", "n", texts=("m", "corpus")),
        rows=rows,
        slim=Slim(caption="C."),
    )
    slimmed = slim_sheet(sheet)
    assert [column.name for column in slimmed.columns] == ["m", "n"]
    assert slimmed.slim is not None and slimmed.slim.caption == "C. In all rows: corpus: EMOVO."


def test_a_slim_table_longer_than_a_page_comes_in_parts_and_keeps_the_paper_s_row():
    cell = Cell("1.0", 1.0, values=(("mean", 1.0), ("paper", 2.0)))
    rows = ((text_cell("alone"), count_cell(1)), *((text_cell(f"r{n}"), cell) for n in range(50)))
    sheet = Sheet(name="x", title="x", columns=columns("m", "f", texts=("m",)), rows=rows, slim=Slim(caption=""))
    text = slim_latex(sheet)
    assert text.count("\\begin{table}") == 3 and "Part 2 of 3." in text and "\\label{tab:x-slim-2}" in text
    for part in text.split("\\midrule\n")[2:]:
        assert re.match(r"r\d+ & 1.0 \\\\\npaper & 2.00", part)


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (100, [None, None, None]),
        (90, [None, pytest.approx(50, abs=0.1), None]),
        (60, [None, pytest.approx(20, abs=0.1), None]),
        (59, None),
    ],
)
def test_the_widest_column_gives_way_first(room, widths):
    assert fit([Need(30, 30), Need(60, 20), Need(10, 10)], room) == widths


def test_slim_tables_fit_a_column_or_a_page_by_the_count_of_their_characters(paper_grid):
    sheets = [sheet for section in build_sections(paper_grid) for sheet in section.sheets]
    slim = [sheet for sheet in sheets if sheet.slim]
    assert {"methods", "table-1", "table-2", "table-3", "figure-4", "claims", "comparisons", "cost"} <= {
        s.name for s in slim
    }
    for sheet in slim:
        slimmed, layout = slim_layout(sheet)
        assert width(layout) <= layout.line + 0.1 and layout.line in (COLUMN, PAGE), sheet.name
        for row in slimmed.rows:
            natural = sum(
                min(layout.size.em * em_width(cell.text), set_to or 1e9)
                for cell, set_to in zip(row, layout.widths, strict=True)
            )
            assert natural + 5 * (len(row) - 1) <= layout.line + 0.1, (sheet.name, row)
    for sheet in sheets:
        layout = choose_layout(sheet, LAYOUTS, GAP, is_full=True)
        used = sum(set_to or need.natural for need, set_to in zip(layout.needs, layout.widths, strict=True))
        assert used + 2 * GAP * (len(layout.needs) - 1) <= min(layout.line, LANDSCAPE) + 0.1, sheet.name
