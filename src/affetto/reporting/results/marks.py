"""Words and marks of intervals in tables: a mark where clips were drawn because a corpus has too few speakers."""

from __future__ import annotations

from collections.abc import Sequence

from affetto.reporting.render.text import percent_text
from affetto.reporting.results.naming import corpus_title
from affetto.reporting.stats import estimation
from affetto.reporting.stats.estimation import Estimate

MARK = "†"
MEANING = "too few speakers were tested, so clips were drawn, and nothing is said of other voices"


def interval_words(estimates: Sequence[Estimate]) -> str:
    """Description of the intervals of these estimates, for a caption."""
    if not estimates:
        return "95 % interval"
    return estimation.interval_words(estimates)


def span(estimate: Estimate) -> str:
    """Interval ×100, `38.1–45.2`, with the mark where clips of a corpus were drawn."""
    return f"{percent_text(estimate.low)}–{percent_text(estimate.high)}{mark(estimate)}"


def mark(estimate: Estimate) -> str:
    """Mark of an estimate for which clips of a corpus were drawn; else nothing."""
    return MARK if "clips" in estimate.over else ""


def footnotes(estimates: Sequence[Estimate]) -> tuple[str, ...]:
    """Meaning of the mark, with the corpora that have it; () where none has."""
    corpora = {
        corpus_title(corpus): None
        for estimate in estimates
        for corpus, over in zip(estimate.corpora, estimate.over, strict=True)
        if over == "clips"
    }
    return (f"{MARK} {', '.join(corpora)}: {MEANING}.",) if corpora else ()
