"""A report of a folder of results: tables, figures and the page, written whole or not at all.

OUT/index.html            the page; it needs nothing beside it
OUT/tables/NAME.md .tex .csv
OUT/figures/NAME.svg .png
OUT/latex/NAME.tex        slim forms of the main tables, with article.tex and supplement.tex that show them
OUT/results.csv .json     every score of every run, for programs
OUT/model-index.yaml      test scores for the head of a Hugging Face model card
OUT/predictions/NAME.csv  predictions that the scores are computed from, a file a configuration
OUT/report.json           list of the report's files, so that a later report can remove those that it no longer has
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affetto._version import __version__
from affetto.errors import UserError, unknown
from affetto.reporting.article import LATEX, article_files
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.page import Page
from affetto.reporting.render import formats
from affetto.reporting.render.picture import Picture
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Sheet
from affetto.reporting.render.stamps import stamp
from affetto.reporting.results import exports
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.model_index import model_index
from affetto.reporting.results.prediction_exports import FOLDER, prediction_files
from affetto.reporting.results.published import of_corpora, read_published
from affetto.reporting.results.recordings import Recordings, corpus_names
from affetto.reporting.results.records import Results
from affetto.reporting.results.summary import Summary, summarise
from affetto.reporting.writing.paragraph import methods_paragraph
from affetto.reporting.writing.references import bibliography

PAGE, INDEX, TABLES, FIGURES = "index.html", "report.json", "tables", "figures"
RESULTS, RESULTS_JSON, PREDICTIONS = "results.csv", "results.json", FOLDER
MODEL_INDEX = "model-index.yaml"
FIGURE_SUFFIXES = {"svg": ".svg", "png": ".png"}
FORMATS = ("html", *formats.FORMATS, *FIGURE_SUFFIXES, PREDICTIONS)
MOST_LINES = 24
"""Rows of a table on the terminal, where a shorter one says as much."""
Progress = Callable[[int, int], None]
"""Called with the number of drawn figures, and the number of all."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A written report, and the parts of it that a terminal shows."""

    out: Path
    files: tuple[str, ...]
    """Paths relative to `out`, sorted."""
    results: Results
    summary: Summary
    headline: Sheet | None
    notes: tuple[str, ...]
    """One line for each thing that was left out."""


