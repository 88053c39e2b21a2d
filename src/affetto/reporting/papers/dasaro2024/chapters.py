"""Chapters on the paper: its tables beside our results, and its claims tested on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.papers.dasaro2024 import claim_sheets, numbers
from affetto.reporting.papers.dasaro2024.figure_4 import figure_4, figure_4_table
from affetto.reporting.papers.dasaro2024.judging import Judgement
from affetto.reporting.papers.dasaro2024.protocols import Protocol, protocols
from affetto.reporting.papers.dasaro2024.table_1 import table_1
from affetto.reporting.papers.dasaro2024.table_2 import table_2
from affetto.reporting.papers.dasaro2024.table_3 import table_3
from affetto.reporting.papers.dasaro2024.table_3_measures import table_3_by_measures
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Sheet
from affetto.reporting.results.analysis import Evidence


def _tables(evidence: Evidence) -> Section:
    groups = protocols(evidence)
    items = [item for protocol in groups for item in (table_3(protocol), figure_4_table(protocol), figure_4(protocol))]
    words = (
        f"Each cell beside the paper's value ({numbers.CITATION}), with the difference and whether that value lies "
        "within the interval. The paper's text gives three values of its Figure 4; nothing is read off the image."
        if groups
        else "Backbones and corpora as they were loaded and read here, beside the paper's figures where it has the "
        f"same ones ({numbers.CITATION}). None of its backbones was run under its methods, so its scores are not shown."
    )
    return Section(
        words=words,
        items=(*items, table_1(evidence), table_2(evidence)),
        folded=tuple(table for protocol in groups if (table := table_3_by_measures(protocol))),
        is_first=_has_original(groups),
        references=(numbers.REFERENCE,),
        headline=table_3(groups[0]) if _has_original(groups) else None,
    )


def _claims(evidence: Evidence) -> Section | None:
    groups = protocols(evidence)
    if not groups:
        return None
    overviews: list[Sheet] = []
    statements: list[Sheet] = []
    judgements: list[Judgement] = []
    for protocol in groups:
        judged = claim_sheets.judge(protocol)
        judgements += judged
        overviews.append(claim_sheets.overview(protocol, judged))
        statements.append(claim_sheets.statements(protocol, judged))
    counts = Counter(judgement.verdict for judgement in judgements)
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in claim_sheets.ORDER if counts[verdict])
    return Section(
        words=f"Sentences of the paper about its results, tested on ours. Of {len(judgements)}: {verdicts}.",
        items=tuple(overviews),
        folded=tuple(statements),
        is_first=_has_original(groups),
    )


def _has_original(groups: Sequence[Protocol]) -> bool:
    """True if the paper's own grid was run: its tables then say in one page what a row a configuration says in many."""
    return any(protocol.is_original for protocol in groups)


TABLES = Chapter(name="paper", title="Beside the paper", order=110, build=_tables)
CLAIMS = Chapter(name="claims", title="The paper's claims", order=120, build=_claims)
