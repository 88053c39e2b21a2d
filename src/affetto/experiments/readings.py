"""What a grid file says of reading its corpora: the user's label map, and options of readers, as in

    labels: {calm: neutrality, "ravdess:fear": drop}   # of all corpora, or of the one that is named
    options: {iemocap: {classes: 6}}

Errors name the file and the entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affetto.corpora.labels import entries_for, parse_label_map, scope_of
from affetto.corpora.registry import CORPORA
from affetto.errors import UserError, unknown
from affetto.training.spec import text


@dataclass(frozen=True)
class Reading:
    """Labels and options with which a grid, or a run of it, reads its corpora."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Label map, as of `RunSpec.labels`."""
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Options of readers, {corpus: {name: value}}."""

    def of(self, corpora: Collection[str]) -> Reading:
        """The part that concerns these corpora."""
        return Reading(
            {entry: target for entry, target in self.labels.items() if scope_of(entry)[0] in (None, *corpora)},
            {name: values for name, values in self.options.items() if name in corpora},
        )

    @classmethod
    def of_plan(cls, runs: Iterable[Mapping[str, Any]]) -> Reading:
        """The reading of a grid, from its runs as `PlannedRun.to_json` has them."""
        labels: dict[str, str] = {}
        options: dict[str, dict[str, str]] = {}
        for run in runs:
            labels |= run.get("labels", {})
            options |= run.get("options", {})
        return cls(labels, options)

    def to_json(self) -> dict[str, Any]:
        """Labels and options; nothing where there are none."""
        options = {name: dict(values) for name, values in self.options.items() if values}
        return ({"labels": dict(self.labels)} if self.labels else {}) | ({"options": options} if options else {})


def check(file: Path, content: Mapping[str, Any], corpora: Collection[str]) -> Reading:
    """The reading of a grid file with these corpora. Raises UserError, which names file and entry, where it is none."""
    labels = _mapping(file, "labels", content.get("labels"), "{calm: neutrality}")
    options = _mapping(file, "options", content.get("options"), "{iemocap: {classes: 6}}")
    for label, target in labels.items():
        if not isinstance(target, str):
            raise UserError(f"{file}: label {label!r} has {target!r} as its emotion; put it in quotes if it is a word")
    try:
        for corpus in corpora:
            parse_label_map(entries_for(labels, [corpus], corpora))
    except UserError as problem:
        raise UserError(f"{file}: {str(problem).replace('--label', 'labels')}") from None
    names = {name.casefold(): name for name in corpora}
    scopes = {entry: scope_of(entry) for entry in labels}
    labels = {
        label if scope is None else f"{names[scope.casefold()]}:{label}": labels[entry]
        for entry, (scope, label) in scopes.items()
    }
    for name, values in options.items():
        if name not in corpora:
            raise unknown(f"corpus under `options` in {file}", name, corpora)
        options[name] = _options(file, name, values)
    return Reading(labels, options)


def _mapping(file: Path, part: str, content: Any, example: str) -> dict[str, Any]:
    """A mapping of words, {} where there is none."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{file}: `{part}` is a mapping, as {example}, not {content!r}")
    for name in content:
        if not isinstance(name, str):
            raise UserError(f"{file}: {name!r} under `{part}` is no word; put it in quotes if it is meant as one")
    return dict(content)


def _options(file: Path, corpus: str, content: Any) -> dict[str, str]:
    values = _mapping(file, f"options.{corpus}", content, "{classes: 6}")
    texts = {name: text(value) for name, value in values.items()}
    record = CORPORA.get(corpus.casefold())
    if record is not None:  # any other name is that of a collection, whose layout its path shows
        try:
            record.settings(texts)
        except UserError as problem:
            raise UserError(f"{file}: corpus {corpus}: {problem}") from None
    return texts
