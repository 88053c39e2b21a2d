"""Paired comparisons: configurations that differ in one thing, on the same clips, over all corpora that both have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Any

from affetto.errors import UserError
from affetto.reporting.render.sheet import Cell, Sheet, columns, difference_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title, changes, corpus_title, method_title
from affetto.reporting.results.records import Configuration
from affetto.reporting.run_sheets import MOST_SPEAKERS
from affetto.reporting.stats import paired
from affetto.reporting.stats.estimation import FEW_SPEAKERS, FOLDS

KINDS = ("method", "recipe", "backbone", "settings")
"""What two compared configurations may differ in. Changed settings are compared with the recipe as it is."""

Pairs = Sequence[tuple[Configuration, Configuration]]
"""The first and the second of a comparison, a pair a corpus."""


@dataclass(frozen=True)
class Contrast:
    """One comparison, with words for what is compared under which circumstances."""

    kind: str
    first: str
    second: str
    under: str
    comparison: paired.Comparison
    configurations: tuple[Configuration, ...]


def contrasts(evidence: Evidence, kinds: Sequence[str] = KINDS) -> list[Contrast]:
    """All comparisons, corrected within each kind. What cannot be compared is noted in the evidence."""
    return [
        each
        for kind in kinds
        for each in corrected([row for pairs in _pairs(evidence, kind) for row in by_corpus(evidence, kind, pairs)])
    ]


def by_corpus(evidence: Evidence, kind: str, pairs: Pairs) -> list[Contrast]:
    """The comparison over the corpora with speakers enough, and that on each corpus alone.

    A corpus with one or two test speakers tells nothing of others: pooled with the rest it would leave no interval.
    """
    testable = [pair for pair in pairs if (system := evidence.system(pair[0])) and paired.can_be_tested(system)]
    pooled = testable or list(pairs)
    groups = [pooled] if len(pooled) > 1 else []
    groups += [[pair] for pair in pairs]
    inside = {first.axes.corpus for first, _ in pooled}
    without = [first.axes.corpus for first, _ in pairs if first.axes.corpus not in inside]
    return [
        each
        for group in groups
        if (each := contrast(evidence, kind, group, without=without if group is pooled else ()))
    ]


def corrected(family: Sequence[Contrast]) -> list[Contrast]:
    """Holm's correction over the comparisons of one kind on the same corpora; the order stays."""
    adjusted: dict[int, paired.Comparison] = {}
    for corpora in dict.fromkeys(each.comparison.corpora for each in family):
        numbers = [number for number, each in enumerate(family) if each.comparison.corpora == corpora]
        adjusted |= zip(numbers, paired.holm([family[number].comparison for number in numbers]), strict=True)
    return [replace(each, comparison=adjusted[number]) for number, each in enumerate(family)]


def by_folds(configurations: Sequence[Configuration]) -> bool:
    """Whether any was tested by folds, whose models share training data."""
    return any("folds" in (run.metrics or {}) for each in configurations for run in each.done)


def sheet(made: Sequence[Contrast]) -> Sheet:
    """A row a comparison."""
    rows, breaks, before = [], set(), None
    for number, one in enumerate(made):
        if before not in (None, one.kind):
            breaks.add(number)
        before = one.kind
        c = one.comparison
        low, high = (None, None) if c.interval is None else (100 * c.interval[0], 100 * c.interval[1])
        between = "–" if low is None or high is None else f"{signed_text(low)} to {signed_text(high)}"
        rows.append((
            text_cell(one.first), text_cell(one.second), text_cell(one.under), _speakers(c),
            Cell(signed_text(100 * c.difference), 100 * c.difference),
            Cell(between, low, why_none(c), (("low", low), ("high", high), ("by", c.interval_by))),
            Cell("–" if c.effect_size is None else f"{c.effect_size:+.2f}".replace("-", "−"), c.effect_size),
            Cell(f"{100 * c.share_better:.0f}", 100 * c.share_better), p_cell(c),
            Cell(small(c.smallest_p), c.smallest_p),
            Cell(verdict(c, c.difference, "first is better", "second is better")),
        ))  # fmt: skip
    heads = columns(
        "first", "second", "under", "speakers", "difference", "95 % interval", "effect size", "speakers better (%)",
        "p, corrected", "smallest p", "verdict", left=("first", "second", "under", "verdict"),
    )  # fmt: skip
    caption = (
        "Macro F1 of the first minus the second, ×100, on the same clips, seeds averaged, mean over corpora; below, "
        "each corpus alone. Interval: Student's t over speakers and seeds; of one seed it is about these trained "
        f"models alone. With fewer than {FEW_SPEAKERS} effective speakers no test is made. Effect size: mean over "
        "standard deviation of the speakers' differences (d_z). p: by exchanging the two within speakers, two-sided, "
        "which is about these trained models; with seeds: of the interval's t, which is about the methods. Both after "
        "Holm's correction over the comparisons of its kind on the same corpora (below: before). Smallest p: what so "
        "many speakers could give at best, before correction."
    )
    ones = [one for contrast in made for one in contrast.configurations]
    notes = (FOLDS,) if by_folds(ones) else ()
    return Sheet(
        "comparisons", "Paired comparisons", heads, tuple(rows), caption, notes, stamp_of(ones), frozenset(breaks)
    )


