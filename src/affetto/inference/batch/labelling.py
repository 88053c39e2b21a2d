"""Labelling of many recordings in order: inputs in, rows out; a unusable recording gets a row with `error`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from affetto.inference.batch.columns import Columns
from affetto.inference.batch.inputs import Input
from affetto.inference.batch.outputs import Row
from affetto.inference.decision import answer_fields, refusal_fields
from affetto.inference.identity import identity_of

if TYPE_CHECKING:  # a process that lets others label needs no torch
    from affetto.inference.predictor import Prediction, Predictor
    from affetto.models.prefix import Source


@dataclass(frozen=True)
class Facts:
    """Facts of a model that outputs hold, wherever it runs."""

    columns: Columns
    synthetic: bool
    protocol: str | None
    """See `Predictor.protocol`."""
    notes: tuple[str, ...] = ()
    """See `Predictor.notes`."""


class Labeller(Protocol):
    """Recordings in, rows out: `LocalLabeller` in this process, `distributed.Cluster` on many."""

    facts: Facts

    def label(self, inputs: Iterable[Input]) -> Iterator[Row]:
        """Label each input; yields rows in order, as results come."""

    def identity(self) -> str | None:
        """The model's identity (`identity.py`)."""


class LocalLabeller:
    """A model in this process."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.facts = facts(predictor)

    def label(self, inputs: Iterable[Input]) -> Iterator[Row]:
        return label(self.predictor, inputs)

    def identity(self) -> str | None:
        return identity_of(self.predictor.files)


def facts(predictor: Predictor) -> Facts:
    card = predictor.card
    return Facts(
        columns=Columns.of(
            predictor.target,
            card.get("confidence"),
            has_sets=predictor.label_sets is not None,
            judged=predictor.judged,
        ),
        synthetic=bool(card["synthetic"]),
        protocol=predictor.protocol,
        notes=predictor.notes,
    )


def label(predictor: Predictor, inputs: Iterable[Input]) -> Iterator[Row]:
    """Label each input; yields rows in order, with `protocol` where it is not the model's own."""
    waiting: deque[Input] = deque()

    def sources() -> Iterator[Source]:
        for item in inputs:
            waiting.append(item)
            yield item.source

    mark = {} if predictor.protocol is None else {"protocol": predictor.protocol}
    for result in predictor.stream_sources(sources()):
        yield as_row(waiting.popleft(), result) | mark


def as_row(item: Input, result: Prediction | Exception) -> Row:
    """Make a row: `file`; `start` and `end` of a section; the fields of `answer_fields`; or `error`."""
    row: Row = {"file": item.name}
    if item.start is not None or item.end is not None:
        row |= {"start": item.start, "end": item.end}
    if isinstance(result, Exception):
        return row | {"error": str(result)}
    row |= answer_fields(result) | refusal_fields(result)
    return row | ({"abstained": True} if result.abstained else {})
