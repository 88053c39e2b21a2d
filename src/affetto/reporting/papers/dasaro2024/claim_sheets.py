"""Tables of the paper's claims: the verdict on each, and each comparison behind it."""

from __future__ import annotations

from collections.abc import Sequence

from affetto.reporting.chapters.comparisons import UNDECIDED_WORDS, p_text, undecided_lines, verdict_cell
from affetto.reporting.papers.dasaro2024 import judging, numbers
from affetto.reporting.papers.dasaro2024.claims import MARGIN
from affetto.reporting.papers.dasaro2024.judging import Finding, Judgement
from affetto.reporting.papers.dasaro2024.protocols import Protocol
from affetto.reporting.render.sheet import MISSING, Cell, Sheet, Slim, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import signed_range, signed_text
from affetto.reporting.results.naming import corpus_title
from affetto.reporting.stats.paired import Comparison

ORDER = (judging.HOLDS, judging.DOES_NOT, judging.UNDECIDED, judging.NOT_RUN)
DECIDED = ORDER[:2]


def judge(protocol: Protocol) -> tuple[Judgement, ...]:
    """Judge the claims on the configurations of one protocol."""
    systems = {}
    for config in protocol.usable:
        system = protocol.evidence.system(config)
        if system is not None and config.axes.key is not None:
            systems[config.axes.key, config.axes.dataset, config.axes.method] = system
    return judging.judge(systems)


def overview(protocol: Protocol, judgements: Sequence[Judgement]) -> Sheet:
    """Verdict on each claim, with the number of its statements by verdict."""
    rows = []
    for judgement in judgements:
        counts = [judgement.counts.get(verdict, 0) for verdict in ORDER]
        rows.append(
            (
                text_cell(judgement.claim.words),
                text_cell(judgement.claim.source),
                text_cell(judgement.verdict, is_bold=judgement.verdict in DECIDED),
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
    names = ("claim", "in the paper", "verdict")
    return Sheet(
        name="claims" + protocol.suffix,
        title=protocol.title("The paper's claims"),
        columns=columns(*names, *ORDER, texts=names),
        rows=tuple(rows),
        caption=caption.strip(),
        stamp=stamp_of(protocol.usable),
        slim=Slim(
            caption=(
                "A claim holds when all of its statements do, each a paired comparison decided by its interval over "
                f"speakers and seeds. Right: statements by verdict. {protocol.words}"
            ).strip(),
        ),
    )


def statements(protocol: Protocol, judgements: Sequence[Judgement]) -> Sheet:
    """Difference of each statement, its interval, the paper's difference and the verdict."""
    rows: list[tuple[Cell, ...]] = []
    breaks = set()
    for judgement in judgements:
        breaks.add(len(rows))
        rows += [_statement_row(judgement, finding) for finding in judgement.findings]
    caption = (
        "First minus second, macro F1 ×100, mean over the corpora where both were tested by several speakers; the "
        "interval at the claim's own level. `At least` allows for a margin of "
        f"{100 * MARGIN:.2f}, the largest standard deviation over seeds that the paper prints for a frozen "
        f"backbone of scenario A, since it names none. The paper's difference is that of its Table III. "
        f"{UNDECIDED_WORDS}"
    )
    words = ("claim", "first", "kind", "second", "tested on", "verdict")
    numeric = ("difference", "interval", "the paper's", "speakers", "p, corrected")
    return Sheet(
        name="claims-statements" + protocol.suffix,
        below=(("difference", "interval"),),
        title=protocol.title("The statements behind the claims"),
        columns=columns(*words[:4], *numeric, *words[4:], texts=words),
        rows=tuple(rows),
        caption=caption.strip(),
        stamp=stamp_of(protocol.usable),
        breaks=frozenset(breaks),
    )


def _statement_row(judgement: Judgement, finding: Finding) -> tuple[Cell, ...]:
    published = 100 * finding.statement.published
    return (
        text_cell(judgement.claim.key),
        text_cell(finding.first),
        text_cell(finding.statement.kind),
        text_cell(finding.second),
        *_difference_cells(finding.comparison),
        Cell(signed_text(published, 2), published),
        *_test_cells(finding.comparison),
        text_cell(_corpora_words(finding)),
        _verdict_cell(finding),
    )


def _verdict_cell(finding: Finding) -> Cell:
    """The verdict with its reason; below an undecided one, what it is worth."""
    judged = verdict_cell(finding.comparison, finding.verdict) if finding.comparison else Cell(finding.verdict)
    is_undecided = finding.verdict == judging.UNDECIDED
    lines = [finding.reason, *(undecided_lines(finding.comparison) if is_undecided and finding.comparison else [])]
    return Cell(
        text=finding.verdict,
        key=finding.verdict,
        under="\n".join(line for line in lines if line),
        values=(*(judged.values or (("", finding.verdict),)), ("reason", finding.reason)),
        is_bold=finding.verdict in DECIDED,
    )


def _difference_cells(comparison: Comparison | None) -> tuple[Cell, Cell]:
    """Difference, and its interval at the claim's level."""
    if comparison is None:
        return Cell(MISSING), Cell(MISSING)
    difference = 100 * comparison.difference
    low, high = (100 * end for end in comparison.interval) if comparison.interval else (None, None)
    between = signed_range(comparison.interval) or "none"
    level = f"{100 * comparison.level:.1f} %, {comparison.interval_by}" if comparison.interval else ""
    values = (("low", low), ("high", high), ("level", comparison.level), ("by", comparison.interval_by))
    return Cell(signed_text(difference), difference), Cell(between, low, under=level, values=values)


def _test_cells(comparison: Comparison | None) -> tuple[Cell, Cell]:
    """Number of speakers, and p after correction."""
    if comparison is None:
        return Cell(MISSING), Cell(MISSING)
    p = comparison.p if comparison.adjusted_p is None else comparison.adjusted_p
    speakers = comparison.speakers.values()
    return (
        Cell(" + ".join(map(str, speakers)), sum(speakers)),
        Cell("no test" if p is None else p_text(p), p, under=f"smallest {comparison.smallest_p:.2g}"),
    )


def _corpora_words(finding: Finding) -> str | None:
    """Corpora with the difference on each; None without a comparison."""
    if finding.comparison is None:
        return None
    return ", ".join(
        f"{corpus_title(corpus)} {signed_text(100 * finding.by_corpus[corpus])}"
        + (" (too few speakers)" if corpus in finding.excluded else "")
        for corpus in numbers.CORPORA
        if corpus not in finding.missing
    )
