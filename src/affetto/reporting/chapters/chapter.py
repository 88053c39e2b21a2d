"""Chapter: the record by which a report finds a chapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from affetto.reporting.render.section import Section
from affetto.reporting.results.analysis import Evidence


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Part of a report: a module-level value of a module of this package, of a paper's package (its `__init__.py`
    names it), or of a plug-in (entry point group `affetto.chapters`)."""

    name: str
    """Anchor on the page; unique."""
    title: str
    order: int
    """Place on the page: low numbers first."""
    build: Callable[[Evidence], Section | None]
    """Makes the section of some results; None where they have nothing for it."""
    needs_results: bool = True
    """False if the chapter also has something to show of a folder without a finished run."""

    def section(self, evidence: Evidence) -> Section | None:
        """The built section under the chapter's name and title; None where it would be empty."""
        if self.needs_results and not evidence.configurations:
            return None
        section = self.build(evidence)
        if section is None or not (section.items or section.folded):
            return None
        return replace(section, name=self.name, title=self.title)
