"""The paper's chapters: its tables beside our results, and its claims tested on them."""

from __future__ import annotations

from collections import Counter

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.papers.dasaro2024 import claim_sheets, figure_4, numbers, sheets
from affetto.reporting.papers.dasaro2024.claims import Judgement
from affetto.reporting.papers.dasaro2024.protocols import Protocol, protocols
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Sheet
from affetto.reporting.results.analysis import Evidence


def _tables(evidence: Evidence) -> Section:
    found = protocols(evidence)
    by_protocol = [
        item
        for protocol in found
        for item in (sheets.table_3(protocol), sheets.figure_4(protocol), figure_4.picture(protocol))
    ]
    words = (
        f"Each cell beside what the paper prints ({numbers.CITATION}), with the difference and whether the paper's "
        "value lies within the interval. Of its Figure 4 the text gives three values; nothing is read off the image."
        if found
        else "What was loaded and read here, beside what the paper prints of it where it has the same "
        f"({numbers.CITATION}). None of its own backbones was run under its methods, so its scores have no place here."
    )
    return Section(
        words=words,
        items=(*by_protocol, sheets.table_1(evidence), sheets.table_2(evidence)),
        is_first=_has_paper_s(found),
        headline=next((item for item in by_protocol if isinstance(item, Sheet)), None),
    )


def _claims(evidence: Evidence) -> Section | None:
    found = protocols(evidence)
    if not found:
        return None
    overviews: list[Sheet] = []
    statements: list[Sheet] = []
    judged: list[Judgement] = []
    for protocol in found:
        judgements = claim_sheets.judge(protocol)
        judged += judgements
        overviews.append(claim_sheets.overview(protocol, judgements))
        statements.append(claim_sheets.statements(protocol, judgements))
    counts = Counter(judgement.verdict for judgement in judged)
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in claim_sheets.ORDER if counts[verdict])
    return Section(
        words=(
            "What the paper says of its results, each sentence tested on what was run here. "
            f"Of {len(judged)}: {verdicts}."
        ),
        items=tuple(overviews),
        folded=tuple(statements),
        is_first=_has_paper_s(found),
    )


def _has_paper_s(found: list[Protocol]) -> bool:
    """True if the paper's own grid was run: its tables say on one page what a row a configuration says on many."""
    return any(protocol.is_paper_s for protocol in found)


TABLES = Chapter(name="paper", title="Beside the paper", order=110, build=_tables)
CLAIMS = Chapter(name="claims", title="The paper's claims", order=120, build=_claims)
