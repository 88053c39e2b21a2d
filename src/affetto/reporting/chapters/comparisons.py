"""Comparisons: configurations that differ in one thing, on the same clips, and by speaker where speakers are few."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.selection import MOST_ROWS, MOST_SPEAKERS
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Column, Sheet, Slim, columns, difference_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, signed_range, signed_text
from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.contrasts import Contrast
from affetto.reporting.results.naming import corpus_title
from affetto.reporting.stats.equivalence import MARGIN, POWER, equivalence_p, smallest_difference
from affetto.reporting.stats.estimation import FEW_SPEAKERS, FOLDS
from affetto.reporting.stats.paired import ALPHA, Comparison


def build(evidence: Evidence) -> Section | None:
    compared = contrasts.contrasts(evidence, [kind for kind in contrasts.KINDS if kind != "settings"])
    if not compared:
        return None
    table = comparison_table(compared)
    is_long = len(compared) > MOST_ROWS
    return Section(
        words=(
            "Each comparison is of two configurations that differ in one thing, on the same clips. Speakers are "
            "resampled and exchanged, not clips, since errors on the clips of one speaker go together. The number of "
            f"speakers limits how small p can become. {_tally(compared)}"
        ),
        items=() if is_long else (table,),
        folded=(*((table,) if is_long else ()), *speaker_tables(compared)),
    )


def comparison_table(compared: Sequence[Contrast]) -> Sheet:
    """A row a comparison: difference, interval, effect size, test and verdict."""
    configs = [config for contrast in compared for config in contrast.configurations]
    kinds = [contrast.kind for contrast in compared]
    return Sheet(
        name="comparisons",
        title="Paired comparisons",
        columns=comparison_columns("under", is_number=False),
        leading=LEADING,
        below=BELOW,
        lists=("under",),
        rows=tuple(_row(contrast) for contrast in compared),
        caption=(
            "Macro F1 of the first minus the second, ×100, on the same clips, seeds averaged, mean over corpora; the "
            "rows below have each corpus alone. Interval: Student's t over speakers and seeds; with one seed it is "
            f"about these trained models alone. With fewer than {FEW_SPEAKERS} effective speakers no test is made. "
            "Effect size: mean over standard deviation of the speakers' differences (d_z). p: by exchanging the two "
            "within speakers, two-sided; it is about these trained models. With seeds: p of the interval's t, which "
            "is about the methods. Both p are corrected by Holm over the comparisons of the same kind on the same "
            "corpora (below: before correction). Smallest p: the least that so many speakers can give before "
            f"correction. {UNDECIDED_WORDS}"
        ),
        notes=(FOLDS,) if contrasts.by_folds(configs) else (),
        stamp=stamp_of(configs),
        breaks=frozenset(number for number in range(1, len(kinds)) if kinds[number] != kinds[number - 1]),
        slim=Slim(
            caption=(
                "Macro F1 of the first minus the second, ×100, on the same clips, with the 95 % interval over speakers "
                "and seeds (Student's t), and p of a permutation test over speakers, corrected by Holm."
            ),
            without=("speakers", "effect size", "speakers better (%)", "smallest p"),
        ),
    )


def speaker_tables(compared: Sequence[Contrast]) -> list[Sheet]:
    """Differences of each speaker, a table a corpus, where speakers are too few for a test."""
    groups: dict[tuple[str, tuple[str, ...]], list[Contrast]] = {}
    for contrast in compared:
        comparison = contrast.comparison
        for corpus, differences in comparison.per_speaker.items():
            if len(comparison.corpora) == 1 and comparison.has_few_speakers and len(differences) <= MOST_SPEAKERS:
                groups.setdefault((corpus, tuple(differences)), []).append(contrast)
    is_repeated = len({corpus for corpus, _ in groups}) < len(groups)
    return [
        Sheet(
            name=f"differences-{corpus}" + (f"-{number}" if is_repeated else ""),
            title=f"Differences by speaker, {corpus_title(corpus)}",
            columns=columns("first", "second", "under", *speakers, "mean", texts=("first", "second", "under")),
            lists=("under",),
            rows=tuple(_speaker_row(contrast, corpus, speakers) for contrast in members),
            caption="Macro F1 within each speaker, the first minus the second, ×100, seeds averaged.",
            stamp=stamp_of([config for contrast in members for config in contrast.configurations]),
        )
        for number, ((corpus, speakers), members) in enumerate(groups.items(), 1)
    ]


def p_cell(comparison: Comparison) -> Cell:
    """Corrected p, with p before the correction and that with seeds below."""
    if comparison.p is None:
        return Cell("no test")
    adjusted = comparison.p if comparison.adjusted_p is None else comparison.adjusted_p
    with_seeds = comparison.seeds_p if comparison.adjusted_seeds_p is None else comparison.adjusted_seeds_p
    seeds_line = "" if with_seeds is None else f"\nwith seeds {p_text(with_seeds)}"
    return Cell(
        text=p_text(adjusted),
        key=adjusted,
        under=f"{p_text(comparison.p)} × {comparison.family}{seeds_line}",
        values=(
            ("", adjusted),
            ("before", comparison.p),
            ("family", comparison.family),
            ("with seeds", with_seeds),
        ),
        is_bold=bool(comparison.methods_differ),
    )


def p_text(p: float) -> str:
    """
    >>> p_text(0.03125), p_text(0.00012), p_text(1.0)
    ('0.031', '0.0001', '1.000')
    """
    return f"{p:.4f}" if p < 0.001 else f"{p:.3f}"


def missing_interval(comparison: Comparison) -> str:
    """The reason for which a comparison has no interval; empty where it has one."""
    if comparison.interval:
        return ""
    return "all speakers alike" if comparison.allows_interval else "too few speakers"


def verdict(comparison: Comparison, difference: float, above: str, below: str) -> str:
    """`above` or `below`, by the sign of the difference, where the two are told apart, and whether as methods."""
    if comparison.models_differ is None:
        return "too few speakers to test"
    if not comparison.models_differ:
        return "not told apart"
    words = above if difference > 0 else below
    if comparison.methods_differ:
        return words
    if comparison.methods_differ is None:
        return f"{words}, of these two trained models (one seed)"
    return f"{words}, of these trained models; other seeds may say otherwise"


UNDECIDED_WORDS = (
    f"Below an undecided verdict: p of the two being equivalent within ±{100 * MARGIN:.0f} points (two one-sided t "
    f"tests, before any correction; at most {ALPHA:.2f} shows it), and the least true difference that these speakers "
    f"and seeds would have shown in {100 * POWER:.0f} of 100 studies (two-sided t test at {100 * ALPHA:.0f} %)."
)
"""Explanation of `verdict_cell`, for captions."""


def verdict_cell(comparison: Comparison, words: str) -> Cell:
    """A verdict; below an undecided one, what it is worth. The CSV file has both numbers in every row, in points."""
    if comparison.sampled is None:
        return Cell(words)
    return Cell(
        text=words,
        under="" if comparison.models_differ else "\n".join(undecided_lines(comparison)),
        values=(
            ("", words),
            ("equivalence p", equivalence_p(comparison.sampled)),
            ("smallest difference", 100 * smallest_difference(comparison.sampled)),
        ),
    )


def undecided_lines(comparison: Comparison) -> list[str]:
    """Lines below an undecided verdict; [] where the difference has no interval."""
    if comparison.sampled is None:
        return []
    if not comparison.sampled.variance:
        return ["the same with all speakers"]
    p, smallest = equivalence_p(comparison.sampled), 100 * smallest_difference(comparison.sampled)
    shown = "equivalent" if p <= ALPHA else "equivalence not shown"
    return [f"{shown}, p {p_text(p)}", f"could show {smallest:.1f} points"]


def _tally(compared: Sequence[Contrast]) -> str:
    """One sentence on the outcome of all comparisons."""
    tested = [contrast for contrast in compared if contrast.comparison.models_differ is not None]
    if not tested:
        return f"Of {len(compared)} comparisons none could be tested: there are too few speakers."
    significant = sum(bool(contrast.comparison.models_differ) for contrast in tested)
    return (
        f"Of {len(compared)} comparisons {len(tested)} could be tested; {significant} of them differ significantly "
        "after correction."
    )


LEADING = ("verdict", "difference", "95 % interval")
"""Columns of a table of comparisons that the page shows first."""
BELOW = (("difference", "95 % interval"), ("p, corrected", "smallest p"))
"""Pairs of its columns of which the page shows the second below the first."""


def comparison_columns(third: str, *, is_number: bool = True) -> tuple[Column, ...]:
    """Columns of a table of comparisons: the two that are compared, `third`, and those of `comparison_cells`."""
    texts = ("first", "second", "verdict", *(() if is_number else (third,)))
    numbers = ("speakers", "difference", "95 % interval", "effect size", "speakers better (%)")
    return columns("first", "second", third, *numbers, "p, corrected", "smallest p", "verdict", texts=texts)


def comparison_cells(comparison: Comparison) -> tuple[Cell, ...]:
    """Cells of one comparison, from its speakers to its verdict."""
    difference = 100 * comparison.difference
    return (
        speakers_cell(comparison),
        Cell(signed_text(difference), difference),
        _interval_cell(comparison),
        effect_cell(comparison.effect_size),
        Cell(f"{100 * comparison.share_better:.0f}", 100 * comparison.share_better),
        p_cell(comparison),
        Cell(p_text(comparison.smallest_p), comparison.smallest_p),
        verdict_cell(comparison, verdict(comparison, comparison.difference, "first is better", "second is better")),
    )


def _row(contrast: Contrast) -> tuple[Cell, ...]:
    names = (contrast.first, contrast.second, contrast.under)
    return (*map(text_cell, names), *comparison_cells(contrast.comparison))


def _interval_cell(comparison: Comparison) -> Cell:
    low, high = (None, None) if comparison.interval is None else (100 * end for end in comparison.interval)
    return Cell(
        text=signed_range(comparison.interval) or DASH,
        key=low,
        under=missing_interval(comparison),
        values=(("low", low), ("high", high), ("by", comparison.interval_by)),
    )


def effect_cell(effect: float | None) -> Cell:
    """Effect size with its sign; a dash where the speakers have no spread."""
    return Cell(DASH if effect is None else f"{effect:+.2f}".replace("-", "−"), effect)


def speakers_cell(comparison: Comparison) -> Cell:
    counts = comparison.speakers
    total = sum(counts.values())
    is_uneven = any(comparison.effective[corpus] < 0.8 * number for corpus, number in counts.items())
    effective = " + ".join(f"{number:.0f}" for number in comparison.effective.values())
    return Cell(
        text=" + ".join(map(str, counts.values())),
        key=total,
        under=f"in effect {effective}" if is_uneven else "",
        values=(("", total), ("effective", comparison.effective_speakers)),
    )


def _speaker_row(contrast: Contrast, corpus: str, speakers: Sequence[str]) -> tuple[Cell, ...]:
    differences = contrast.comparison.per_speaker[corpus]
    return (
        text_cell(contrast.first),
        text_cell(contrast.second),
        text_cell(contrast.under),
        *(difference_cell(differences[speaker]) for speaker in speakers),
        difference_cell(fmean(differences.values())),
    )


COMPARISONS = Chapter(name="comparisons", title="Which differences are significant", order=200, build=build)