def differences(made: Sequence[Contrast]) -> list[Sheet]:
    """Where speakers are too few for a test: what each speaker says, side by side, a sheet a corpus."""
    groups: dict[tuple[str, tuple[str, ...]], list[Contrast]] = {}
    for one in made:
        for corpus, each in one.comparison.per_speaker.items():
            if len(one.comparison.corpora) == 1 and one.comparison.has_few_speakers and len(each) <= MOST_SPEAKERS:
                groups.setdefault((corpus, tuple(each)), []).append(one)
    several = len({corpus for corpus, _ in groups}) < len(groups)
    sheets = []
    for number, ((corpus, speakers), ones) in enumerate(groups.items(), 1):
        rows = []
        for one in ones:
            values = one.comparison.per_speaker[corpus]
            cells = [difference_cell(values[speaker]) for speaker in speakers]
            rows.append(
                (
                    text_cell(one.first),
                    text_cell(one.second),
                    text_cell(one.under),
                    *cells,
                    difference_cell(fmean(values.values())),
                )
            )
        heads = columns("first", "second", "under", *speakers, "mean", left=("first", "second", "under"))
        caption = "Macro F1 within each speaker, the first minus the second, ×100, seeds averaged."
        shown = stamp_of([c for one in ones for c in one.configurations])
        name = f"differences-{corpus}" + (f"-{number}" if several else "")
        title = f"Differences by speaker, {corpus_title(corpus)}"
        sheets.append(Sheet(name, title, heads, tuple(rows), caption, (), shown))
    return sheets


def _pairs(evidence: Evidence, kind: str) -> Iterator[list[tuple[Configuration, Configuration]]]:
    """Of each two values of the kind the pairs of configurations, one a corpus, alike in all else."""
    groups: dict[Any, dict[str, dict[str, Configuration]]] = {}
    plain = any(not evidence.changed(one) for one in evidence.learned)
    for one in evidence.configurations:
        if kind != "settings" and plain and evidence.changed(one):
            continue  # an ablation: compared with the recipe as it is, and with nothing else
        if kind in ("recipe", "settings") and one.axes.method == "probe":
            continue
        # A probe stands beside the methods of every recipe.
        loose = ("recipe",) if one.axes.method == "probe" else ()
        for under in _circumstances(evidence, one, kind, bool(loose)):
            value = str(evidence.changed(one) if kind == "settings" else getattr(one.axes, kind))
            groups.setdefault(under, {}).setdefault(value, {})[one.axes.corpus] = one
    for group in groups.values():
        for second, first in combinations(group, 2):
            if kind == "settings" and "()" not in (first, second):
                continue  # each change is held against the recipe as it is, not against another change
            shared = [corpus for corpus in group[first] if corpus in group[second]]
            if shared:
                yield [(group[first][corpus], group[second][corpus]) for corpus in shared]


def _circumstances(evidence: Evidence, one: Configuration, kind: str, probe: bool) -> list[Any]:
    axes = one.axes
    named = [name for name in ("random_weights", "split_seed", "backbone", "method") if name != kind]
    fixed = (one.split, one.pool, *(getattr(axes, name) for name in named))
    if kind != "backbone":
        fixed += (axes.weights_seed,)
    if probe and kind == "method":
        recipes = {(o.axes.recipe, o.axes.settings) for o in evidence.learned}
        return [(fixed, recipe, settings) for recipe, settings in sorted(recipes)]
    if kind == "recipe":
        return [(fixed, axes.settings)]
    if kind == "settings":
        return [(fixed, axes.recipe)]
    return [(fixed, axes.recipe, axes.settings)]


