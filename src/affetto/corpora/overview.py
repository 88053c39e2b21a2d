"""All known corpora side by side: `affetto corpora list`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from affetto.corpora.corpus import Corpus
from affetto.corpora.transcribed.corpus import TranscribedCorpus


def to_json(corpus: Corpus) -> dict[str, Any]:
    """All facts of a corpus or format, as plain JSON; None where there is no fact."""
    return {
        "name": corpus.name,
        "title": corpus.title,
        "format": corpus.is_format,
        "written": corpus.write is not None,
        "language": corpus.language or None,
        "clips": corpus.clips or None,
        "speakers": corpus.speakers or None,
        "genders": dict(corpus.genders) or None,
        "labels": corpus.classes or dict.fromkeys(corpus.uncounted) or None,
        "other_labels": {
            label: {"clips": corpus.official.get(label), "to": target} for label, target in corpus.other_labels.items()
        }
        or None,
        "other_labels_reason": corpus.other_labels_reason or None,
        "speech": corpus.speech or None,
        "collection": corpus.collection or None,
        "licence": corpus.licence or None,
        "source": corpus.source or None,
        "citation": corpus.citation or None,
        "protocol": corpus.protocol or None,
        "protocol_reason": corpus.protocol_reason or None,
        "prompts": prompts(corpus),
        "dimensions": {name: [scale.low, scale.high] for name, scale in corpus.dimensions.items()} or None,
        "options": {name: option.description for name, option in corpus.options.items()},
    }


def prompts(corpus: Corpus) -> str | None:
    """The meaning of a prompt: `words`, `ids with words` or `ids`; None for a format."""
    if corpus.is_format:
        return None
    return "words" if corpus.prompt_is_text else "ids with words" if corpus.sentences else "ids"


def fact_cells(corpus: Corpus) -> tuple[str, ...]:
    """Name, title, language, clips, speakers, labels and protocol of a published corpus; – where no count is known.

    `4 +6` labels: four classes by default, and six labels that are mapped to them or left out.
    """
    joined = sum(target != label for label, target in corpus.other_labels.items())
    labels = f"{len(corpus.labels)}" + f" +{joined}" * bool(joined)
    counts = (f"{count:,}" if count else "–" for count in (corpus.clips, corpus.speakers))
    return (corpus.name, corpus.title, corpus.language, *counts, labels, corpus.protocol)


def render(corpora: Iterable[Corpus], transcribed: Iterable[TranscribedCorpus]) -> RenderableType:
    """Published corpora with their facts, layouts of users' collections, and speech for `specialize`."""
    corpora = list(corpora)
    published = [corpus for corpus in corpora if not corpus.is_format]
    facts = _table("published corpora", "name", "title", "language")
    for column in ("clips", "speakers", "labels"):
        facts.add_column(column, justify="right")
    facts.add_column("split", no_wrap=True)
    facts.columns[1].min_width = max(len(corpus.title) for corpus in published)
    facts.columns[2].max_width = max(len(word) for corpus in published for word in corpus.language.split())
    for corpus in published:
        facts.add_row(*fact_cells(corpus))
    facts.caption, facts.caption_justify = (
        "+: labels beside the classes, mapped or left out unless --keep-other",
        "left",
    )
    terms = _table("their licences and options", "name", "licence, --option")
    for corpus in published:
        terms.add_row(corpus.name, escape(corpus.licence) or "not stated")
        for option, record in corpus.options.items():
            terms.add_row("", f"{option}: {escape(record.description)}")
    layouts = _table("layouts of your own collections", "name", "layout", "written", "options")
    for corpus in (corpus for corpus in corpora if corpus.is_format):
        written = "" if corpus.write is None else "yes"
        layouts.add_row(corpus.name, escape(corpus.title), written, ", ".join(corpus.options))
    speech = _table("speech for affetto specialize", "name", "title", "sentences", "splits")
    for source in transcribed:
        speech.add_row(source.name, source.title, "yes" if source.has_sentences else "no", ", ".join(source.splits))
    return Group(*(Padding(table, (0, 0, 1, 0)) for table in (facts, terms, layouts, speech)))


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, title=title, title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0)
    return table
