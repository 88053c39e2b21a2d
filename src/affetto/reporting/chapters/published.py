"""Published elsewhere: numbers of others from `--published`, beside the system that validation speakers chose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.chapters.methods import SEEDS, measure_cell
from affetto.reporting.chapters.selection import Group, group_by_corpus, stem
from affetto.reporting.render.picture import slug
from affetto.reporting.render.reference import Reference
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Cell, Sheet, Slim, columns, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.marks import footnotes, interval_words
from affetto.reporting.results.naming import split_title
from affetto.reporting.results.published import PublishedScore, PublishedSystem, published_measures
from affetto.reporting.results.records import Configuration

HERE = "this report"
CHOSEN = "highest macro F1 on validation speakers"
PROBE = "its probe, for comparison"
WITHOUT_VALIDATION = "no score on validation speakers"
FACTS = ("clips", "speakers", "classes")
Facts = tuple[int | None, int | None, int | None]
"""Numbers of test clips, test speakers and classes; None for one that is not stated."""
NONE_STATED = "no difference stated"
_URL = re.compile(r"https?://[^\s,;)]+")
_DOI = re.compile(r"\b10\.\d{4,9}/[^\s,;)]+")


def build(evidence: Evidence) -> Section | None:
    groups = [(group, _systems_of(evidence, group)) for group in group_by_corpus(evidence)]
    tables = [(group, systems) for group, systems in groups if systems]
    if not tables:
        return None
    return Section(
        words=(
            "Numbers that others published, as their sources print them: nothing of them was run here. They stand in "
            "the order of the table that was given, and no rank follows from them, because each row differs in what "
            "its last column names, and perhaps in more."
        ),
        items=tuple(published_table(evidence, group, systems) for group, systems in tables),
        references=references([system for _, systems in tables for system in systems]),
    )


def published_table(evidence: Evidence, group: Group, systems: Sequence[PublishedSystem]) -> Sheet:
    """The chosen configuration and its baseline, then a row a published system."""
    measures = [measure for name, measure in published_measures().items() if any(name in s.scores for s in systems)]
    sources = list(dict.fromkeys(system.source for system in systems))
    configs, reason = shown_configurations(evidence, group)
    estimates = [evidence.estimate(config, measure.name) for config in configs for measure in measures]
    texts = ("system", "protocol", "from", "what differs")
    rows: list[tuple[str, list[Cell], str, Facts, str, str]] = []
    for config in configs:
        scores = [measure_cell(evidence, config, measure) for measure in measures]
        reading = PROBE if config.axes.is_baseline and config is not configs[0] else reason
        rows.append((group.label(config), scores, group.split, _facts(config), HERE, reading))
    for system in systems:
        scores = [_published_cell(system.scores.get(measure.name)) for measure in measures]
        origin = f"[{sources.index(system.source) + 1}]"
        rows.append((system.system, scores, system.protocol, system.facts, origin, differences(system, configs[0])))
    return Sheet(
        name=f"published-{stem(evidence, group)}",
        title=f"Published elsewhere: {group.heading}",
        columns=columns(
            "system", *(m.title for m in measures), "protocol", *FACTS, "from", "what differs", texts=texts
        ),
        rows=tuple(
            (
                text_cell(name),
                *scores,
                text_cell(split_title(split)),
                *(Cell(DASH if fact is None else f"{fact:,}", fact) for fact in facts),
                text_cell(origin),
                text_cell(reading),
            )
            for name, scores, split, facts, origin, reading in rows
        ),
        caption=(
            f"×100; {HERE}: {SEEDS}; below: {interval_words(estimates)}. Rows with a number in brackets were not run "
            "here; they are taken from the source of that number, with the deviation or interval that it prints. What "
            "differs: facts that the table states, beside those of the first row, and its remarks. Not a ranking."
        ),
        notes=(*footnotes(estimates), *(f"[{number}] {source}" for number, source in enumerate(sources, 1))),
        stamp=stamp_of(configs),
        breaks=frozenset({len(configs)}),
        is_sortable=False,
        slim=Slim(
            caption=f"×100; {HERE}: {SEEDS}. Rows with a number in brackets were not run here; they are taken from the "
            "source below. Not a ranking.",
            without=FACTS,
            has_notes=True,
        ),
    )


def shown_configurations(evidence: Evidence, group: Group) -> tuple[list[Configuration], str]:
    """The configuration with the highest macro F1 on validation speakers, with its baseline, and why they are shown.

    Without any such score all configurations are shown, in their own order: test scores choose none.
    """
    # Few speakers to learn from leave few to validate, whose score says little.
    whole = [config for config in group.configurations if not config.axes.speakers]
    scores = [(_validation(config), config) for config in whole or group.configurations]
    judged = [(score, config) for score, config in scores if score is not None]
    if not judged:
        return list(group.configurations), WITHOUT_VALIDATION
    best = max(judged, key=lambda pair: pair[0])[1]
    baseline = evidence.baseline(best)
    beside = [] if baseline is None or baseline is best else [baseline]
    count = f" of {len(judged)} configurations" if len(judged) > 1 else ""
    return [best, *beside], f"chosen: {CHOSEN}{count}"


def differences(system: PublishedSystem, config: Configuration) -> str:
    """Facts of a published system that differ from a configuration's or are not stated, and the table's remark."""
    counts = dict(zip(FACTS, _facts(config), strict=True))
    published = dict(zip(FACTS, system.facts, strict=True))
    parts = []
    if system.protocol.casefold() not in (config.split.casefold(), split_title(config.split).casefold()):
        parts.append(f"protocol {split_title(system.protocol)}, here {split_title(config.split)}")
    parts += [
        f"{published[name]:,} {name}, here {counts[name]:,}"
        for name in FACTS
        if published[name] is not None and published[name] != counts[name]
    ]
    labels = set(config.done[0].labels)
    if system.labels and system.classes == len(labels) and set(system.labels) != labels:
        only = (", ".join(sorted(names)) for names in (set(system.labels) - labels, labels - set(system.labels)))
        parts.append("classes {}, here {}".format(*only))
    if system.differs:
        parts.append(system.differs)
    if unstated := [name for name in FACTS if published[name] is None]:
        parts.append(f"not stated: {', '.join(unstated)}")
    return "; ".join(parts) or NONE_STATED


def references(systems: Sequence[PublishedSystem]) -> tuple[Reference, ...]:
    """Publications of the systems, each with its DOI or address where its source names one."""
    entries: dict[str, Reference] = {}
    for system in systems:
        if system.source not in entries:
            keys = {entry.key for entry in entries.values()}
            entries[system.source] = _reference(system, keys)
    return tuple(entries.values())


def _reference(system: PublishedSystem, keys: set[str]) -> Reference:
    url, doi = _URL.search(system.source), _DOI.search(system.source)
    entry = Reference.from_citation("", _URL.sub("", system.source).strip(" ,"), title=system.system)
    address = url[0].rstrip(".") if url and not doi else ""
    stem_of_key = slug(f"published {entry.authors.split(' ')[0].strip(',')} {entry.year}") if entry.authors else ""
    key = stem_of_key or f"published-{slug(system.system)}"
    number = next(number for number in range(1, len(keys) + 2) if _numbered(key, number) not in keys)
    return replace(entry, key=_numbered(key, number), url=entry.url or address, doi=doi[0].rstrip(".") if doi else "")


def _numbered(key: str, number: int) -> str:
    return key if number == 1 else f"{key}-{number}"


def _systems_of(evidence: Evidence, group: Group) -> list[PublishedSystem]:
    dataset = group.configurations[0].axes.dataset
    return [system for system in evidence.published if system.corpus == dataset]


def _validation(config: Configuration) -> float | None:
    """Macro F1 on validation speakers, mean over seeds; None where a seed has none, as a baseline beside a method."""
    records = [{} if run.is_beside else (run.metrics or {}).get("validation") or {} for run in config.done]
    return fmean(record["macro_f1"] for record in records) if all("macro_f1" in r for r in records) else None


def _facts(config: Configuration) -> Facts:
    """Numbers of test clips, test speakers and classes."""
    run = config.done[0]
    return run.test["n"], len(run.test["per_speaker"]), len(run.labels)


def _published_cell(score: PublishedScore | None) -> Cell:
    if score is None:
        return Cell(DASH, None, values=(("mean", None),))
    values = {"mean": score.value, "sd": score.deviation, "low": score.low, "high": score.high}
    texts = {name: "" if value is None else f"{100 * value:.1f}" for name, value in values.items()}
    return Cell(
        text=texts["mean"] + (f" ± {texts['sd']}" if texts["sd"] else ""),
        key=100 * score.value,
        under=f"{texts['low']}–{texts['high']}" if texts["low"] else "",
        values=tuple((name, None if value is None else 100 * value) for name, value in values.items()),
    )


PUBLISHED = Chapter(name="published", title="Published elsewhere", order=180, build=build)
"""Numbers of others."""
