"""What `affetto predict` makes of rows: labels on the terminal or in a file, written as they come."""

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
    from affetto.inference.batch.inputs import Input
    from affetto.inference.batch.labelling import Facts, Labeller

TABLE = "table"
"""For people; all other formats are files' too."""


def check(kind: str, out: Path | None, resume: bool) -> None:
    """Raise UserError for what can be no output, before a model is loaded."""
    from affetto.inference.batch.outputs import FORMATS

    if kind not in (TABLE, *FORMATS):
        raise unknown("format", kind, (TABLE, *FORMATS))
    if resume and out is None:
        raise UserError("--resume goes on with a file: give it by --out")
    if out is None:
        return
    if kind == TABLE:
        raise UserError("--out takes json, jsonl or csv: give --format, or such a suffix")
    check_file("--out", out)
    if out.exists() and not resume:
        raise UserError(f"{out} is there already: --resume goes on with it, or remove it, or give another --out")


def advice(kind: str, out: Path | None, calibrate: Path | None) -> str:
    """How an interrupted call is gone on with; nothing where its labels went to the terminal."""
    from affetto.inference.batch.outputs import GOES_ON

    if out is None:
        return ""
    if kind in GOES_ON and calibrate is None:
        return f"{out} has what was heard: add --resume to go on"
    return f"{out} was not written" if kind not in GOES_ON else f"{out} has what was heard"


def check_file(option: str, file: Path) -> None:
    """Raise UserError where no file can come to be."""
    if file.is_dir():
        raise UserError(f"{option} {file} is a folder; give a file in it")
    if not file.parent.is_dir():
        raise UserError(f"{option} {file}: no folder {file.parent}; make it, or give another {option}")


def write(
    labeller: Labeller, named: list[str], listed: Iterable[Input], kind: str, out: Path | None, resume: bool,
    quiet: bool,
) -> tuple[int, int]:  # fmt: skip
    """Label and write; how many could not be used, of how many, those of an earlier call included."""
    from affetto.inference.batch import outputs
    from affetto.inference.batch.inputs import has_sections

    facts, sections = labeller.facts, has_sections(named)
    done = outputs.resume(out, kind, facts.labels, sections=sections) if resume and out is not None else {}
    bad, heard = sum(not good for good in done.values()), len(done)
    left = (one for one in listed if (one.name, one.start, one.end) not in done)
    total = len(listed) if isinstance(listed, list) else None
    with _sink(facts, kind, out, sections, begun=bool(done)) as take, counter("heard", quiet) as show:
        for row in labeller.label(left):
            heard += 1
            take(row)
            if "error" in row:
                bad += 1
                typer.echo(f"error: {row['error']}", err=True)
            show(heard, total)
    return bad, heard


@contextmanager
def _sink(facts: Facts, kind: str, out: Path | None, sections: bool, *, begun: bool) -> Iterator[Any]:
    """What takes a row: a writer on standard output or a file, or a table that is shown at the end."""
    from affetto.inference.batch.outputs import NAMES, Writer

    marked = facts.protocol is not None
    if kind == TABLE:
        rows: list[dict[str, Any]] = []
        try:
            yield rows.append
        finally:  # a table's columns are as wide as its widest row; interrupted, it has those that there are
            typer.echo(_table([row for row in rows if "error" not in row]), nl=False)
            if marked:
                typer.echo(f"protocol: {facts.protocol}")
        return
    if out is None:
        by_bytes(sys.stdout)
        writer = Writer(sys.stdout, kind, facts.labels, sections=sections, protocol=marked)
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
            writer = Writer(stream, kind, facts.labels, sections=sections, protocol=marked, begun=begun)
            yield writer.write
            writer.close()
    except OSError as problem:
        raise UserError(f"{out}: cannot be written ({problem.strerror}); give another --out") from None


def by_bytes(stream: Any) -> None:
    """Let names of files that are no UTF-8 through."""
    from affetto.inference.batch.outputs import NAMES

    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=NAMES)


def _table(rows: list[dict[str, Any]]) -> str:
    from affetto.reporting.render.terminal import print_sheet
    from affetto.reporting.terminal_sheets import prediction_sheet

    text = io.StringIO()
    shown = (row | {"file": printable(row["file"])} for row in rows)
    print_sheet(prediction_sheet(shown), file=text, width=None if sys.stdout.isatty() else 120)
    return text.getvalue()
