"""Verdicts on the paper's claims, from our results.

Each statement is tested by a paired comparison on the clips of every corpus that both cells were tested on, with equal
weights of the corpora. Its verdict follows from one interval, widened for the number of statements that could be tested
(Bonferroni: level 1 - 0.05/m), so that a claim of twelve statements is not refuted by chance alone:

    holds      the interval lies entirely on the side that the paper claims, and so does the difference
    does not   entirely on the other side
    undecided  neither; or no interval, for want of a third test speaker; or one seed
    not run    a cell is missing

The interval is Student's t over speakers and seeds (`affetto.measures.intervals`). From ten effective speakers on, a
difference must also pass the permutation test with Holm's correction ("at least" is no difference); with fewer the
interval alone decides. A claim is about methods, and one training of each says nothing about those: with one seed the
difference is shown and nothing is decided. "A is at least as good as B" needs a margin, which the paper does not name:
`claims.MARGIN`. A claim holds when all of its statements do, and does not when one does not. A corpus with one or two
test speakers, like EMOVO under 80/10/10, says nothing about other voices and is excluded from the verdict; its
difference is shown beside it, like that of each corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from affetto.errors import UserError
from affetto.reporting.papers.dasaro2024.claims import AT_LEAST, CLAIMS, MARGIN, Claim, Statement, title
from affetto.reporting.papers.dasaro2024.numbers import CORPORA
from affetto.reporting.stats.paired import ALPHA, Comparison, can_be_tested, compare, difference, holm
from affetto.reporting.stats.systems import System

HOLDS, DOES_NOT, UNDECIDED, NOT_RUN = "holds", "does not", "undecided", "not run"

Systems = Mapping[tuple[str, str, str], System]
"""Systems by backbone key, corpus and method."""
Pairs = Mapping[str, tuple[System, System]]
"""The two systems of a statement, by corpus."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Verdict on one statement."""

    statement: Statement
    verdict: str
    reason: str = ""
    """Reason in a few words; empty where the verdict needs none."""
    comparison: Comparison | None = None
    """Comparison over the corpora that can be tested."""
    by_corpus: Mapping[str, float] = field(default_factory=dict)
    """{corpus: difference}."""
    missing: tuple[str, ...] = CORPORA
    """Corpora of the paper that the two cells were not both tested on."""
    excluded: tuple[str, ...] = ()
    """Corpora with too few test speakers, which are no part of `comparison` unless there is no other."""

    @property
    def first(self) -> str:
        return title(self.statement.first)

    @property
    def second(self) -> str:
        return title(self.statement.second)


@dataclass(frozen=True)
class Judgement:
    """Verdict on one claim, with those on its statements."""

    claim: Claim
    verdict: str
    findings: tuple[Finding, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    """{verdict: number of statements}."""


def judge(systems: Systems, claims: Sequence[Claim] = CLAIMS) -> tuple[Judgement, ...]:
    """Judge each claim. All systems must be of one protocol; only the split may differ by corpus."""
    return tuple(_judge_claim(claim, systems) for claim in claims)


def _judge_claim(claim: Claim, systems: Systems) -> Judgement:
    pairs = [_find_pairs(statement, systems) for statement in claim.statements]
    tested = sum(any(can_be_tested(system) for system, _ in by_corpus.values()) for by_corpus in pairs)
    level = 1 - ALPHA / max(1, tested)
    compared = [_compare(*pair, level) for pair in zip(claim.statements, pairs, strict=True)]
    corrected = iter(holm([finding.comparison for finding in compared if finding.comparison]))
    findings = [
        _decide(replace(finding, comparison=next(corrected))) if finding.comparison else finding for finding in compared
    ]
    counts = Counter(finding.verdict for finding in findings)
    if counts[DOES_NOT]:
        verdict = DOES_NOT
    elif counts[NOT_RUN] == len(findings):
        verdict = NOT_RUN
    else:
        verdict = HOLDS if counts[HOLDS] == len(findings) else UNDECIDED
    return Judgement(claim, verdict, tuple(findings), dict(counts))


def _find_pairs(statement: Statement, systems: Systems) -> Pairs:
    """Find the systems of a statement on the paper's corpora that both cells were tested on."""
    pairs = {}
    for corpus in CORPORA:
        first, second = (systems.get((key, corpus, method)) for key, method in (statement.first, statement.second))
        if first is not None and second is not None:
            pairs[corpus] = (first, second)
    return pairs


def _compare(statement: Statement, pairs: Pairs, level: float) -> Finding:
    """Compare the two cells; the verdict is left open where they can be compared."""
    missing = tuple(corpus for corpus in CORPORA if corpus not in pairs)
    if not pairs:
        return Finding(statement=statement, verdict=NOT_RUN, missing=missing)
    excluded = tuple(corpus for corpus, (system, _) in pairs.items() if not can_be_tested(system))
    testable = [pair for corpus, pair in pairs.items() if corpus not in excluded]
    try:
        comparison = compare(testable or list(pairs.values()), level=level)
        by_corpus = {corpus: difference(pair) for corpus, pair in pairs.items()}
    except ValueError:
        return Finding(statement=statement, verdict=UNDECIDED, reason="no seed in common", missing=missing)
    except UserError as problem:
        return Finding(statement=statement, verdict=UNDECIDED, reason=str(problem), missing=missing)
    return Finding(
        statement=statement,
        verdict=UNDECIDED,
        comparison=comparison,
        by_corpus=by_corpus,
        missing=missing,
        excluded=excluded,
    )


def _decide(finding: Finding) -> Finding:
    """Decide a finding whose cells were compared."""
    comparison = finding.comparison
    assert comparison is not None
    if comparison.interval is None:
        few = "too few test speakers: nothing is known about others"
        return replace(finding, reason="all speakers differ by the same amount" if comparison.allows_interval else few)
    if len(comparison.seeds) < 2:
        return replace(finding, reason="one seed: nothing is known about other trainings")
    low, high = comparison.interval
    if finding.statement.kind == AT_LEAST:
        verdict = HOLDS if low >= -MARGIN else DOES_NOT if high < -MARGIN else UNDECIDED
        is_inside = low < -MARGIN <= high
        return replace(finding, verdict=verdict, reason="the interval contains the margin" if is_inside else "")
    verdict = HOLDS if low > 0 else DOES_NOT if high < 0 else UNDECIDED
    if verdict == UNDECIDED:
        return replace(finding, reason="the interval contains 0")
    if comparison.models_differ is False:
        return replace(finding, reason="the interval excludes 0, the corrected permutation test does not")
    return replace(finding, verdict=verdict)
