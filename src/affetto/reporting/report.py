"""A report of a folder of results: tables, figures and the page, written whole or not at all.

OUT/index.html            the page; it needs nothing beside it
OUT/tables/NAME.md .tex .csv
OUT/figures/NAME.svg .png
OUT/results.csv           every score of every run, for programs
OUT/predictions/NAME.csv  what the scores are computed from, a file a configuration
OUT/report.json           which files are the report's, so that a later one can take away what it no longer has
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from affetto._version import __version__
from affetto.errors import UserError, unknown
from affetto.reporting import data, page
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.origin import provenance
from affetto.reporting.render import formats
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import Sheet
from affetto.reporting.render.stamps import stamp
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.records import Results
from affetto.reporting.summary import Summary, summary

PAGE, INDEX, TABLES, FIGURES = "index.html", "report.json", "tables", "figures"
RESULTS, PREDICTIONS = "results.csv", "predictions"
DRAWN = {"svg": ".svg", "png": ".png"}
FORMATS = ("html", *formats.FORMATS, *DRAWN, PREDICTIONS)
MOST_LINES = 24
"""Of a table on the terminal, where a shorter one says as much."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Report:
    """What was written, and what of it a terminal shows."""

    out: Path
    files: tuple[str, ...]
    """Relative to `out`, sorted."""
    results: Results
    summary: Summary
    headline: Sheet | None
    notes: tuple[str, ...]
    """What was left out of it, one line each."""


def write(
    source: str | Path,
    out: str | Path,
    *,
    title: str | None = None,
    only: Collection[str] = (),
    progress: Progress = lambda _done, _all: None,
) -> Report:
    """Report on what the folder `source` holds into the folder `out`; `only` names some of FORMATS (none: all).

    An earlier report in `out` is replaced once the new one is whole. Raises UserError for a folder without results,
    an unknown format, and an `out` that cannot be written or holds something else.
    """
    out = Path(out)
    for name in only:
        if name not in FORMATS:
            raise unknown("format of a report", name, FORMATS)
    wanted = tuple(name for name in FORMATS if not only or name in only)
    before = _examine(out)
    evidence = Evidence(collect(source))
    found = build_sections(evidence)
    told = summary(evidence)
    origin = provenance(evidence)
    writer = _Writer(out, wanted, progress, asked=PREDICTIONS in only)
    title = title or f"{evidence.results.name}: speech emotion recognition"
    try:
        files = writer.write(title, evidence, told, found, origin)
        writer.publish(files, before)
    except OSError as problem:
        reason = problem.strerror or problem
        raise UserError(f"{out}: the report cannot be written ({reason}); make room, or give another --out") from None
    finally:
        writer.clear()
    notes = tuple(dict.fromkeys(evidence.notes))
    return Report(out, tuple(files), evidence.results, told, _headline(found), notes)


def _headline(found: Sequence[Section]) -> Sheet | None:
    """The table for a terminal: the first that is short enough, else the first."""
    sheets = [section.headline for section in sorted(found, key=lambda section: section.is_first) if section.headline]
    return next((sheet for sheet in sheets if len(sheet.rows) <= MOST_LINES), sheets[0] if sheets else None)


