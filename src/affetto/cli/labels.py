"""Output of `affetto predict`: labels on the terminal or in a file, written as they come."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from affetto.cli.arguments import counter
from affetto.errors import UserError, printable, unknown
from affetto.files import replacing

if TYPE_CHECKING:
    from affetto.inference.batch.columns import Columns
    from affetto.inference.batch.inputs import Input
    from affetto.inference.batch.labelling import Facts, Labeller
    from affetto.inference.batch.options import Options
    from affetto.inference.batch.outputs import Key
    from affetto.inference.spec import PredictorSpec

TABLE = "table"
"""Format for people; all others can be files too."""


def check(kind: str, out: Path | None, resume: bool) -> None:
    """Raise UserError for arguments that make no output, before a model is loaded."""
    from affetto.inference.batch.outputs import FORMATS

    if kind not in (TABLE, *FORMATS):
        raise unknown("format", kind, (TABLE, *FORMATS))
    if resume and out is None:
        raise UserError("--resume continues a file: give it by --out")
    if out is None:
        return
    if kind == TABLE:
        raise UserError("--out takes json, jsonl or csv: give --format, or such a suffix")
    check_file("--out", out)
    if out.exists() and not resume:
        raise UserError(f"{out} exists already: continue it with --resume, remove it, or give another --out")


def advice(kind: str, out: Path | None) -> str:
    """Advise how to continue an interrupted call; empty if its labels went to the terminal."""
    from affetto.inference.batch.outputs import GOES_ON

    if out is None:
        return ""
    if kind in GOES_ON:
        return f"{out} has the labels so far: add --resume to continue"
    return f"{out} was not written"


def check_file(option: str, file: Path) -> None:
    """Raise UserError where no file can be made."""
    if file.is_dir():
        raise UserError(f"{option} {file} is a folder; give a file in it")
    if not file.parent.is_dir():
        raise UserError(f"{option} {file}: no folder {file.parent}; make it, or give another {option}")


def write(
    labeller: Labeller,
    arguments: list[str],
    inputs: Iterable[Input],
    *,
    kind: str,
    out: Path | None,
    resume: bool,
    quiet: bool,
    options: Options | None = None,
) -> tuple[int, int]:
    """Label and write. Returns the numbers of unusable and of all recordings, those of an earlier call included.

    `options`: those by which rows are made, of a file that --resume may continue."""
    from affetto.inference.batch.inputs import has_sections

    facts, sections = labeller.facts, has_sections(arguments)
    done = {}
    if resume and out is not None:
        done = _done(facts, kind, out, sections, options)
    elif options is not None and out is not None:
        _record(out, options)
    bad, count = sum(not good for good in done.values()), len(done)
    remaining = (item for item in inputs if (item.name, item.start, item.end) not in done)
    total = len(inputs) if isinstance(inputs, list) else None
    with _sink(facts, kind, out, sections, begun=bool(done)) as take, counter("labelled", quiet) as show:
        for row in labeller.label(remaining):
            count += 1
            take(row)
            if "error" in row:
                bad += 1
                typer.echo(f"error: {row['error']}", err=True)
            show(count, total)
    return bad, count


def options_of(labeller: Labeller, spec: PredictorSpec, kind: str, out: Path | None) -> Options | None:
    """Options of a call that another may continue; None where none can."""
    from affetto.inference.batch import options, outputs

    if out is None or kind not in outputs.GOES_ON:
        return None
    return options.options_of(spec, labeller.identity())


def _done(facts: Facts, kind: str, out: Path, sections: bool, options: Options | None) -> dict[Key, bool]:
    """Rows of earlier calls, which were made by the same options: {recording: True if it was usable}."""
    from affetto.inference.batch import outputs
    from affetto.inference.batch.options import check as check_options

    is_recorded = options is not None and outputs.has_rows(out, kind) and check_options(out, options)
    done = outputs.resume(out, kind, facts.columns, sections=sections, protocol=facts.protocol)
    if options is not None and not is_recorded:
        if done:
            typer.echo(f"note: {out} has no record of its options: they are taken to be those of this call", err=True)
        _record(out, options)
    return done


def _record(out: Path, options: Options) -> None:
    from affetto.inference.batch.options import record

    try:
        record(out, options)
    except OSError as problem:
        raise _unwritable(out, problem) from None


def _unwritable(out: Path, problem: OSError) -> UserError:
    return UserError(f"{out}: cannot be written ({problem.strerror}); give another --out")


@contextmanager
def _sink(facts: Facts, kind: str, out: Path | None, sections: bool, *, begun: bool) -> Iterator[Any]:
    """Yield the function that takes a row: of a writer on standard output or a file, or of a table shown at the end."""
    from affetto.inference.batch.outputs import NAMES, Writer

    marked = facts.protocol is not None
    if kind == TABLE:
        rows: list[dict[str, Any]] = []
        try:
            yield rows.append
        finally:  # columns are as wide as the widest row; an interrupted table shows its rows so far
            typer.echo(_table([row for row in rows if "error" not in row], facts.columns), nl=False)
            if marked:
                typer.echo(f"protocol: {facts.protocol}")
        return
    if out is None:
        by_bytes(sys.stdout)
        writer = Writer(sys.stdout, kind, facts.columns, sections=sections, protocol=marked)
        yield writer.write
        writer.close()
        return
    # JSON is one value: its file appears when it is whole. The others are whole up to their last line at any time.
    target = replacing(out) if kind == "json" else nullcontext(out)
    try:
        with (
            target as file,
            file.open("a" if begun else "w", encoding="utf-8", errors=NAMES, newline="") as stream,
        ):
            writer = Writer(stream, kind, facts.columns, sections=sections, protocol=marked, begun=begun)
            yield writer.write
            writer.close()
    except OSError as problem:
        raise _unwritable(out, problem) from None


def by_bytes(stream: Any) -> None:
    """Let names of files that are no UTF-8 through."""
    from affetto.inference.batch.outputs import NAMES

    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=NAMES)


def _table(rows: list[dict[str, Any]], columns: Columns) -> str:
    from affetto.reporting.render.terminal import print_sheet
    from affetto.reporting.terminal_sheets import prediction_sheet

    text = io.StringIO()
    printable_rows = (row | {"file": printable(row["file"])} for row in rows)
    sheet = prediction_sheet(
        printable_rows, has_classes=columns.has_classes, dimensions=columns.dimensions, judged=columns.judged
    )
    print_sheet(sheet, file=text, width=None if sys.stdout.isatty() else 120)
    return text.getvalue()
