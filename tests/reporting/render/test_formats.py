"""One sheet in three formats, against text written out by hand; nothing in a name breaks any of them."""

from __future__ import annotations

import csv
import io

from affetto.reporting.render import formats
from affetto.reporting.render.sheet import (
    MISSING,
    Cell,
    Sheet,
    columns,
    count_cell,
    difference_cell,
    percent_cell,
    text_cell,
)
from affetto.reporting.render.text import signed_text

BESIDE = Cell(
    "67.1 ± 1.3",
    67.1,
    under="paper 67.61\n−0.5, inside",
    values=(("mean", 67.1), ("sd", 1.3), ("paper", 67.61), ("paper inside", True)),
)
SHEET = Sheet(
    name="table-3",
    title="F1 | by <method>",
    columns=columns("backbone", "frozen", "clips", texts=("backbone",)),
    rows=(
        (text_cell("A_1 & co | 50 %"), BESIDE, count_cell(1234)),
        (text_cell("[b]"), Cell(MISSING, None, under="3 seeds missing"), count_cell(None)),
    ),
    caption="Mean ± sd.",
    notes=("A note: 100 %.",),
    stamp="synthetic speech",
    breaks=frozenset({1}),
)


def test_markdown_by_hand():
    assert formats.markdown(SHEET) == (
        "### F1 | by \\<method\\>\n\n**SYNTHETIC SPEECH**\n\n"
        "| backbone | frozen | clips |\n"
        "| --- | ---: | ---: |\n"
        "| A\\_1 & co \\| 50 % | 67.1 ± 1.3<br>paper 67.61<br>−0.5, inside | 1,234 |\n"
        "| \\[b\\] | —<br>3 seeds missing | — |\n"
        "\nMean ± sd.\n\n- A note: 100 %.\n"
    )


def test_csv_has_a_column_for_each_value_and_nothing_for_what_is_missing():
    rows = list(csv.DictReader(io.StringIO(formats.comma_separated(SHEET))))
    assert rows[0] == {
        "backbone": "A_1 & co | 50 %",
        "frozen mean": "67.1",
        "frozen sd": "1.3",
        "frozen paper": "67.61",
        "frozen paper inside": "true",
        "frozen": "",
        "clips": "1234",
        "speech": "synthetic speech",
    }
    assert rows[1]["frozen mean"] == rows[1]["clips"] == "" and rows[1]["backbone"] == "[b]"


def test_a_formula_in_a_name_stays_text_in_a_spreadsheet():
    sheet = Sheet(
        name="x",
        title="x",
        columns=columns("a", "b", texts=("a",)),
        rows=((text_cell("=HYPERLINK(1)"), difference_cell(-0.031)),),
    )
    assert formats.comma_separated(sheet) == "a,b\n'=HYPERLINK(1),-3.1\n"


def test_cells_by_hand():
    assert (percent_cell(0.4884).text, percent_cell(None).text, percent_cell(0.4884).key) == ("48.8", "—", 48.84)
    assert [difference_cell(value).text for value in (0.021, -0.021, 0.0)] == ["+2.1", "−2.1", "0.0"]
    assert signed_text(-0.049) == "0.0" and text_cell("").is_missing and not text_cell("a").is_missing
