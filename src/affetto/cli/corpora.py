"""`affetto corpora`: list corpora, look at one, or make a synthetic one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import KeepOther, Labels, counter, pairs

app = typer.Typer(no_args_is_help=True, help="List corpora, look at one, or make a synthetic one.")


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
    path: Annotated[Path, typer.Argument(help="corpus folder or table")],
    corpus: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="corpus or layout to read it as; by default recognised")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    label: Labels = None,
    keep_other: KeepOther = False,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="option of the reader; `affetto corpora list` shows them"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="fail where counts differ from the official ones")] = False,
) -> None:
    """Contents and faults of a corpus: clips, speakers, durations, unreadable files, duplicates."""
    from affetto.corpora import audit
    from affetto.corpora.registry import open_corpus
    from affetto.evaluation.ceiling import ceiling_table, human_ceiling

    manifest = open_corpus(
        corpus,
        path,
        label_map=pairs(label, "--label"),
        strict=strict,
        options=pairs(option, "--option"),
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
