"""Copies of the predictions that a report's scores are computed from.

predictions/NAME.csv    a row for each clip and seed of a configuration: truth and probabilities
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from affetto.reporting.render.formats import field_text
from affetto.reporting.render.picture import slug
from affetto.reporting.render.stamps import SYNTHETIC
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import changes
from affetto.reporting.results.part_files import ENDINGS, part_header, part_rows, part_systems
from affetto.reporting.results.parts import Part
from affetto.reporting.results.records import Configuration, Run
from affetto.reporting.stats.systems import Predictions, System

FOLDER = "predictions"
MOST_ROWS = 200_000
"""Largest number of rows of predictions (some 25 MB) that are written without a request."""


@dataclass(frozen=True)
class PredictionFile:
    """Predictions of a configuration, or of a part of its target: name, text of the file, and its runs."""

    name: str
    text: str
    runs: tuple[Run, ...]
    part: Part | None = None
    """Part of the target; None for labels."""

    @property
    def path(self) -> str:
        """Path within the report."""
        return f"{FOLDER}/{self.name}.csv"

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def prediction_files(evidence: Evidence, *, is_requested: bool) -> list[PredictionFile]:
    """Files of the predictions of each configuration.

    Empty, with a note in the evidence, for more than MOST_ROWS rows that were not requested.
    """
    systems = [(config, system) for config in evidence.configurations if (system := evidence.system(config))]
    parts = part_systems(evidence)
    count = sum(system.clips * len(system.seeds) for _, system in systems)
    count += sum(outcomes.clips * len(outcomes.seeds) for *_, outcomes in parts)
    if count > MOST_ROWS and not is_requested:
        evidence.notes.append(
            f"predictions: {count:,} rows, more than {MOST_ROWS:,}, are not copied; --format predictions writes them"
        )
        return []
    names = [_file_name(config) for config, _ in systems]
    are_unique = len(set(names)) == len(names)
    files = [
        PredictionFile(
            name=name if are_unique else f"{number:03}-{name}",
            text=_predictions_csv(system, synthetic=config.synthetic),
            runs=config.done,
        )
        for number, (name, (config, system)) in enumerate(zip(names, systems, strict=True), 1)
    ]
    beside = _beside(evidence, files)
    if is_requested or count + sum(text.count("\n") for _, text in beside) <= MOST_ROWS:
        files = _with_beside(files, beside)
    names_of_files = {file.name for file in files}
    for number, (part, config, outcomes) in enumerate(parts, len(files) + 1):
        name = f"{_file_name(config)}-{ENDINGS[part]}"
        name = f"{number:03}-{name}" if name in names_of_files else name
        names_of_files.add(name)
        header = ("clip", "speaker", "seed", *part_header(part, outcomes.target))
        text = _stamped_csv(header, part_rows(part, outcomes), synthetic=config.synthetic)
        files.append(PredictionFile(name=name, text=text, runs=config.done, part=part))
    return files


def _predictions_csv(system: System, *, synthetic: bool) -> str:
    header = ("clip", "speaker", "seed", "truth", *system.labels)
    rows = (row for seed in system.seeds for row in _prediction_rows(system.runs[seed], seed))
    return _stamped_csv(header, rows, synthetic=synthetic)


def _stamped_csv(header: Sequence[str], rows: Iterable[Sequence[Any]], *, synthetic: bool) -> str:
    """A table whose rows say that their speech is synthetic, if it is."""
    last = (SYNTHETIC,) if synthetic else ()
    return csv_text((*header, *(("speech",) if synthetic else ())), ((*row, *last) for row in rows))


def _prediction_rows(run: Predictions, seed: int) -> Iterator[Sequence[Any]]:
    for clip, speaker, truth, probabilities in zip(
        run.clips, run.speakers, run.truth, run.probabilities.tolist(), strict=True
    ):
        yield clip, speaker, seed, run.labels[int(truth)], *(round(value, 6) for value in probabilities)


def _file_name(config: Configuration) -> str:
    axes = config.axes
    recipe = "" if axes.is_baseline else axes.recipe
    changed = changes(axes.settings)
    target = "" if axes.is_plain else axes.target
    joined = f"with {axes.auxiliary}" if axes.auxiliary else ""
    parts = (axes.corpus, joined, axes.title, axes.scenario, axes.method, target, recipe, config.split, changed)
    return slug(" ".join(part for part in parts if part))


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([field_text(value) for value in row] for row in rows)
    return out.getvalue()


def _beside(evidence: Evidence, files: Sequence[PredictionFile]) -> list[tuple[Configuration, str]]:
    """Predictions of the baselines in a configuration's folders, where no file has these runs yet."""
    present = {(run.path, run.predictions_file) for file in files for run in file.runs}
    texts = []
    for config in evidence.configurations:
        baseline = Configuration(tuple(run.baseline for run in config.done if run.baseline))
        if not baseline.runs or all((run.path, run.predictions_file) in present for run in baseline.runs):
            continue
        system = evidence.system(baseline)
        if system is not None:
            texts.append((config, _predictions_csv(system, synthetic=config.synthetic)))
    return texts


def _with_beside(files: Sequence[PredictionFile], beside: Sequence[tuple[Configuration, str]]) -> list[PredictionFile]:
    """The files with those of baselines beside methods; equal predictions stand in one file."""
    result = {file.text: file for file in files}
    for number, (config, text) in enumerate(beside, 1):
        runs = tuple(run.baseline for run in config.done if run.baseline)
        if text in result:
            result[text] = replace(result[text], runs=(*result[text].runs, *runs))
            continue
        names = {file.name for file in result.values()}
        name = f"{_file_name(config)}-beside"
        result[text] = PredictionFile(name=f"{number:03}-{name}" if name in names else name, text=text, runs=runs)
    return list(result.values())
