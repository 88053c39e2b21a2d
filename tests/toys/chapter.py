"""A chapter of its own: the number of test clips of each configuration."""

from __future__ import annotations

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Sheet, columns, count_cell, text_cell
from affetto.reporting.results.analysis import Evidence

NAME = "clips"
"""Stem of the table's files."""


def build(evidence: Evidence) -> Section:
    rows = [(text_cell(config.axes.method), count_cell(config.done[0].test["n"])) for config in evidence.configurations]
    table = Sheet(
        name=NAME,
        title="Test clips",
        columns=columns("method", "clips", texts=("method",)),
        rows=tuple(rows),
    )
    return Section(words="How much was tested.", items=(table,))


CHAPTER = Chapter(name="clips", title="Test clips", order=150, build=build)
