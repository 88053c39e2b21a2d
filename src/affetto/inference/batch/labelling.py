"""Many recordings labelled one after another: named inputs in, rows out, what cannot be used named among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from affetto.inference.batch.inputs import Input
from affetto.inference.batch.outputs import Row

if TYPE_CHECKING:  # a process that has others label needs no torch
    from affetto.inference.predictor import Prediction, Predictor
    from affetto.models.prefix import Source


@dataclass(frozen=True)
class Facts:
    """What outputs tell of the model that made them, wherever it runs."""

    labels: tuple[str, ...]
    synthetic: bool
    protocol: str | None
    """See `Predictor.protocol`."""


class Labeller(Protocol):
    """Recordings in, rows out: `Here` in this process, `distributed.Cluster` on many."""

    facts: Facts

    def label(self, inputs: Iterable[Input]) -> Iterator[Row]:
        """A row for each input, in order, as results come."""


class Here:
    """A model in this process."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.facts = facts(predictor)

    def label(self, inputs: Iterable[Input]) -> Iterator[Row]:
        return label(self.predictor, inputs)


def facts(predictor: Predictor) -> Facts:
    return Facts(predictor.labels, bool(predictor.card["synthetic"]), predictor.protocol)


def label(predictor: Predictor, inputs: Iterable[Input]) -> Iterator[Row]:
    """A row for each input, in order, as results come; each tells a `protocol` that is not the model's own."""
    waiting: deque[Input] = deque()

    def sources() -> Iterator[Source]:
        for one in inputs:
            waiting.append(one)
            yield one.source

    mark = {} if predictor.protocol is None else {"protocol": predictor.protocol}
    for result in predictor.stream_sources(sources()):
        yield as_row(waiting.popleft(), result) | mark


def as_row(one: Input, result: Prediction | Exception) -> Row:
    """`file`; of a section `start` and `end`; `emotion` (None: the model abstains) and `probabilities`; or `error`."""
    row: Row = {"file": one.name}
    if one.start is not None or one.end is not None:
        row |= {"start": one.start, "end": one.end}
    if isinstance(result, Exception):
        return row | {"error": str(result)}
    row |= {"emotion": result.emotion, "probabilities": result.probabilities}
    return row | ({"abstained": True} if result.abstained else {})