class _Writer:
    """Writes everything into a hidden folder inside `out`, from where it is moved, file by file, in the end."""

    def __init__(self, out: Path, wanted: Sequence[str], progress: Progress, *, asked: bool = False) -> None:
        self.out, self.wanted, self.progress = out, wanted, progress
        self.asked = asked
        """True where the predictions are asked for by name, however many they are."""
        self.stage = out / f".report.{os.getpid()}.part"
        self.new = not out.exists()

    def write(
        self, title: str, evidence: Evidence, told: Summary, found: Sequence[Section], origin: Sequence[Sheet]
    ) -> list[str]:
        self.stage.mkdir(parents=True)
        sheets = [sheet for chapter in found for sheet in chapter.sheets] + list(origin)
        files: dict[str, dict[str, list[str]]] = {TABLES: {}, FIGURES: {}}
        for sheet in sheets:
            assert sheet.name not in files[TABLES], f"two tables are called {sheet.name}"
            files[TABLES][sheet.name] = self._tables(sheet)
        drawings = self._draw(found, files[FIGURES])
        beside = self._data(evidence)
        every = [file for of_kind in files.values() for paths in of_kind.values() for file in paths]
        every += [file for file, _ in beside]
        if "html" in self.wanted:
            results = evidence.results
            text = page.render(
                title,
                results.path.resolve().name,
                told,
                found,
                origin,
                drawings=drawings,
                files=files,
                stamp=stamp(synthetic=results.synthetic, partly=results.partly_synthetic),
                notes=tuple(dict.fromkeys(evidence.notes)),
                data=beside,
            )
            self._put(PAGE, text)
            every.append(PAGE)
        index = {"title": title, "affetto": __version__, "files": sorted(every)}
        self._put(INDEX, json.dumps(index, indent=1, ensure_ascii=False) + "\n")
        return [*sorted(every), INDEX]

    def publish(self, files: Sequence[str], before: Sequence[str]) -> None:
        """Move the files to their places, the page last but for the index, and take away what is there no more."""
        last = (PAGE, INDEX)
        for file in [*(file for file in files if file not in last), *(file for file in last if file in files)]:
            place = self.out / file
            place.parent.mkdir(exist_ok=True)
            os.replace(self.stage / file, place)
        for file in set(before) - set(files):
            (self.out / file).unlink(missing_ok=True)
        for folder in (TABLES, FIGURES, PREDICTIONS):
            if (self.out / folder).is_dir() and not any((self.out / folder).iterdir()):
                (self.out / folder).rmdir()

    def clear(self) -> None:
        shutil.rmtree(self.stage, ignore_errors=True)
        if self.new and self.out.is_dir() and not any(self.out.iterdir()):
            self.out.rmdir()

    def _tables(self, sheet: Sheet) -> list[str]:
        made = []
        for name, (suffix, text) in formats.FORMATS.items():
            if name in self.wanted:
                made.append(f"{TABLES}/{sheet.name}{suffix}")
                self._put(made[-1], text(sheet))
        return made

    def _data(self, evidence: Evidence) -> list[tuple[str, str]]:
        """Write the files for programs; returns (path, title) of each."""
        files = {}
        if "csv" in self.wanted:
            files[RESULTS] = ("All scores of all runs", data.scores(evidence))
        if PREDICTIONS in self.wanted:
            for name, text in data.predictions(evidence, asked=self.asked).items():
                files[f"{PREDICTIONS}/{name}.csv"] = (f"Predictions, {name}", text)
        for file, (_, text) in files.items():
            self._put(file, text)
        return [(file, title) for file, (title, _) in files.items()]

    def _draw(self, found: Sequence[Section], files: dict[str, list[str]]) -> dict[str, str]:
        """Draw every picture in the formats that are wanted; returns the SVG of each, for the page."""
        drawings = {}
        pictures = [picture for chapter in found for picture in chapter.pictures]
        folder = self.stage / FIGURES
        for number, picture in enumerate(pictures):
            self.progress(number, len(pictures))
            assert picture.name not in files, f"two figures are called {picture.name}"
            files[picture.name] = []
            for name, suffix in DRAWN.items():
                if name not in self.wanted and not (name == "svg" and "html" in self.wanted):
                    continue
                drawn = picture.draw(folder / f"{picture.name}{suffix}")
                if name == "svg":
                    drawings[picture.name] = drawn.read_text(encoding="utf-8")
                if name in self.wanted:
                    files[picture.name].append(f"{FIGURES}/{picture.name}{suffix}")
        self.progress(len(pictures), len(pictures))
        return drawings

    def _put(self, name: str, text: str) -> None:
        file = self.stage / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _examine(out: Path) -> list[str]:
    """The files of an earlier report in `out`. Raises UserError where the folder cannot take a report."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is no folder: give another --out")
    try:
        content = json.loads((out / INDEX).read_text(encoding="utf-8"))
        files = [str(name) for name in content["files"]]
    except (FileNotFoundError, NotADirectoryError):
        taken = [name for name in (PAGE, TABLES, FIGURES, RESULTS, PREDICTIONS) if (out / name).exists()]
        if taken:
            raise UserError(f"{out} holds {taken[0]!r}, and no report of affetto's: give another --out") from None
        return []
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{out / INDEX}: cannot be read; remove it, or give another --out") from None
    # A list that someone else wrote must not name what lies elsewhere.
    return [name for name in files if not name.startswith("/") and ".." not in name.split("/")]
