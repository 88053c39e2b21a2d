"""Raters' shares: how near the predicted shares are to those of the raters."""

from __future__ import annotations

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.measures import (
    comparison_table,
    evaluation_table,
    highest_words,
    measure_table,
    pictures,
)
from affetto.reporting.render.section import Section
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.parts import SHARES, part_of


def build(evidence: Evidence) -> Section | None:
    of_shares = part_of(evidence, SHARES)
    if not of_shares.configurations:
        return None
    table = measure_table(
        of_shares,
        name="shares",
        title="Raters' shares",
        words=(
            "KL divergence and cross-entropy in nats, Jensen-Shannon in bits ×100: lower is nearer to the raters. "
            "Macro F1 ×100 is of the label with the largest share, against the raters' majority; in that of any rater "
            "a label is right that some rater named."
        ),
    )
    tables = (comparison_table(of_shares, "shares-comparisons"), evaluation_table(of_shares, "shares-across"))
    return Section(
        words=(
            "A model of raters' shares predicts how many raters would name each emotion. Its single labels stand with "
            f"those of classes. {highest_words(of_shares)}"
        ),
        items=(table, *pictures(of_shares, "shares"), *(sheet for sheet in tables if sheet)),
        headline=None if evidence.configurations else table,
    )


CHAPTER = Chapter(name="shares", title="Raters' shares", order=440, build=build, needs_results=False)
