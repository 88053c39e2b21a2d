"""What one changed setting does: to macro F1 beside the unchanged recipe, and to the size of the hidden states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from affetto.reporting import contrasts
from affetto.reporting.contrasts import Contrast
from affetto.reporting.render.sheet import Cell, Column, Sheet, percent_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, backbone_title, changes, corpus_title, method_title
from affetto.reporting.results.records import BESIDE, Configuration

HYPOTHESES = {
    "model.layer_norm_swap": "Does it matter that pre-LayerNorm weights are computed in post-LayerNorm order?",
    "model.state_norm": "Does the plain mean of the states hang on a few of them that are large?",
    "model.unmasked_mean": "Does averaging over padding too dilute short clips?",
    "model.pooling": "Does the embedding output add to the mean (L+1 states) or not (L)?",
    "adapter.placement": "Does it matter where in a block the Adapter stands, and what it adds?",
    "augment.noise_snr_db": "Does training on noisy clips, as PEFT-SER does, help?",
    "lora.alpha": "Is LoRA held back by its scaling, alpha over rank?",
    "training.class_weights": "Do class weights matter where classes are unbalanced?",
    "training.length_window": "Does it matter that batches are made of clips of like length?",
}
"""The question behind a setting, by its name."""


def effects(evidence: Evidence, made: Sequence[Contrast]) -> Sheet:
    """A row a change: macro F1 with and without it, and the paired difference."""
    rows = []
    for one in made:
        half = len(one.configurations) // 2
        firsts, seconds = one.configurations[::2], one.configurations[1::2]
        assert len(firsts) == half
        sign = 1
        if not evidence.changed(firsts[0]):  # the changed one stands first
            firsts, seconds, sign = seconds, firsts, -1
        axes, c = firsts[0].axes, one.comparison
        ends = None if c.interval is None else sorted(sign * 100 * end for end in c.interval)
        between = "–" if ends is None else f"{signed_text(ends[0])} to {signed_text(ends[1])}"
        difference = sign * 100 * c.difference
        by = contrasts.why_none(c)
        values = (
            ("", difference),
            ("low", ends[0] if ends else None),
            ("high", ends[1] if ends else None),
            ("by", c.interval_by),
        )
        rows.append(
            (
                text_cell(changes(evidence.changed(firsts[0]))),
                text_cell(backbone_title(axes)),
                text_cell(method_title(axes.method)),
                text_cell(" + ".join(corpus_title(each.axes.corpus) for each in firsts)),
                text_cell(axes.recipe),
                _mean(evidence, seconds, firsts),
                _mean(evidence, firsts, seconds),
                Cell(signed_text(difference), difference, f"{between}{', ' + by if by else ''}", values),
                contrasts.p_cell(c),
                Cell(contrasts.verdict(c, difference, "raises F1", "lowers F1")),
            )
        )
    heads = tuple(
        Column(name, name not in ("changed", "backbone", "method", "corpora", "recipe", "verdict"))
        for name in (
            "changed",
            "backbone",
            "method",
            "corpora",
            "recipe",
            "unchanged",
            "with the change",
            "difference",
            "p, corrected",
            "verdict",
        )
    )
    ones = [o for one in made for o in one.configurations]
    named = {name for one in ones for name, _ in evidence.changed(one)}
    notes = [f"{name}: {question}" for name, question in HYPOTHESES.items() if name in named]
    notes += _alike(evidence, ones)
    caption = (
        "Macro F1 ×100 of the recipe with one setting changed, beside the recipe as it is, on the same clips, mean "
        "over corpora and shared seeds. Below the difference: its interval over speakers and seeds. These are "
        "hypotheses on what the implementation, rather than the method, may have caused; they are tested here on our "
        "own code."
    )
    return Sheet("ablations", "Changed settings", heads, tuple(rows), caption, tuple(notes), stamp_of(ones))


def _alike(evidence: Evidence, ones: Sequence[Configuration]) -> list[str]:
    """What a grid sets for all runs of a method, unchanged or not."""
    shared: dict[str, None] = {}
    for one in ones:
        own = changes(each for each in one.axes.settings if each not in evidence.changed(one))
        if own:
            shared[f"{method_title(one.axes.method)}: all runs with {own}"] = None
    return list(shared)


def state_groups(evidence: Evidence) -> dict[str, dict[str, Mapping[str, Any]]]:
    """{backbone, corpus, method: {what is changed: sizes of the states}} of the runs that have measured them."""
    ones = [one for one in evidence.configurations if _states(one)]
    naming = Naming(ones, hide=("changed",))
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in ones:
        found.setdefault(naming.label(one), {})[changes(evidence.changed(one)) or "unchanged"] = _states(one) or {}
    return found


def sizes(evidence: Evidence) -> Sheet | None:
    """Root mean square of each hidden state; None where no run has measured it."""
    groups = state_groups(evidence)
    if not groups:
        return None
    most = max(len(each["rms"]) for group in groups.values() for each in group.values())
    rows = []
    for name, group in groups.items():
        for changed, each in group.items():
            cells = [_size(each, number) for number in range(most)]
            rows.append((text_cell(name), text_cell(changed), *cells))
    heads = (Column("configuration", False), Column("changed", False), *(Column(str(n)) for n in range(most)))
    caption = (
        "Size of each hidden state (root mean square of its elements over the frames of some test clips of one fold, "
        "first seed), from the embedding output, 0, to the last block; below: its share of the pooled state, %."
    )
    ones = [one for one in evidence.configurations if _states(one)]
    return Sheet("states", "Sizes of the hidden states", heads, tuple(rows), caption, (), stamp_of(ones))


def _states(one: Configuration) -> Mapping[str, Any] | None:
    if one.axes.recipe == BESIDE:
        return None  # the states are those of the run that the probe stood beside
    found: Mapping[str, Any] | None = (one.done[0].metrics or {}).get("states") if one.done else None
    return found if found and "rms" in found else None


def _size(each: Mapping[str, Any], number: int) -> Cell:
    if number >= len(each["rms"]):
        return Cell("")
    rms, share = float(each["rms"][number]), 100 * float(each["share"][number])
    return Cell(f"{rms:.3g}", rms, f"{share:.0f} %", (("rms", rms), ("share (%)", share)))


def _mean(evidence: Evidence, ones: Sequence[Configuration], others: Sequence[Configuration]) -> Cell:
    """Macro F1 over the corpora, of the seeds that both sides have: what the difference beside it is of."""
    means = []
    for one, other in zip(ones, others, strict=True):
        scores, theirs = evidence.by_seed(one), evidence.by_seed(other)
        means.append(fmean(score for seed, score in scores.items() if seed in theirs))
    return percent_cell(fmean(means))
