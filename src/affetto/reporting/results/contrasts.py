"""Contrasts: configurations that differ in one axis, compared on the clips of all corpora that both were run on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from affetto.errors import UserError
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import auxiliary_title, backbone_title, changes, corpus_title, method_title
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats import paired

KINDS = ("method", "recipe", "backbone", "target", "auxiliary", "settings")
"""Axes in which two configurations may differ. Changed settings are compared with the unchanged recipe, and auxiliary
corpora with none."""

Pairs = Sequence[tuple[Configuration, Configuration]]
"""First and second configuration of a contrast, a pair for each corpus."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One comparison, with its titles and circumstances."""

    kind: str
    """One of KINDS."""
    first: str
    second: str
    under: str
    """Circumstances that both share."""
    comparison: paired.Comparison
    configurations: tuple[Configuration, ...]


def contrasts(evidence: Evidence, kinds: Sequence[str] = KINDS) -> list[Contrast]:
    """Compare all pairs, corrected within each kind. Pairs that cannot be compared become notes of the evidence."""
    return [
        contrast
        for kind in kinds
        for contrast in corrected([row for pairs in _pairs(evidence, kind) for row in by_corpus(evidence, kind, pairs)])
    ]


def by_corpus(evidence: Evidence, kind: str, pairs: Pairs) -> list[Contrast]:
    """Compare on all corpora with enough speakers together, and on each corpus alone.

    A corpus with one or two test speakers says nothing about other voices: pooled, it would leave no interval.
    """
    testable = [pair for pair in pairs if evidence.can_be_tested(pair[0])]
    pooled = testable or list(pairs)
    groups = [pooled] if len(pooled) > 1 else []
    groups += [[pair] for pair in pairs]
    corpora = {first.axes.corpus for first, _ in pooled}
    without = [first.axes.corpus for first, _ in pairs if first.axes.corpus not in corpora]
    compared = (compare(evidence, kind, group, without=without if group is pooled else ()) for group in groups)
    return [contrast for contrast in compared if contrast]


def corrected(family: Sequence[Contrast]) -> list[Contrast]:
    """Apply Holm's correction over the contrasts of one kind on the same corpora; their order stays."""
    adjusted: dict[int, paired.Comparison] = {}
    for corpora in dict.fromkeys(contrast.comparison.corpora for contrast in family):
        numbers = [number for number, contrast in enumerate(family) if contrast.comparison.corpora == corpora]
        adjusted |= zip(numbers, paired.holm([family[number].comparison for number in numbers]), strict=True)
    return [replace(contrast, comparison=adjusted[number]) for number, contrast in enumerate(family)]


def by_folds(configurations: Sequence[Configuration]) -> bool:
    """Return True if any was tested by folds, whose models share training data."""
    return any("folds" in (run.metrics or {}) for config in configurations for run in config.done)


def compare(evidence: Evidence, kind: str, pairs: Pairs, *, without: Sequence[str] = ()) -> Contrast | None:
    """Compare the first of each pair with the second; None, with a note, where they cannot be compared.

    `without` names corpora that were left out because they have too few test speakers.
    """
    first_title, second_title = (_title(evidence, kind, config) for config in pairs[0])
    under = _circumstances_text(kind, pairs, without)
    try:
        comparison = evidence.compare(pairs)
    except ValueError:
        evidence.notes.append(
            f"{first_title} and {second_title} ({under}) are not compared: no seed that both were run with"
        )
        return None
    except UserError as problem:
        evidence.notes.append(str(problem))
        return None
    return Contrast(
        kind=kind,
        first=first_title,
        second=second_title,
        under=under,
        comparison=comparison,
        configurations=tuple(config for pair in pairs for config in pair),
    )


def _pairs(evidence: Evidence, kind: str) -> Iterator[list[tuple[Configuration, Configuration]]]:
    """Pairs of configurations that differ in the kind alone, one for each corpus, for each two values of the kind."""
    groups: dict[Any, dict[str, dict[str, Configuration]]] = {}
    has_unchanged = any(not evidence.changed(config) for config in evidence.trained)
    for config in evidence.configurations:
        if kind != "settings" and has_unchanged and evidence.changed(config):
            continue  # an ablation is compared with the unchanged recipe alone
        if config.axes.is_baseline and (kind == "recipe" or (kind == "settings" and evidence.trained)):
            continue  # beside trained methods, a baseline's settings come from their recipes
        for circumstances in _circumstances(evidence, config, kind):
            value = str(evidence.ablation_settings(config) if kind == "settings" else getattr(config.axes, kind))
            groups.setdefault(circumstances, {}).setdefault(value, {})[config.axes.corpus] = config
    for group in groups.values():
        for second, first in combinations(group, 2):
            if (kind == "settings" and "()" not in (first, second)) or (kind == "auxiliary" and first and second):
                continue  # a change is compared with the unchanged recipe, not with another change
            shared = [corpus for corpus in group[first] if corpus in group[second]]
            if shared:
                yield [(group[first][corpus], group[second][corpus]) for corpus in shared]


def _circumstances(evidence: Evidence, config: Configuration, kind: str) -> list[Any]:
    """Facts that two configurations must share; several sets for a baseline, which stands beside every recipe."""
    axes = config.axes
    shared = ("random_weights", "split_seed", "backbone", "method", "target", "auxiliary")
    names = [name for name in shared if name != kind]
    fixed = (config.split, evidence.pool(config), *(getattr(axes, name) for name in names))
    if kind != "backbone":
        fixed += (axes.weights_seed,)
    if axes.is_baseline and kind == "method":
        recipes = {
            (trained.axes.recipe, trained.axes.settings)
            for trained in evidence.trained
            if trained.axes.baseline_settings == axes.baseline_settings
        }
        return [(fixed, recipe, settings) for recipe, settings in sorted(recipes)]
    if kind == "recipe":
        return [(fixed, axes.settings)]
    if kind == "settings":
        return [(fixed, axes.recipe, axes.speakers)]
    if kind == "auxiliary":  # their settings have no effect without them
        return [(fixed, axes.recipe, tuple(sorted(set(axes.settings) - set(axes.auxiliary_settings))))]
    return [(fixed, axes.recipe, axes.settings)]


def _title(evidence: Evidence, kind: str, config: Configuration) -> str:
    """Value of the axis in which the two configurations differ."""
    axes = config.axes
    if kind == "method":
        return method_title(axes.method)
    if kind in ("recipe", "target"):
        return str(getattr(axes, kind))
    if kind == "auxiliary":
        return auxiliary_title(axes.auxiliary) or "alone"
    return backbone_title(axes) if kind == "backbone" else changes(evidence.ablation_settings(config)) or "unchanged"


def _circumstances_text(kind: str, pairs: Pairs, without: Sequence[str]) -> str:
    """Circumstances that both configurations share, in one line."""
    first, _ = pairs[0]
    axes = first.axes
    corpora = " + ".join(corpus_title(config.axes.corpus) for config, _ in pairs)
    omitted = f" (without {', '.join(map(corpus_title, without))}: too few test speakers)" if without else ""
    parts = {
        "backbone": backbone_title(axes),
        "method": method_title(axes.method),
        "target": "" if axes.is_plain else f"target {axes.target}",
        "recipe": "" if axes.is_baseline else f"recipe {axes.recipe}",
        "corpora": corpora + omitted,
        "auxiliary": auxiliary_title(axes.auxiliary),
        "split": f"split {first.split}",
        "settings": changes(axes.settings),
    }
    return ", ".join(part for name, part in parts.items() if part and name != kind)
