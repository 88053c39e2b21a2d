"""Numbers that others published, from a table of the user's: a line for each value, with its protocol and source."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from affetto.corpora.delimited import Table, open_table
from affetto.corpora.registry import CORPORA
from affetto.errors import UserError, unknown
from affetto.measures.measure import ClassMeasure
from affetto.measures.registry import shown_measures

REQUIRED = ("system", "corpus", "protocol", "measure", "value", "unit", "source")
OPTIONAL = ("low", "high", "sd", "clips", "speakers", "labels", "differs")
COLUMNS = (*REQUIRED, *OPTIONAL)
UNITS = {"percent": 100.0, "fraction": 1.0}
"""{unit: value of a perfect score}."""
PERHAPS_FRACTION = 1.0
"""Per cent up to which a score is below that of any guesser: the unit is then taken to be mistaken."""


@dataclass(frozen=True, kw_only=True)
class PublishedScore:
    """A published value, as a fraction, with its interval or deviation where the table has them."""

    value: float
    low: float | None = None
    high: float | None = None
    deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class PublishedSystem:
    """Scores of one system under one protocol from one source; a fact that the table does not state is empty."""

    line: int
    """First line of the table that has a score of it."""
    system: str
    corpus: str
    """Name of the corpus in the registry, or as it stands in the table."""
    protocol: str
    source: str
    differs: str = ""
    """Sentence on what differs from the runs of the report."""
    clips: int | None = None
    speakers: int | None = None
    labels: tuple[str, ...] = ()
    classes: int | None = None
    scores: Mapping[str, PublishedScore]
    """{name of the measure: score}."""

    @property
    def facts(self) -> tuple[int | None, int | None, int | None]:
        """Numbers of test clips, test speakers and classes."""
        return self.clips, self.speakers, self.classes

    @property
    def identity(self) -> tuple[object, ...]:
        """All that lines of one system have in common."""
        return (self.system, self.corpus, self.protocol, self.source, self.differs, *self.facts, self.labels)


def published_measures() -> dict[str, ClassMeasure]:
    """{name: measure} of the scores that a table may have: those of classes that end at 1."""
    return {measure.name: measure for measure in shown_measures() if measure.in_per_cent}


def read_published(path: str | Path) -> tuple[PublishedSystem, ...]:
    """Read a table of published numbers, in the order of its lines.

    Raises UserError for a file that is no table, columns that are unknown, missing or there twice, and a line that
    lacks a needed value, has an unknown measure or an impossible number, or repeats an earlier one.
    """
    table = open_table(Path(path), such_as=",".join(REQUIRED))
    names = [name.casefold() for name in table.header]
    for name in names:
        if name not in COLUMNS:
            raise unknown(f"column of {table.name}", name, COLUMNS)
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise UserError(f"{path} has more than one column {', '.join(twice)}: leave one of them")
    if missing := [name for name in REQUIRED if name not in names]:
        raise UserError(f"{path} has no column {', '.join(missing)}; needed: {', '.join(REQUIRED)}. Add it")
    systems: dict[tuple[object, ...], PublishedSystem] = {}
    for line, row in table.rows:
        cells = {name: cell.strip() for name, cell in zip(names, row, strict=True)}
        if any(cells.values()):
            _add(systems, _Line(table, line, cells).system())
    if not systems:
        raise UserError(f"{path} has no line below its header: give a line for each published number")
    return tuple(systems.values())


def of_corpora(
    systems: Sequence[PublishedSystem], corpora: Collection[str], file: str | Path
) -> tuple[tuple[PublishedSystem, ...], list[str]]:
    """The systems that were tested on one of `corpora`, and a note on each other corpus, which is left out."""
    folded = {corpus.casefold(): corpus for corpus in corpora}
    matched = tuple(
        replace(system, corpus=folded[system.corpus.casefold()])
        for system in systems
        if system.corpus.casefold() in folded
    )
    absent = dict.fromkeys(system.corpus for system in systems if system.corpus.casefold() not in folded)
    tested = ", ".join(sorted(corpora)) or "none"
    return matched, [
        f"{Path(file).name}: no finished run of classes was tested on {corpus!r} (these were: {tested})"
        for corpus in absent
    ]


def _add(systems: dict[tuple[object, ...], PublishedSystem], system: PublishedSystem) -> None:
    """Add the score of a line to its system. Raises UserError where the system has that measure."""
    earlier = systems.setdefault(system.identity, system)
    if earlier is system:
        return
    for name in system.scores:
        if name in earlier.scores:
            raise UserError(
                f"line {system.line} has a second {name} of {system.system!r} on {system.corpus} from one source: "
                "leave one out, or say in `differs` what sets them apart"
            )
    systems[system.identity] = replace(earlier, scores={**earlier.scores, **system.scores})


@dataclass(frozen=True)
class _Line:
    """A line of the table."""

    table: Table
    number: int
    cells: Mapping[str, str]

    def system(self) -> PublishedSystem:
        """The system with the score of this line."""
        for name in REQUIRED:
            if not self.cells[name]:
                reason = ": a number without a source is not shown" if name == "source" else ""
                raise self._error(f"has no {name}{reason}; fill the column {name}")
        measures = published_measures()
        measure = self.cells["measure"].casefold()
        if measure not in measures:
            raise unknown(f"measure on {self._where}", self.cells["measure"], measures)
        labels = tuple(self.cells.get("labels", "").split())
        is_count = len(labels) == 1 and labels[0].isdigit()
        return PublishedSystem(
            line=self.number,
            system=self.cells["system"],
            corpus=_corpus_name(self.cells["corpus"]),
            protocol=self.cells["protocol"],
            source=self.cells["source"],
            differs=self.cells.get("differs", ""),
            clips=self._count("clips"),
            speakers=self._count("speakers"),
            labels=() if is_count else labels,
            classes=self._count("labels") if is_count else len(labels) or None,
            scores={measure: self._score(measures[measure])},
        )

    @property
    def _where(self) -> str:
        return self.table.where(self.number)

    def _error(self, message: str) -> UserError:
        return UserError(f"{self._where} {message}")

    def _score(self, measure: ClassMeasure) -> PublishedScore:
        unit = self.cells["unit"].casefold()
        if unit not in UNITS:
            raise unknown(f"unit on {self._where}", self.cells["unit"], UNITS)
        value, low, high, deviation = (self._share(name, unit, measure) for name in ("value", "low", "high", "sd"))
        assert value is not None
        if unit == "percent" and 0 < 100 * value <= PERHAPS_FRACTION:
            raise self._error(f"has a value of {self.cells['value']} per cent: give the unit fraction if it is one")
        if (low is None) != (high is None):
            raise self._error("has one end of an interval: give low and high, or neither")
        if low is not None and high is not None and not low <= value <= high:
            raise self._error(
                f"has the value {self.cells['value']} outside its interval, {self.cells['low']} to "
                f"{self.cells['high']}: mend the line"
            )
        return PublishedScore(value=value, low=low, high=high, deviation=deviation)

    def _share(self, name: str, unit: str, measure: ClassMeasure) -> float | None:
        """A number of the line as a fraction; None for an empty cell. Raises UserError for an impossible one."""
        text = self.cells.get(name, "")
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            raise self._error(f"has the {name} {text!r}: write a number such as 57.8, with a point") from None
        low, high = (0.0 if name == "sd" else UNITS[unit] * measure.range[0]), UNITS[unit]
        if not (math.isfinite(number) and low <= number <= high):
            raise self._error(
                f"has the {name} {text} in the unit {unit}: {measure.title} goes from {low:g} to {high:g}; mend the "
                "number or the unit"
            )
        return number / UNITS[unit]

    def _count(self, name: str) -> int | None:
        text = self.cells.get(name, "")
        if not text:
            return None
        if not text.isdecimal() or not int(text):
            raise self._error(f"has {text!r} {name}: write a whole number above 0, such as 588, or leave it empty")
        return int(text)


def _corpus_name(name: str) -> str:
    """The name in the registry of a corpus that is given by its name or title; any other as it is."""
    folded = name.casefold()
    return next((key for key, corpus in CORPORA.items() if folded in (key.casefold(), corpus.title.casefold())), name)
