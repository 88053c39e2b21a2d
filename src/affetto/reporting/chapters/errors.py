"""Errors: clips that all systems get wrong, confident mistakes, errors by sentence, and the raters clip by clip."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.error_pictures import agreement_picture, rater_picture
from affetto.reporting.chapters.selection import MOST_ROWS, Group, drawn_part, group_by_corpus, highest, stem
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Column, Sheet, columns, count_cell, percent_cell, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.answers import (
    Answer,
    RaterAgreement,
    answers,
    beside_raters,
    by_kind,
    by_sentence,
    same_clips,
)
from affetto.reporting.stats.systems import System

QUARTERS = 4
MOST_CLIPS = 40
"""Clips that a table lists."""
LEAST_SYSTEMS = 2
CLIP_COLUMNS = ("clip", "speaker", "sentence", "truth", "answer")


def build(evidence: Evidence) -> Section | None:
    groups = group_by_corpus(evidence)
    pictures = [picture for group in groups for picture in _pictures(evidence, group)]
    tables = [table for group in groups for table in _tables(evidence, group)]
    if not pictures and not tables:
        return None
    return Section(
        words=(
            "Single clips, to listen to: those that every system gets wrong are hard, labelled wrongly, or unlike the "
            "training; those that the best system gets wrong with confidence show what it mistakes for an emotion."
        ),
        items=tuple(pictures),
        folded=tuple(tables),
    )


def hard_table(evidence: Evidence, group: Group) -> Sheet | None:
    """A row a clip that no seed of any system gets right, the most confident mistakes first; None where none is."""
    systems = _systems(evidence, group)
    if len(systems) < LEAST_SYSTEMS:
        return None
    clips = answers(list(systems.values()))
    hard = sorted((clip for clip in clips if clip.right == 0), key=lambda clip: (-clip.confidence, clip.clip))
    if not hard:
        return None
    emotions = ", ".join(f"{label} {count}" for label, count in Counter(clip.truth for clip in hard).most_common())
    speakers = ", ".join(f"{name} {count}" for name, count in Counter(clip.speaker for clip in hard).most_common(5))
    return Sheet(
        name=f"hard-clips-{stem(evidence, group)}",
        title=f"Clips that all systems get wrong: {group.heading}",
        columns=columns(*CLIP_COLUMNS, "agree (%)", "confidence (%)", "raters (%)", texts=CLIP_COLUMNS),
        rows=tuple(
            (*_clip_cells(evidence, group, clip), percent_cell(clip.agreement, 0), *_last_cells(clip))
            for clip in hard[:MOST_CLIPS]
        ),
        caption=(
            f"{len(hard):,} of {len(clips):,} clips, which no seed of {len(systems)} systems gets right"
            f"{_listed(len(hard))}. By emotion: {emotions}. Most from {speakers}. Answer: the label that most systems "
            "name, with the share of them that do and their mean probability for it. Raters: share of the human "
            "raters who named the truth."
        ),
        stamp=stamp_of(group.configurations),
    )


def mistake_table(evidence: Evidence, group: Group) -> Sheet | None:
    """A row a clip that most seeds of the best system get wrong, the most confident first; None where none is."""
    config = highest(evidence, group.configurations)
    system = evidence.system(config)
    assert system is not None
    clips = answers([system])
    wrong = sorted(
        (clip for clip in clips if clip.answer != clip.truth), key=lambda clip: (-clip.confidence, clip.clip)
    )
    if not wrong:
        return None
    return Sheet(
        name=f"confident-mistakes-{stem(evidence, group)}",
        title=f"Confident mistakes: {group.label(config)}, {group.heading}",
        columns=columns(*CLIP_COLUMNS, "confidence (%)", "raters (%)", texts=CLIP_COLUMNS),
        rows=tuple((*_clip_cells(evidence, group, clip), *_last_cells(clip)) for clip in wrong[:MOST_CLIPS]),
        caption=(
            f"{len(wrong):,} of {len(clips):,} clips are wrong in most seeds{_listed(len(wrong))}. Answer: the label "
            "that most seeds name; confidence: its mean probability. Raters: share of the human raters who named the "
            "truth."
        ),
        stamp=stamp_of([config]),
    )


def sentence_table(evidence: Evidence, group: Group) -> Sheet | None:
    """UAR within each sentence, a column a configuration; None where predictions name no sentences."""
    drawn = drawn_part(evidence, group)
    scores = {
        drawn.label(config): by_sentence(system)
        for config in drawn.configurations
        if (system := evidence.system(config))
    }
    scores = {name: of_sentences for name, of_sentences in scores.items() if of_sentences}
    sentences = {sentence for of_sentences in scores.values() for sentence in of_sentences}
    if len(sentences) < 2:
        return None
    hardest = sorted(sentences, key=lambda sentence: (_mean(scores, sentence), sentence))
    omitted = f" The {MOST_ROWS} hardest of {len(hardest)} are listed." if len(hardest) > MOST_ROWS else ""
    return Sheet(
        name=f"sentences-{stem(evidence, group)}",
        title=f"Sentences: {group.heading}",
        columns=(Column("sentence", is_number=False), *map(Column, scores)),
        rows=tuple(
            (text_cell(sentence), *(percent_cell(of_sentences.get(sentence)) for of_sentences in scores.values()))
            for sentence in hardest[:MOST_ROWS]
        ),
        caption=f"UAR ×100 within the clips of each sentence, mean over seeds, the hardest first.{omitted}",
        stamp=stamp_of(drawn.configurations),
    )


def length_table(evidence: Evidence, group: Group) -> Sheet | None:
    """UAR within quarters of the clips by length, a column a configuration; None where recordings are not at hand."""
    drawn, recordings = drawn_part(evidence, group), evidence.recordings
    systems = [(drawn.label(config), evidence.system(config)) for config in drawn.configurations]
    if recordings is None:
        return None
    answered = {label: system.runs[system.seeds[0]].clips for label, system in systems if system}
    clips = {clip for of_system in answered.values() for clip in of_system}
    lengths = {clip: recordings.seconds(group.corpus, clip) for clip in sorted(clips)}
    seconds = {clip: length for clip, length in lengths.items() if length is not None}
    if not seconds or len(seconds) < len(lengths):
        return None
    ends = np.quantile(list(seconds.values()), np.linspace(0, 1, QUARTERS + 1))
    names = [f"{low:.2f} to {high:.2f}" for low, high in itertools.pairwise(ends)]
    scores = {}
    for label, system in systems:
        if system:
            quarters = np.searchsorted(ends[1:-1], [seconds[clip] for clip in answered[label]], side="left")
            scores[label] = by_kind(system, [names[quarter] for quarter in quarters])
    return Sheet(
        name=f"lengths-{stem(evidence, group)}",
        title=f"Lengths: {group.heading}",
        columns=(Column("seconds", is_number=False), *map(Column, scores)),
        rows=tuple(
            (text_cell(name), *(percent_cell(of_lengths.get(name)) for of_lengths in scores.values()))
            for name in dict.fromkeys(names)
        ),
        caption="UAR ×100 within quarters of the clips by their length, mean over seeds.",
        stamp=stamp_of(drawn.configurations),
    )


def rater_clip_table(evidence: Evidence, group: Group) -> Sheet | None:
    """A row a configuration beside the raters of the same clips; None where nobody rated them."""
    rows: list[tuple[Configuration, RaterAgreement]] = []
    for config in group.configurations:
        system = evidence.system(config)
        agreement = beside_raters(system) if system else None
        if agreement is not None:
            rows.append((config, agreement))
    if not rows:
        return None
    naming = group.naming
    heads = ("both right", "raters alone", "system alone", "neither", "correlation", "clips")
    return Sheet(
        name=f"clips-raters-{stem(evidence, group)}",
        title=f"Clip by clip beside human raters: {group.heading}",
        columns=(*naming.columns(), *map(Column, heads)),
        rows=tuple((*naming.cells(config), *_agreement_cells(agreement)) for config, agreement in rows),
        caption=(
            "Percent of the rated clips by who names the truth: the raters' majority (ties count as right), and the "
            "system, mean over seeds. Correlation: Pearson's r of the share of raters who named the truth and the "
            "system's probability of it, with the 95 % interval over speakers: above 0 the system finds hard what "
            "people find hard."
        ),
        stamp=stamp_of([config for config, _ in rows]),
    )


def _tables(evidence: Evidence, group: Group) -> list[Sheet]:
    makers = (hard_table, mistake_table, sentence_table, length_table, rater_clip_table)
    return [table for make in makers if (table := make(evidence, group))]


def _pictures(evidence: Evidence, group: Group) -> list[Picture]:
    systems, name, stamp = _systems(evidence, group), stem(evidence, group), stamp_of(group.configurations)
    pictures: list[Picture] = []
    if len(systems) >= LEAST_SYSTEMS:
        pictures.append(agreement_picture(list(systems.values()), name, group.heading, stamp))
    best = highest(evidence, group.configurations)
    system = evidence.system(best)
    if system is not None and any(system.ratings):
        pictures.append(rater_picture(system, name, f"{group.label(best)}, {group.heading}", stamp))
    return pictures


def _systems(evidence: Evidence, group: Group) -> dict[str, System]:
    """Systems of a group that were tested on the same clips."""
    systems = {
        f"{number}": system
        for number, config in enumerate(group.configurations)
        if (system := evidence.system(config)) is not None
    }
    return same_clips(systems)


def _clip_cells(evidence: Evidence, group: Group, clip: Answer) -> tuple[Cell, ...]:
    sentence = text_cell(clip.prompt) if clip.prompt else Cell(DASH)
    name, recordings = text_cell(clip.clip), evidence.recordings
    path = recordings.path(group.corpus, clip.clip) if recordings else None
    if recordings and path is not None:
        name = replace(name, recording=f"{path.resolve()}{recordings.section(group.corpus, clip.clip)}")
    return name, text_cell(clip.speaker), sentence, text_cell(clip.truth), text_cell(clip.answer)


def _last_cells(clip: Answer) -> tuple[Cell, Cell]:
    raters = Cell(DASH) if clip.raters is None else percent_cell(clip.raters, 0)
    return percent_cell(clip.confidence, 0), raters


def _agreement_cells(agreement: RaterAgreement) -> tuple[Cell, ...]:
    shares = (agreement.both, agreement.raters_alone, agreement.system_alone, agreement.neither)
    return (*map(percent_cell, shares), _correlation_cell(agreement), count_cell(agreement.clips))


def _correlation_cell(agreement: RaterAgreement) -> Cell:
    if agreement.correlation is None:
        return Cell(DASH)
    low, high = agreement.interval or (None, None)
    ends = "" if low is None or high is None else f"{low:.2f} to {high:.2f}".replace("-", "−")
    values = (("", agreement.correlation), ("low", low), ("high", high))
    return Cell(f"{agreement.correlation:.2f}".replace("-", "−"), agreement.correlation, under=ends, values=values)


def _listed(count: int) -> str:
    return f"; the {MOST_CLIPS} most confident answers are listed" if count > MOST_CLIPS else ""


def _mean(scores: Mapping[str, Mapping[str, float]], sentence: str) -> float:
    values: Sequence[float] = [of_sentences[sentence] for of_sentences in scores.values() if sentence in of_sentences]
    return sum(values) / len(values)


ERRORS = Chapter(name="errors", title="Where the systems fail", order=330, build=build)