def contrast(evidence: Evidence, kind: str, pairs: Pairs, *, without: Sequence[str] = ()) -> Contrast | None:
    """The first of each pair against the second, a pair a corpus; None, and a note, where they cannot be compared.

    `without` names the corpora that were left out for want of test speakers.
    """
    systems = []
    for first, second in pairs:
        one, other = evidence.system(first), evidence.system(second)
        assert one is not None and other is not None
        systems.append((one, other))
    first, second = pairs[0]
    titles = [_title(evidence, kind, each) for each in (first, second)]
    under = _under(kind, pairs, without)
    try:
        comparison = paired.compare(systems)
    except ValueError:
        evidence.notes.append(
            f"{titles[0]} and {titles[1]} ({under}) are not compared: no seed that both were run with"
        )
        return None
    except UserError as problem:
        evidence.notes.append(str(problem))
        return None
    return Contrast(
        kind=kind,
        first=titles[0],
        second=titles[1],
        under=under,
        comparison=comparison,
        configurations=tuple(each for pair in pairs for each in pair),
    )


def _title(evidence: Evidence, kind: str, configuration: Configuration) -> str:
    """That by which the two of a comparison differ, of one of them."""
    axes = configuration.axes
    if kind == "method":
        return method_title(axes.method)
    if kind == "recipe":
        return axes.recipe
    return backbone_title(axes) if kind == "backbone" else changes(evidence.changed(configuration)) or "unchanged"


def _under(kind: str, pairs: Pairs, without: Sequence[str]) -> str:
    """The circumstances that both have in common."""
    first, _ = pairs[0]
    axes = first.axes
    named = {"backbone": backbone_title(axes), "method": method_title(axes.method)}
    under = [title for name, title in named.items() if name != kind]
    under += [f"recipe {axes.recipe}"] if kind != "recipe" and axes.method != "probe" else []
    corpora = " + ".join(corpus_title(each.axes.corpus) for each, _ in pairs)
    under += [
        corpora + (f" (without {', '.join(map(corpus_title, without))}: too few test speakers)" if without else "")
    ]
    under += [f"split {first.split}"]
    under += [changes(axes.settings)] if axes.settings and kind != "settings" else []
    return ", ".join(under)


def _speakers(c: paired.Comparison) -> Cell:
    counts = c.speakers
    total = sum(counts.values())
    uneven = any(c.effective[corpus] < 0.8 * number for corpus, number in counts.items())
    under = f"in effect {' + '.join(f'{number:.0f}' for number in c.effective.values())}" if uneven else ""
    values = (("", total), ("effective", c.effective_speakers))
    return Cell(" + ".join(map(str, counts.values())), total, under, values)


def p_cell(c: paired.Comparison) -> Cell:
    if c.p is None:
        return Cell("no test", None)
    adjusted = c.p if c.adjusted_p is None else c.adjusted_p
    seeds = c.seeds_p if c.adjusted_seeds_p is None else c.adjusted_seeds_p
    values = (("", adjusted), ("before", c.p), ("family", c.family), ("with seeds", seeds))
    under = f"{small(c.p)} × {c.family}" + ("" if seeds is None else f"\nwith seeds {small(seeds)}")
    return Cell(small(adjusted), adjusted, under, values, strong=bool(c.methods_differ))


def small(p: float) -> str:
    """
    >>> small(0.03125), small(0.00012), small(1.0)
    ('0.031', '0.0001', '1.000')
    """
    return f"{p:.4f}" if p < 0.001 else f"{p:.3f}"


def why_none(c: paired.Comparison) -> str:
    """The reason for which a comparison has no interval; empty where it has one."""
    if c.interval:
        return ""
    return "all speakers alike" if c.allows_interval else "too few speakers"


def verdict(c: paired.Comparison, difference: float, above: str, below: str) -> str:
    """`above` or `below`, by the sign of the difference, where the two are told apart, and whether as methods."""
    if c.models_differ is None:
        return "too few speakers to test"
    if not c.models_differ:
        return "not told apart"
    words = above if difference > 0 else below
    if c.methods_differ:
        return words
    if c.methods_differ is None:
        return f"{words}, of these two trained models (one seed)"
    return f"{words}, of these trained models; other seeds may say otherwise"
