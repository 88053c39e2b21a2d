"""Files of predictions beside one label: numbers, raters' shares, several labels; a row a clip and seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.checks import clip_name
from affetto.reporting.results.parts import MARKS, NUMBERS, SHARES, Part, part_of
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.outcomes import Outcomes
from affetto.targets.target import Target

ENDINGS = {NUMBERS: "numbers", SHARES: "shares", MARKS: "labels"}
"""Ends of the files' names."""
SEPARATOR = "|"
"""Between several labels in a cell."""


def part_systems(evidence: Evidence) -> list[tuple[Part, Configuration, Outcomes]]:
    """Every part of every configuration, with its lines."""
    return [
        (part, config, system)
        for part in ENDINGS
        for config in part_of(evidence, part).configurations
        if (system := part_of(evidence, part).outcomes(config))
    ]


def part_header(part: Part, target: Target) -> tuple[str, ...]:
    """Columns behind clip, speaker and seed."""
    if part is NUMBERS:
        return tuple(column for name in target.dimensions for column in (f"true {name}", name))
    if part is SHARES:
        return tuple(column for label in target.labels for column in (f"raters {label}", label))
    return ("truth", "prediction", *target.labels)


def part_rows(part: Part, system: Outcomes) -> Iterator[Sequence[Any]]:
    """Rows of a system's seeds: clip, speaker, seed, and the columns of `part_header`."""
    for seed in system.seeds:
        for row in system.runs[seed]:
            yield clip_name(row), row["speaker"], seed, *_values(part, system.target, row)


def _values(part: Part, target: Target, row: Mapping[str, Any]) -> Iterator[Any]:
    if part is NUMBERS:
        line = target.number_row(row)
        for name in target.dimensions:
            yield from (line["truth"][name], line["prediction"][name])
    elif part is SHARES:
        for label in target.labels:
            yield from (row["shares"][label], row["probabilities"][label])
    else:
        yield from (SEPARATOR.join(row["truth"]), SEPARATOR.join(row["prediction"]))
        yield from (row["probabilities"][label] for label in target.labels)
