"""`affetto corpora`: list corpora, look at one, convert it, audit its split, or make a synthetic one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import Columns, KeepOther, Labels, Quiet, counter, pairs, reader_options
from affetto.errors import UserError

app = typer.Typer(
    no_args_is_help=True, help="List corpora, inspect or convert one, audit a split, make a synthetic one."
)

ReadAs = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        help="corpus or layout to read it as, by default recognised; any other name is that of your own collection",
    ),
]


def _path_alone(path: Path) -> Path:
    """The path as it is. Raises UserError for NAME=PATH, as other commands take it, where such a path is none."""
    name, equals, place = str(path).partition("=")
    if equals and not path.exists() and Path(place).exists():
        raise UserError(f"{path}: give the path alone, and its name as an option: {place} --as {name}")
    return path


@app.command("list")
def list_corpora(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """All corpora and layouts that affetto reads: size, speakers, licence, default split."""
    from affetto.corpora import overview
    from affetto.corpora.registry import CORPORA
    from affetto.corpora.transcribed.registry import TRANSCRIBED

    if as_json:
        facts = [overview.to_json(corpus) for corpus in CORPORA.values()]
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    Console().print(overview.render(CORPORA.values(), TRANSCRIBED.values()))


@app.command("inspect")
def inspect_corpus(
    path: Annotated[Path, typer.Argument(help="corpus folder or table", callback=_path_alone)],
    corpus: ReadAs = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    label: Labels = None,
    keep_other: KeepOther = False,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="option of the reader; `affetto corpora list` shows them"),
    ] = None,
    dimension: Columns = None,
    strict: Annotated[bool, typer.Option("--strict", help="fail where counts differ from the official ones")] = False,
) -> None:
    """Contents and faults of a corpus: clips, speakers, durations, unreadable files, duplicates."""
    from affetto.corpora import audit
    from affetto.corpora.registry import open_corpus
    from affetto.measures.ceiling import ceiling_table, human_ceiling

    manifest = open_corpus(
        corpus,
        path,
        label_map=pairs(label, "--label"),
        strict=strict,
        options=reader_options(option, dimension),
        keep_other=keep_other,
    )
    with counter("reading clips", quiet=as_json) as progress:
        inspection = audit.inspect(manifest, progress=progress)
    if as_json:
        facts = {**inspection.to_json(), "human_ceiling": human_ceiling(manifest)}
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    Console().print(audit.render(inspection))
    if (table := ceiling_table(manifest)) is not None:
        Console().print(table)


@app.command("convert")
def convert_corpus(
    path: Annotated[Path, typer.Argument(help="corpus folder or table", callback=_path_alone)],
    out: Annotated[Path, typer.Argument(help="new folder")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="format of the new folder, such as table")],
    corpus: ReadAs = None,
    label: Labels = None,
    keep_other: KeepOther = False,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="option of the reader of the corpus")
    ] = None,
    dimension: Columns = None,
    split: Annotated[
        str | None, typer.Option("--split", help="split protocol whose parts are written; by default the corpus's own")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="seed of the split")] = 0,
    copy: Annotated[
        bool, typer.Option("--copy", help="copy the audio too, so that the new folder stands alone")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an existing folder")] = False,
    quiet: Quiet = False,
) -> None:
    """Write a corpus in another format, with its labels, speakers, ratings, dimensions and parts."""
    from affetto.corpora.conversion import convert
    from affetto.corpora.registry import open_corpus
    from affetto.splits.protocols import make_split
    from affetto.splits.split import parts_by_fold

    manifest = open_corpus(
        corpus,
        path,
        label_map=pairs(label, "--label"),
        options=reader_options(option, dimension),
        keep_other=keep_other,
    )
    folds = parts_by_fold(make_split(manifest, split, seed)) if split else None
    with counter("converting", quiet) as progress:
        notes = convert(manifest, out, to, folds=folds, copy=copy, overwrite=overwrite, progress=progress)
    typer.echo(f"{out}: {len(manifest.clips):,} clips of {manifest.corpus} as {to}")
    if not quiet:
        for note in (*manifest.notes, *notes):
            typer.echo(f"note: {note}", err=True)


@app.command("audit")
def audit_split(
    path: Annotated[
        Path,
        typer.Argument(help="folder of part or fold files, or a table with columns of parts", callback=_path_alone),
    ],
    corpus: ReadAs = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="column of parts or folds; by default those named so"),
    ] = None,
    label: Labels = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="option of the reader, such as speaker_pattern"),
    ] = None,
    wa: Annotated[float | None, typer.Option("--wa", help="published weighted accuracy in percent")] = None,
    ua: Annotated[float | None, typer.Option("--ua", help="published unweighted accuracy in percent")] = None,
    metadata_only: Annotated[bool, typer.Option("--metadata-only", help="compare no audio")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="exit with status 1 if a speaker, clip or recording is in two parts")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Speakers, clips, recordings and prompts that cross the parts of anybody's split."""
    from affetto.corpora.audit import contents_of
    from affetto.splits.foreign import open_split
    from affetto.splits.foreign_audit import Figures, audit_foreign
    from affetto.splits.foreign_table import render

    if (wa is None) != (ua is None):
        raise UserError("--wa and --ua belong together: give both, in percent")
    split = open_split(
        corpus, path, label_map=pairs(label, "--label"), columns=column or (), options=pairs(option, "--option")
    )
    contents = None
    if not metadata_only:
        with counter("comparing audio", quiet=as_json) as progress:
            contents = contents_of(split.manifest, progress=progress)
    figures = Figures(wa, ua) if wa is not None and ua is not None else None
    audit = audit_foreign(split, contents=contents, figures=figures)
    if as_json:
        typer.echo(json.dumps(audit, indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        Console().print(render(audit))
    if strict and audit["crosses"]:
        raise typer.Exit(1)


@app.command("make")
def make_corpus(
    kind: Annotated[str, typer.Argument(help="kind of corpus, such as emovo, table or common-voice")],
    folder: Annotated[Path, typer.Argument(help="new or empty folder")],
    speakers: Annotated[int | None, typer.Option(min=1, help="number of speakers; by default the kind's")] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="number of clips in all; by default the kind's share per speaker")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="seed of voices and takes")] = 0,
) -> None:
    """Make a synthetic corpus (Italian, by espeak-ng) in a real corpus's layout."""
    from affetto.synthetic.registry import MAKERS

    maker = MAKERS.find(kind)
    with counter("speaking") as progress:
        maker.make(folder, speakers=speakers, clips=clips, seed=seed, progress=progress)
    typer.echo(f"{folder}: {maker.advice.format(folder=folder)}")
