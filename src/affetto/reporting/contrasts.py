"""Paired comparisons: configurations that differ in one thing, on the same clips, over all corpora that both have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from affetto.errors import UserError
from affetto.reporting import paired
from affetto.reporting.evidence import Evidence
from affetto.reporting.naming import backbone_title, changes, corpus_title, method_title
from affetto.reporting.records import Configuration
from affetto.reporting.run_sheets import stamp_of
from affetto.reporting.sheet import Cell, Sheet, columns, plus_minus, signed, words

KINDS = ("method", "recipe", "backbone", "settings")
"""What two compared configurations may differ in; each is a family of its own for Holm's correction. Changed settings
are compared with the recipe as it is."""


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
    found: list[Contrast] = []
    for kind in kinds:
        family = [one for pairs in _pairs(evidence, kind) if (one := contrast(evidence, kind, pairs))]
        corrected = paired.holm([one.comparison for one in family])
        found += [
            Contrast(one.kind, one.first, one.second, one.under, comparison, one.configurations)
            for one, comparison in zip(family, corrected, strict=True)
        ]
    return found


def sheet(made: Sequence[Contrast]) -> Sheet:
    """A row a comparison."""
    rows, breaks, before = [], set(), None
    for number, one in enumerate(made):
        if before not in (None, one.kind):
            breaks.add(number)
        before = one.kind
        c = one.comparison
        low, high = (None, None) if c.interval is None else (100 * c.interval[0], 100 * c.interval[1])
        between = "–" if low is None or high is None else f"{plus_minus(low)} to {plus_minus(high)}"
        by = {"t": f"t, around {plus_minus(100 * c.speakers_mean)}", "bootstrap": "", "none": "one speaker"}[
            c.interval_by
        ]
        rows.append((
            words(one.first), words(one.second), words(one.under), _speakers(c),
            Cell(plus_minus(100 * c.difference), 100 * c.difference),
            Cell(between, low, by, (("low", low), ("high", high), ("by", c.interval_by))),
            Cell("–" if c.effect_size is None else f"{c.effect_size:+.2f}".replace("-", "−"), c.effect_size),
            Cell(f"{100 * c.share_better:.0f}", 100 * c.share_better), p_cell(c),
            Cell(small(c.smallest_p), c.smallest_p), Cell(_verdict(c)),
        ))  # fmt: skip
    heads = columns(
        "first", "second", "under", "speakers", "difference", "95 % interval", "effect size", "speakers better (%)",
        "p, corrected", "smallest p", "verdict", left=("first", "second", "under", "verdict"),
    )  # fmt: skip
    caption = (
        "Macro F1 of the first minus the second, ×100, on the same clips, seeds averaged, mean over corpora. Interval: "
        f"bootstrap over speakers; under {paired.FEW_SPEAKERS} speakers a t interval around the mean of the speakers' "
        "differences, and no test. Effect size: mean over standard deviation of the speakers' differences (d_z). p: by "
        "exchanging the two within speakers, two-sided, after Holm's correction over the comparisons of its "
        "group (below: before). Smallest p: what so many speakers could give at best, before correction."
    )
    ones = [one for contrast in made for one in contrast.configurations]
    said = stamp_of(ones)
    return Sheet("comparisons", "Paired comparisons", heads, tuple(rows), caption, (), said, frozenset(breaks))


def differences(made: Sequence[Contrast]) -> list[Sheet]:
    """Where speakers are too few for a test: what each speaker says, side by side, a sheet a corpus."""
    groups: dict[tuple[str, tuple[str, ...]], list[Contrast]] = {}
    for one in made:
        for corpus, each in one.comparison.per_speaker.items():
            if one.comparison.few and len(each) < paired.FEW_SPEAKERS:
                groups.setdefault((corpus, tuple(each)), []).append(one)
    several = len({corpus for corpus, _ in groups}) < len(groups)
    sheets = []
    for number, ((corpus, speakers), ones) in enumerate(groups.items(), 1):
        rows = []
        for one in ones:
            values = one.comparison.per_speaker[corpus]
            cells = [signed(values[speaker]) for speaker in speakers]
            rows.append((words(one.first), words(one.second), words(one.under), *cells, signed(fmean(values.values()))))
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


def contrast(evidence: Evidence, kind: str, pairs: Sequence[tuple[Configuration, Configuration]]) -> Contrast | None:
    """The first of each pair against the second, a pair a corpus; None, and a note, where they cannot be compared."""
    systems = []
    for first, second in pairs:
        one, other = evidence.system(first), evidence.system(second)
        assert one is not None and other is not None
        systems.append((one, other))
    first, second = pairs[0]
    try:
        comparison = paired.compare(systems)
    except ValueError:
        return None  # no seed of both
    except UserError as problem:
        evidence.notes.append(str(problem))
        return None
    everyone = tuple(one for pair in pairs for one in pair)
    told, over = (
        {"method": method_title(o.axes.method), "recipe": o.axes.recipe, "backbone": backbone_title(o.axes),
         "settings": changes(evidence.changed(o)) or "unchanged"}
        for o in (first, second)
    )  # fmt: skip
    under = [told[name] for name in ("backbone", "method") if name != kind]
    under += [f"recipe {first.axes.recipe}"] if kind != "recipe" and first.axes.method != "probe" else []
    under += [" + ".join(corpus_title(a.axes.corpus) for a, _ in pairs), f"split {first.split}"]
    under += [changes(first.axes.settings)] if first.axes.settings and kind != "settings" else []
    return Contrast(kind, told[kind], over[kind], ", ".join(under), comparison, everyone)


def _speakers(c: paired.Comparison) -> Cell:
    counts = c.speakers
    total = sum(counts.values())
    return Cell(" + ".join(map(str, counts.values())), total, values=(("", total),))


def p_cell(c: paired.Comparison) -> Cell:
    if c.p is None:
        return Cell("no test", None)
    adjusted = c.p if c.adjusted_p is None else c.adjusted_p
    values = (("", adjusted), ("before", c.p), ("family", c.family))
    return Cell(small(adjusted), adjusted, f"{small(c.p)} × {c.family}", values, strong=bool(c.significant))


def small(p: float) -> str:
    """
    >>> small(0.03125), small(0.00012), small(1.0)
    ('0.031', '0.0001', '1.000')
    """
    return f"{p:.4f}" if p < 0.001 else f"{p:.3f}"


def _verdict(c: paired.Comparison) -> str:
    if c.significant is None:
        return "too few speakers to test"
    if not c.significant:
        return "not told apart"
    return "first is better" if c.difference > 0 else "second is better"
