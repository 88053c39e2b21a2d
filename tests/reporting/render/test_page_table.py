"""Tables as the page shows them."""

from __future__ import annotations

from affetto.reporting.render.page_table import page_table
from affetto.reporting.render.sheet import Sheet, columns, count_cell, text_cell


def sheet(*rows, **fields):
    names = columns(
        "first", "second", "under", "split", "clips", "verdict", texts=("first", "second", "under", "split", "verdict")
    )
    cells = tuple((*map(text_cell, row[:4]), count_cell(row[4]), text_cell(row[5])) for row in rows)
    return Sheet(name="pairs", title="Pairs", columns=names, rows=cells, **fields)


def texts(table):
    return [[cell.text for cell in row] for row in table.sheet.rows]


def test_words_of_all_rows_move_to_the_caption_and_verdicts_to_the_names():
    rows = [("LoRA", "probe", "base, seed 0", "loso", 7, "same"), ("LoRA", "frozen", "base, seed 1", "loso", 7, "same")]
    table = page_table(sheet(*rows, leading=("verdict",), lists=("under",)))
    assert table.shared == "under: base; split: loso"
    assert [column.name for column in table.sheet.columns] == ["first", "second", "under", "verdict", "clips"]
    assert texts(table) == [["LoRA", "probe", "seed 0", "same", "7"], ["LoRA", "frozen", "seed 1", "same", "7"]]


def test_a_table_of_one_row_or_of_missing_words_stays_as_it_is():
    single = sheet(("LoRA", "probe", "base", "loso", 7, "same"), lists=("under",))
    missing = sheet(("a", "b", "c", None, 7, "x"), ("d", "e", "f", None, 7, "y"))
    assert [page_table(table).sheet for table in (single, missing)] == [single, missing]


def test_a_list_that_all_rows_share_in_part_leaves_a_dash_where_nothing_remains():
    rows = [("a", "b", "base", "loso", 7, "x"), ("c", "d", "base, seed 1", "paper", 7, "y")]
    table = page_table(sheet(*rows, lists=("under",)))
    assert [row[2] for row in texts(table)] == ["–", "seed 1"]


def test_columns_that_belong_to_others_stand_below_them():
    rows = [("a", "b", "base", "loso", 7, "x"), ("c", "d", "seed 1", "paper", 8, "y")]
    table = page_table(sheet(*rows, below=(("clips", "verdict"), ("clips", "missing"))))
    assert [column.name for column in table.sheet.columns] == ["first", "second", "under", "split", "clips / verdict"]
    assert [(row[-1].text, row[-1].under, row[-1].key) for row in table.sheet.rows] == [("7", "x", 7), ("8", "y", 8)]
