"""Ranks of the methods of a made-up grid."""

from __future__ import annotations

from affetto.reporting.chapters.ranks import build
from reporting.tables import cell


def test_methods_and_the_probe_are_ranked_over_the_corpora(paper_grid):
    section = build(paper_grid)
    (table,) = section.sheets
    assert {row[0].text for row in table.rows} == {"LoRA", "frozen", "probe"} and not section.pictures
    assert [row[1].key for row in table.rows] == sorted(row[1].key for row in table.rows)
    macro = {
        (config.axes.corpus, config.axes.method): paper_grid.spread(config).mean for config in paper_grid.configurations
    }
    wins = sum(macro[corpus, "lora"] > macro[corpus, "probe"] for corpus in ("emovo", "emozionalmente", "demos"))
    assert cell(table, "probe", method="LoRA").key == wins
    assert "each of 3 pairs of backbone and corpus" in table.caption and "no test is made" in table.caption
