"""References of a report: affetto, the paper of a chapter, and the corpora and backbones of its runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from affetto._version import __version__
from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.families.registry import FAMILIES
from affetto.corpora.corpus import Corpus
from affetto.corpora.registry import CORPORA
from affetto.reporting.render.reference import Reference
from affetto.reporting.results.records import EDITION, Results, Run

AFFETTO = Reference(
    key="affetto",
    title="affetto: speech emotion recognition with large pre-trained speech models",
    authors="The affetto developers",
    published=f"Software, version {__version__}",
    note="Apache License 2.0",
)
CARDS = ("model/affetto.json", "folds/*/model/affetto.json")
"""Cards of a run's models, which name the family of its backbone."""


def bibliography(results: Results, cited: Iterable[Reference] = ()) -> str:
    """BibTeX of affetto, of the publications that chapters cite, and of all that the finished runs used."""
    entries = {reference.key: reference for reference in (AFFETTO, *cited, *_used(results))}
    return "\n".join(reference.bibtex() for reference in entries.values())


def _used(results: Results) -> Iterator[Reference]:
    for run in results.every_done:
        for name in (*run.axes.corpus.partition(EDITION)[0].split("+"), *run.axes.auxiliary_names):
            corpus = CORPORA.get(name)
            if corpus is not None and corpus.citation and not corpus.is_format:
                yield _corpus(corpus)
        yield from _backbone(run)
    for evaluation in results.every_evaluation:
        corpus = CORPORA.get(evaluation.corpus)
        if corpus is not None and corpus.citation and not corpus.is_format:
            yield _corpus(corpus)


def _corpus(corpus: Corpus) -> Reference:
    """Publication of a corpus, with its address; a source that is no address stands in the note."""
    is_address = bool(re.fullmatch(r"[\w.-]+\.\w+(/\S*)?", corpus.source))
    url = f"https://{corpus.source}" if is_address else ""
    reference = Reference.from_citation(corpus.name, corpus.citation, title=corpus.title, url=url)
    if is_address or not corpus.source:
        return reference
    return replace(reference, note=f"{reference.note} Source: {corpus.source}".strip())


def _backbone(run: Run) -> Iterator[Reference]:
    """The publication of a backbone, and the address of its checkpoint where that is another's."""
    entry = BACKBONES.get(run.axes.key or "")
    family = FAMILIES.get(entry.family if entry else _family_of_card(run))
    citation = (entry.citation if entry else "") or (family.citation if family else "")
    if citation and family:
        key = entry.citation_key if entry and entry.citation else family.name
        yield Reference.from_citation(key, citation, title=family.title)
    hub_id = (
        entry.hub_id if entry else run.axes.backbone if re.fullmatch(r"[\w.-]+/[\w.-]+", run.axes.backbone) else None
    )
    if hub_id:
        key = re.sub(r"\W", "-", hub_id)
        yield Reference(key=key, title=hub_id, published="Checkpoint", url=f"https://huggingface.co/{hub_id}")


def _family_of_card(run: Run) -> str:
    """Family of a backbone of the user's own, from the card of a model that the run saved; else empty."""
    for pattern in CARDS:
        for file in sorted(Path(run.path).glob(pattern)):
            try:
                return str(json.loads(file.read_text(encoding="utf-8"))["backbone"]["family"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
    return ""