def write(
    source: str | Path,
    out: str | Path,
    *,
    title: str | None = None,
    only: Collection[str] = (),
    places: Mapping[str, str] | None = None,
    published: str | Path | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Report:
    """Report on the results in the folder `source` into the folder `out`; `only` names some of FORMATS (none: all).

    `places` of corpora, by name: the page plays their clips from there, and the report has their lengths.
    `published` is a table of numbers that others published, which are shown beside the results.
    An earlier report in `out` is replaced once the new one is whole. Raises UserError for a folder without results,
    an unknown format, a table with a mistake, and an `out` that cannot be written or holds something else.
    """
    out = Path(out)
    for name in only:
        if name not in FORMATS:
            raise unknown("format of a report", name, FORMATS)
    earlier = _earlier_files(out)
    systems = read_published(published) if published is not None else ()
    results = collect(source)
    evidence = Evidence(results, _recordings(results, places) if places else None)
    if published is not None:
        corpora = {config.axes.dataset for config in evidence.configurations}
        evidence.published, notes = of_corpora(systems, corpora, published)
        evidence.notes += notes
    sections, opening = build_sections(evidence), summarise(evidence)
    writer = _Writer(out, only, progress)
    title = title or f"{evidence.results.name}: speech emotion recognition"
    try:
        files = writer.write(title, evidence, opening, sections)
        writer.publish(files, earlier)
    except OSError as problem:
        reason = problem.strerror or problem
        raise UserError(f"{out}: the report cannot be written ({reason}); make room, or give another --out") from None
    finally:
        writer.clear()
    return Report(
        out=out,
        files=tuple(files),
        results=evidence.results,
        summary=opening,
        headline=_headline(sections),
        notes=tuple(dict.fromkeys(evidence.notes)),
    )


def _recordings(results: Results, places: Mapping[str, str]) -> Recordings:
    """Recordings of the results' corpora. Raises UserError for a corpus that no run was tested on."""
    names = {name for run in results.every_run for name in corpus_names(run.axes.corpus)}
    for name in places:
        if name not in names:
            raise unknown("corpus of these results in --audio", name, names)
    return Recordings.at(places, [run.spec for run in results.every_run if run.spec])


def _headline(sections: Sequence[Section]) -> Sheet | None:
    """The table for a terminal: the first that is short enough, else the first; that of the results before others."""
    ranked = sorted(sections, key=lambda section: section.is_first)
    sheets = [section.headline for section in ranked if section.headline]
    return next((sheet for sheet in sheets if len(sheet.rows) <= MOST_LINES), sheets[0] if sheets else None)


class _Writer:
    """Writes everything into a hidden folder inside `out`, from where it is moved, file by file, in the end.

    `only` names the formats to write; none are all of them.
    """

    def __init__(self, out: Path, only: Collection[str], progress: Progress) -> None:
        self.out, self.progress = out, progress
        self.formats = tuple(name for name in FORMATS if not only or name in only)
        self.all_predictions = PREDICTIONS in only
        """True if the predictions are asked for by name: then they are written however many they are."""
        self.stage = out / f".report.{os.getpid()}.part"
        self.is_new = not out.exists()

    def write(self, title: str, evidence: Evidence, opening: Summary, sections: Sequence[Section]) -> list[str]:
        """Write all files of the report into the hidden folder; returns their paths, the index last."""
        self.stage.mkdir(parents=True)
        sheets = [sheet for section in sections for sheet in section.sheets]
        tables = self._write_tables(sheets)
        drawings, figures = self._draw([picture for section in sections for picture in section.pictures])
        data_files = self._write_data(evidence)
        files = [file for paths in (*tables.values(), *figures.values()) for file in paths]
        files += [file for file, _ in data_files]
        stamp_text = stamp(synthetic=evidence.results.synthetic, partly=evidence.results.partly_synthetic)
        if "latex" in self.formats:
            article = article_files(
                title,
                sheets,
                stamp_text,
                method=methods_paragraph(evidence),
                bibliography=bibliography(
                    evidence.results, [reference for section in sections for reference in section.references]
                ),
            )
            for file, text in article.items():
                self._put(file, text)
            files += article
        if "html" in self.formats:
            page = Page(
                title=title,
                source=evidence.results.path.resolve().name,
                summary=opening,
                sections=sections,
                folder=self.out,
                drawings=drawings,
                stamp=stamp_text,
                notes=tuple(dict.fromkeys(evidence.notes)),
                table_files=tables,
                picture_files=figures,
                data_files=data_files,
            )
            self._put(PAGE, page.render())
            files.append(PAGE)
        index = {"title": title, "affetto": __version__, "files": sorted(files)}
        self._put(INDEX, json.dumps(index, indent=1, ensure_ascii=False) + "\n")
        return [*sorted(files), INDEX]

    def publish(self, files: Sequence[str], earlier: Sequence[str]) -> None:
        """Move the files into `out`, the page and the index last, and remove those of an earlier report."""
        last = (PAGE, INDEX)
        for file in [*(file for file in files if file not in last), *(file for file in last if file in files)]:
            path = self.out / file
            path.parent.mkdir(exist_ok=True)
            os.replace(self.stage / file, path)
        for file in set(earlier) - set(files):
            (self.out / file).unlink(missing_ok=True)
        for folder in (TABLES, FIGURES, LATEX, PREDICTIONS):
            if (self.out / folder).is_dir() and not any((self.out / folder).iterdir()):
                (self.out / folder).rmdir()

    def clear(self) -> None:
        """Remove the hidden folder, and `out` where nothing came of it."""
        shutil.rmtree(self.stage, ignore_errors=True)
        if self.is_new and self.out.is_dir() and not any(self.out.iterdir()):
            self.out.rmdir()

    def _write_tables(self, sheets: Sequence[Sheet]) -> dict[str, list[str]]:
        """Write every sheet in the formats that are wanted; returns the paths of each."""
        files: dict[str, list[str]] = {}
        for sheet in sheets:
            if sheet.name in files:
                raise UserError(f"two chapters have a table named {sheet.name!r}: rename that of the plug-in")
            files[sheet.name] = []
            for name, table_format in formats.FORMATS.items():
                if name in self.formats:
                    file = f"{TABLES}/{sheet.name}{table_format.suffix}"
                    files[sheet.name].append(file)
                    self._put(file, table_format.text(sheet))
        return files

    def _write_data(self, evidence: Evidence) -> list[tuple[str, str]]:
        """Write the files for programs; returns (path, title) of each."""
        copies = prediction_files(evidence, is_requested=self.all_predictions) if PREDICTIONS in self.formats else []
        files = {}
        if "csv" in self.formats:
            files[RESULTS] = ("All scores of all runs", exports.results_csv(evidence, copies))
            files[RESULTS_JSON] = ("All scores of all runs", exports.results_json(evidence, copies))
            if evidence.configurations:
                files[MODEL_INDEX] = ("Test scores for a Hugging Face model card", model_index(evidence))
        for copy in copies:
            files[copy.path] = (f"Predictions, {copy.name}", copy.text)
        for file, (_, text) in files.items():
            self._put(file, text)
        return [(file, title) for file, (title, _) in files.items()]

    def _draw(self, pictures: Sequence[Picture]) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Draw every picture in the formats that are wanted; returns the SVG of each, for the page, and its paths."""
        drawings: dict[str, str] = {}
        files: dict[str, list[str]] = {}
        for number, picture in enumerate(pictures):
            self.progress(number, len(pictures))
            if picture.name in files:
                raise UserError(f"two chapters have a figure named {picture.name!r}: rename that of the plug-in")
            files[picture.name] = []
            for name, suffix in FIGURE_SUFFIXES.items():
                if name not in self.formats and not (name == "svg" and "html" in self.formats):
                    continue
                file = picture.draw(self.stage / FIGURES / f"{picture.name}{suffix}")
                if name == "svg":
                    drawings[picture.name] = file.read_text(encoding="utf-8")
                if name in self.formats:
                    files[picture.name].append(f"{FIGURES}/{picture.name}{suffix}")
        self.progress(len(pictures), len(pictures))
        return drawings, files

    def _put(self, name: str, text: str) -> None:
        file = self.stage / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _earlier_files(out: Path) -> list[str]:
    """The files of an earlier report in `out`. Raises UserError where the folder cannot take a report."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is no folder: give another --out")
    try:
        content = json.loads((out / INDEX).read_text(encoding="utf-8"))
        files = [str(name) for name in content["files"]]
    except (FileNotFoundError, NotADirectoryError):
        foreign = [
            name
            for name in (PAGE, TABLES, FIGURES, LATEX, RESULTS, RESULTS_JSON, MODEL_INDEX, PREDICTIONS)
            if (out / name).exists()
        ]
        if foreign:
            raise UserError(f"{out} holds {foreign[0]!r}, and no report of affetto's: give another --out") from None
        return []
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{out / INDEX}: cannot be read; remove it, or give another --out") from None
    # A list that was written by someone else must not name files outside the folder.
    return [name for name in files if not name.startswith("/") and ".." not in name.split("/")]
