"""Ablations: the effect of one changed setting on macro F1, and on the size of the hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.comparisons import UNDECIDED_WORDS, missing_interval, p_cell, verdict, verdict_cell
from affetto.reporting.chapters.layers import state_picture, state_table
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, columns, percent_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, signed_text
from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.contrasts import Contrast
from affetto.reporting.results.naming import backbone_title, changes, corpus_title, method_title
from affetto.reporting.results.records import SPEAKERS, Configuration

QUESTIONS = {
    "model.layer_norm_swap": "Does it matter that pre-LayerNorm weights are computed in post-LayerNorm order?",
    "model.state_norm": "Is the plain mean of the states dominated by a few large ones?",
    "model.unmasked_mean": "Does averaging over padding too dilute short clips?",
    "model.pooling": "Does the embedding output add to the mean (L+1 states) or not (L)?",
    "adapter.placement": "Does it matter where in a block the Adapter stands, and what it adds?",
    "augment.noise_snr_db": "Does training on noisy clips, as PEFT-SER does, help?",
    "lora.alpha": "Is LoRA held back by its scaling, alpha over rank?",
    "training.class_weights": "Do class weights matter where classes are unbalanced?",
    "training.length_window": "Does it matter that batches are made of clips of similar length?",
    "training.loss": "Does a loss help that balances classes, or that turns to difficult clips?",
    "training.sampler": "Do epochs help that have as many clips of every class?",
    "training.adversary": "Does unlearning voices help?",
    "training.cross_fit": "Does it help that clips are classified by a head that has not heard their speaker?",
    "augment.mixup": "Do mixtures of clips help?",
    "model.dropout_samples": "Do several draws of dropout in a step help?",
}
"""The question behind a changed setting, by the setting's name."""


def build(evidence: Evidence) -> Section:
    compared = contrasts.contrasts(evidence, ["settings"])
    items: list[Sheet | Picture] = [effect_table(evidence, compared)] if compared else []
    states = state_table(evidence)
    items += [state_picture(evidence), states] if states else []
    return Section(
        words="One setting changed at a time, to find effects of the implementation rather than of the method.",
        items=tuple(items),
    )


def effect_table(evidence: Evidence, compared: Sequence[Contrast]) -> Sheet:
    """A row a change: macro F1 with and without it, and the paired difference."""
    configs = [config for contrast in compared for config in contrast.configurations]
    changed = {name for config in configs for name, _ in evidence.ablation_settings(config)}
    words = ("changed", "backbone", "method", "corpora", "recipe", "verdict")
    questions = [f"{name}: {question}" for name, question in QUESTIONS.items() if name in changed]
    return Sheet(
        name="ablations",
        title="Changed settings",
        columns=columns(
            *words[:-1], "unchanged", "with the change", "difference", "p, corrected", "verdict", texts=words
        ),
        rows=tuple(_row(evidence, contrast) for contrast in compared),
        caption=(
            "Macro F1 ×100 of the recipe with one setting changed, beside the recipe as it is, on the same clips, mean "
            "over corpora and shared seeds. Below the difference: its interval over speakers and seeds. These are "
            "hypotheses on what the implementation, rather than the method, may have caused; they are tested here on "
            f"our own code. {UNDECIDED_WORDS}"
        ),
        notes=(*questions, *_shared_settings(evidence, configs)),
        stamp=stamp_of(configs),
    )


def _row(evidence: Evidence, contrast: Contrast) -> tuple[Cell, ...]:
    # The two sides of a comparison alternate, a pair a corpus.
    with_change, without, sign = contrast.configurations[::2], contrast.configurations[1::2], 1
    if not evidence.ablation_settings(with_change[0]):
        with_change, without, sign = without, with_change, -1
    axes, comparison = with_change[0].axes, contrast.comparison
    difference = sign * 100 * comparison.difference
    return (
        _change_cell(evidence, with_change[0]),
        text_cell(backbone_title(axes)),
        text_cell(method_title(axes.method)),
        text_cell(" + ".join(corpus_title(config.axes.corpus) for config in with_change)),
        text_cell(axes.recipe),
        _mean_cell(evidence, without, with_change),
        _mean_cell(evidence, with_change, without),
        _difference_cell(contrast, sign),
        p_cell(comparison),
        verdict_cell(comparison, verdict(comparison, difference, "raises F1", "lowers F1")),
    )


def _change_cell(evidence: Evidence, config: Configuration) -> Cell:
    """The change; below, a number of speakers that both sides learned from."""
    number = [setting for setting in evidence.changed(config) if setting[0] == SPEAKERS]
    text = changes(evidence.ablation_settings(config))
    return Cell(text, text, under=f"both with {changes(number)}" if number else "")


def _difference_cell(contrast: Contrast, sign: int) -> Cell:
    comparison = contrast.comparison
    difference = sign * 100 * comparison.difference
    low, high = (None, None) if comparison.interval is None else sorted(sign * 100 * end for end in comparison.interval)
    interval = DASH if low is None or high is None else f"{signed_text(low)} to {signed_text(high)}"
    reason = missing_interval(comparison)
    return Cell(
        text=signed_text(difference),
        key=difference,
        under=f"{interval}, {reason}" if reason else interval,
        values=(("", difference), ("low", low), ("high", high), ("by", comparison.interval_by)),
    )


def _mean_cell(evidence: Evidence, side: Sequence[Configuration], opposite: Sequence[Configuration]) -> Cell:
    """Macro F1 over the corpora, of the seeds that both sides have: those of the difference beside it."""
    means = []
    for config, counterpart in zip(side, opposite, strict=True):
        seeds = evidence.by_seed(counterpart)
        means.append(fmean(score for seed, score in evidence.by_seed(config).items() if seed in seeds))
    return percent_cell(fmean(means))


def _shared_settings(evidence: Evidence, configs: Sequence[Configuration]) -> list[str]:
    """Sentences on settings that a grid gives to all runs of a method, changed or not."""
    notes: dict[str, None] = {}
    for config in configs:
        shared = changes(setting for setting in config.axes.settings if setting not in evidence.changed(config))
        if shared:
            notes[f"{method_title(config.axes.method)}: all runs with {shared}"] = None
    return list(notes)


ABLATIONS = Chapter(name="ablations", title="Ablations", order=400, build=build)
