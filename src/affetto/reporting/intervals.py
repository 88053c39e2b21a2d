"""Words and marks for intervals: what was drawn, speakers or clips, and where it was clips for want of speakers."""

from __future__ import annotations

from collections.abc import Sequence

from affetto.measures.registry import MEASURES
from affetto.reporting.results.naming import corpus_title
from affetto.reporting.stats import estimation
from affetto.reporting.stats.estimation import Estimate

MARK = "†"
ALONE = "too few speakers were tested, so clips were drawn, and nothing is said of other voices"


def interval_words(estimates: Sequence[Estimate]) -> str:
    """A caption's words for the intervals of these estimates, and for the mark beside some of them."""
    if not estimates:
        return "95 % interval"
    return estimation.interval_words(estimates)


def span(estimate: Estimate) -> str:
    """`38.1–45.2`, ×100, with the mark where clips of a corpus were drawn."""
    text = MEASURES.find(estimate.measure).text
    return f"{text(estimate.low)}–{text(estimate.high)}{mark(estimate)}"


def mark(estimate: Estimate) -> str:
    """The mark, where clips were drawn in any of its corpora for want of speakers; else nothing."""
    return MARK if "clips" in estimate.over else ""


def footnotes(estimates: Sequence[Estimate]) -> tuple[str, ...]:
    """The mark's meaning with the corpora it stands for; nothing where speakers were drawn in all."""
    alone = {
        corpus_title(corpus): None
        for estimate in estimates
        for corpus, over in zip(estimate.corpora, estimate.over, strict=True)
        if over == "clips"
    }
    return (f"{MARK} {', '.join(alone)}: {ALONE}.",) if alone else ()
