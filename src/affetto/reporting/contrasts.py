"""Paired comparisons: configurations that differ in one thing, on the same clips, over all corpora that both have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from affetto.errors import UserError
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title, changes, corpus_title, method_title
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats import paired

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


def _pairs(evidence: Evidence, kind: str) -> Iterator[list[tuple[Configuration, Configuration]]]:
    """Of each two values of the kind the pairs of configurations, one a corpus, alike in all else."""
    groups: dict[Any, dict[str, dict[str, Configuration]]] = {}
    plain = any(not evidence.changed(one) for one in evidence.trained)
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
        recipes = {(o.axes.recipe, o.axes.settings) for o in evidence.trained}
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
