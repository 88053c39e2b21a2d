"""The transcribed tables against the text of the paper itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from affetto.reporting.papers.dasaro2024.numbers import FIGURE_4, METHODS, TABLE_I, TABLE_II, TABLE_II_TOTALS, TABLE_III

pytestmark = pytest.mark.real


@pytest.fixture
def text(shared: Path) -> str:
    file = shared / "paper" / "paper.txt"
    if not file.is_file():
        pytest.skip(f"no file {file}")
    return file.read_text(encoding="utf-8")


def test_table_iii_is_as_printed(text):
    rows = re.findall(
        r"^(?:B\n)?(\w[\w .+-]*?) (\d\d\.\d\d) \(±(\d\.\d\d)\)" + r" (\d\d\.\d\d) \(±(\d\.\d\d)\)" * 2, text, re.M
    )
    keys = list(dict.fromkeys(key for key, _ in TABLE_III))
    assert len(rows) == len(keys) == 8
    titles = {key: row.title for row in TABLE_I for key in row.keys}
    for key, (name, *numbers) in zip(keys, rows, strict=True):
        assert name.casefold().removeprefix("b ") == titles[key].casefold()
        printed = dict(zip(METHODS, zip(numbers[::2], numbers[1::2], strict=True), strict=True))
        for method, (mean, deviation) in printed.items():
            assert (f"{TABLE_III[key, method].mean:.2f}", f"{TABLE_III[key, method].deviation:.2f}") == (
                mean,
                deviation,
            )


def test_table_ii_is_as_printed(text):
    for corpus, counts in TABLE_II.items():
        line = " ".join(str(n) for n in (*counts.values(), TABLE_II_TOTALS[corpus]))
        assert f"{corpus.capitalize()} {line}" in text


def test_table_i_and_figure_4_are_as_printed(text):
    for row in TABLE_I:
        assert re.search(rf"{row.language} {re.escape(row.title)} {re.escape(row.parameters)}", text)
    for (_, corpus), cell in FIGURE_4.items():
        assert f"({cell.mean:.2f})" in text and corpus in text.casefold()
