"""All chapters of a report, and the sections that they make of results."""

from __future__ import annotations

from affetto.registry import Registry
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.render.section import Section
from affetto.reporting.results.analysis import Evidence

CHAPTERS = Registry(
    "chapter",
    Chapter,
    packages=("affetto.reporting.chapters", "affetto.reporting.papers"),
    group="affetto.chapters",
    order=lambda chapter: (chapter.order, chapter.name),
)


def build_sections(evidence: Evidence) -> list[Section]:
    """The sections of all chapters for which the results have something, in the order of the page."""
    sections = [section for chapter in CHAPTERS.values() if (section := chapter.section(evidence))]
    return sorted(sections, key=lambda section: not section.is_first)
