"""Summary tables: what is shown, and that nothing in a name breaks them."""

from __future__ import annotations

import doctest
import io

import numpy as np
from rich.console import Console

from affetto.measures.scores import scores
from affetto.reporting import tables

ROWS = [
    {
        "name": "frozen",
        "macro_f1": 0.4884,
        "interval": [0.401, 0.5549],
        "uar": 0.5,
        "chance": 1 / 7,
        "trainable_parameters": 264_455,
        "seconds": 31.2,
    },
    {"name": "lora[r=8] | q", "macro_f1": 0.5, "interval": None, "uar": None, "chance": None, "synthetic": True},
]


def test_markdown_by_hand():
    assert tables.summary_markdown(ROWS) == (
        "| method | macro F1 (95 %) | UAR | chance | trainable | time |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| frozen | 48.8 (40.1–55.5) | 50.0 | 14.3 | 264k | 31 s |\n"
        "| lora[r=8] \\| q (synthetic speech) | 50.0 | – | – | – | – |\n"
    )


def test_terminal_table_shows_the_same_cells():
    stream = io.StringIO()
    Console(file=stream, width=120).print(tables.summary_table(ROWS))
    shown = stream.getvalue()
    assert "48.8 (40.1–55.5)" in shown and "lora[r=8] | q (synthetic speech)" in shown
    assert all(column in shown for column in tables.COLUMNS)


def test_a_name_has_room_at_80_columns_and_what_is_wholly_synthetic_says_so_once():
    row = {**ROWS[0], "seconds": 3540, "synthetic": True}
    name = "lora, attention"
    stream = io.StringIO()
    Console(file=stream, width=80).print(tables.summary_table([{**row, "name": name}]))
    shown = stream.getvalue()
    assert name in shown and shown.count("\n") == 6 and shown.count("SYNTHETIC SPEECH") == 1
    assert tables.summary_markdown([{**row, "name": name}]).endswith(" |\n\nSynthetic speech.\n")


def test_columns_that_no_row_fills_are_left_out():
    bare = {**ROWS[0], "seconds": None}
    assert tables.summary_markdown([bare]).startswith("| method | macro F1 (95 %) | UAR | chance | trainable |\n")


def test_row_of_scores_carries_interval_chance_and_what_they_rest_on():
    truth = ["joy", "anger", "joy", "anger"]
    scored = scores(truth, np.eye(2)[[1, 0, 1, 0]], ["anger", "joy"], ["a", "b", "c", "d"])
    row = tables.summary_row("lora", scored, trainable_parameters=1_590_000, seconds=640)
    text = tables.summary_markdown([row])
    # Chance for two clips of each of two labels: Σ m/(2+m) (1, 4, 6, 4, 1)/16 over m = 0…4 is 0.4625.
    assert "| lora | 100.0 (100.0–100.0) | 100.0 | 46.2 | 1.59M | 10 min 40 s |" in text
    assert text.endswith("\n4 clips. 95 % interval by Student's t over 4 speakers.\n")


def test_caption_says_no_number_that_the_rows_do_not_share():
    rows = [
        {"name": "a", "n": 10, "interval": {"over": "speakers", "units": 3}},
        {"name": "b", "n": 12, "interval": {"over": "clips", "units": 12}},
    ]
    words = (
        "95 % interval by bootstrap over 3 speakers or 12 clips (too few speakers: nothing is said of other voices)."
    )
    assert tables.caption(rows) == words
    assert tables.caption(ROWS) == ""


def test_chance_may_be_all_measures():
    assert tables.macro_chance({"chance": {"macro_f1": 0.14, "uar": 0.2}}) == 0.14


def test_numbers_read_as_in_the_examples():
    assert doctest.testmod(tables).failed == 0
