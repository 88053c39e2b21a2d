"""The paper's claims as tables: what became of each, and each comparison that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from affetto.reporting.chapters.comparisons import p_text
from affetto.reporting.papers.dasaro2024 import claims, numbers
from affetto.reporting.papers.dasaro2024.protocols import Protocol
from affetto.reporting.render.sheet import Cell, Column, Sheet, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import signed_text
from affetto.reporting.results.naming import corpus_title

Heads = tuple[Column, ...]
Rows = list[tuple[Cell, ...]]
ORDER = (claims.HOLDS, claims.DOES_NOT, claims.UNDECIDED, claims.NOT_RUN)


def judge(protocol: Protocol) -> tuple[claims.Judgement, ...]:
    """The claims on the configurations of one protocol."""
    systems = {}
    for one in protocol.ones:
        system = protocol.evidence.system(one)
        if system is not None and one.axes.key is not None:
            systems[one.axes.key, one.axes.dataset, one.axes.method] = system
    return claims.judge(systems)


def overview(protocol: Protocol, made: Sequence[claims.Judgement]) -> Sheet:
    """A row a claim: whether it holds, and how many of its statements do."""
    rows = []
    for one in made:
        counts = [one.counts.get(verdict, 0) for verdict in ORDER]
        rows.append(
            (
                text_cell(one.claim.words),
                text_cell(one.claim.place),
                text_cell(one.verdict, is_bold=one.verdict in ORDER[:2]),
                *(Cell(str(count), count) for count in counts),
            )
        )
    caption = (
        "A claim is a list of statements, each a paired comparison on the clips that both were tested on, the corpora "
        "weighing the same. It holds when all of its statements do, and does not when one does not. A statement is "
        "decided by its interval over speakers and seeds, widened for the number of statements of the claim "
        "(Bonferroni), and from ten effective speakers on by the permutation test with Holm's correction as well, "
        'unless it says "at least". What is not decided stays undecided, as all does of one seed. '
        f"{protocol.words}"
    )
    heads = columns("claim", "in the paper", "verdict", *ORDER, texts=("claim", "in the paper", "verdict"))
    return _sheet(protocol, "claims", "The paper's claims", heads, rows, caption)


def statements(protocol: Protocol, made: Sequence[claims.Judgement]) -> Sheet:
    """A row a statement: the difference here, its interval, the paper's, the verdict."""
    rows, breaks, number = [], set(), 0
    for one in made:
        breaks.add(number)
        for each in one.findings:
            rows.append(_statement(one, each))
            number += 1
    caption = (
        "First minus second, macro F1 ×100, mean over the corpora where both were tested by several speakers; the "
        "interval at the claim's own level. `At least` allows for a margin of "
        f"{100 * claims.MARGIN:.2f}, the largest standard deviation over seeds that the paper prints for a frozen "
        "backbone of scenario A, since it names none. The paper's difference is that of its Table III."
    )
    heads = columns(
        "claim", "first", "kind", "second", "difference", "interval", "the paper's", "speakers", "p, corrected",
        "tested on", "verdict", texts=("claim", "first", "kind", "second", "tested on", "verdict"),
    )  # fmt: skip
    title = "The statements behind the claims"
    return replace(_sheet(protocol, "claims-statements", title, heads, rows, caption), breaks=frozenset(breaks))


def _statement(judgement: claims.Judgement, found: claims.Finding) -> tuple[Cell, ...]:
    statement, c = found.statement, found.comparison
    published = 100 * statement.published
    said = (text_cell(judgement.claim.key), text_cell(found.first), text_cell(statement.kind), text_cell(found.second))
    printed = Cell(signed_text(published, 2), published)
    verdict = Cell(found.verdict, found.verdict, under=found.reason, is_bold=found.verdict in ORDER[:2],
                   values=(("", found.verdict), ("reason", found.reason)))  # fmt: skip
    if c is None:
        absent = Cell("—")
        return (*said, absent, absent, printed, absent, absent, text_cell(None), verdict)
    low, high = (None, None) if c.interval is None else (100 * c.interval[0], 100 * c.interval[1])
    between = "none" if low is None or high is None else f"{signed_text(low)} to {signed_text(high)}"
    level = f"{100 * c.level:.1f} %, {c.interval_by}" if c.interval else ""
    p = c.p if c.adjusted_p is None else c.adjusted_p
    tested = [corpus for corpus in numbers.CORPORA if corpus not in found.missing]
    told = ", ".join(
        f"{corpus_title(corpus)} {signed_text(100 * found.by_corpus[corpus])}"
        + (" (too few speakers)" if corpus in found.lone else "")
        for corpus in tested
    )
    return (
        *said,
        Cell(signed_text(100 * c.difference), 100 * c.difference),
        Cell(
            between, low, under=level, values=(("low", low), ("high", high), ("level", c.level), ("by", c.interval_by))
        ),
        printed,
        Cell(" + ".join(map(str, c.speakers.values())), sum(c.speakers.values())),
        Cell("no test" if p is None else p_text(p), p, under=f"smallest {c.smallest_p:.2g}"),
        text_cell(told),
        verdict,
    )


def _sheet(protocol: Protocol, name: str, title: str, heads: Heads, rows: Rows, caption: str) -> Sheet:
    title += "" if protocol.is_paper_s else f" (recipe {protocol.recipe}, split {protocol.split})"
    ones = [one for one in protocol.ones if protocol.evidence.system(one)]
    return Sheet(
        name=name + protocol.suffix,
        title=title,
        columns=heads,
        rows=tuple(rows),
        caption=caption.strip(),
        notes=(),
        stamp=stamp_of(ones),
    )
