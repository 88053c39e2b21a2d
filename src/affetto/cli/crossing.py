"""`affetto grid cross`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import (
    Bar,
    CorpusColumns,
    CorpusOptions,
    Device,
    LabelsByCorpus,
    Quiet,
    options_by_corpus,
    pairs,
)
from affetto.errors import UserError


def cross(
    folder: Annotated[Path, typer.Argument(help="folder of a grid")],
    corpus: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="corpus to test on (repeatable); default: the grid's tested corpora"),
    ] = None,
    label: LabelsByCorpus = None,
    option: CorpusOptions = None,
    dimension: CorpusColumns = None,
    exclude_shared: Annotated[
        bool,
        typer.Option("--exclude-shared-sentences", help="leave out clips whose sentence is in the training corpus too"),
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave out unusable clips and list them")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Test each finished run on the corpora that it was not trained on. Finished tests are skipped."""
    from affetto.corpora.registry import is_there

    places = pairs(corpus, "--corpus")
    for name, path in places.items():
        if not is_there(name, path):
            raise UserError(f"no such corpus folder or table: {path}; check the path")
    from affetto.evaluation.crossing import cross as test
    from affetto.evaluation.crossing import tested_corpora

    with Bar("testing", quiet or as_json) as bar:

        def tell(done: int, total: int, text: str) -> None:
            if text:
                bar.say(text)
            bar.show(completed=done, total=total)

        outcome = test(
            folder,
            places,
            labels=pairs(label, "--label"),
            options=options_by_corpus(option, dimension, places or tested_corpora(folder)),
            exclude_shared=exclude_shared,
            device=device,
            skip_bad=skip_bad,
            say=bar.say,
            tell=tell,
        )
    if as_json:
        typer.echo(json.dumps(asdict(outcome), ensure_ascii=False))
    else:
        typer.echo(f"{outcome.done} of {outcome.pairs} tests on other corpora are done, {outcome.new} of them now")
    if outcome.failed:
        typer.echo(f"error: {len(outcome.failed)} failed; the same command tries them again", err=True)
        raise typer.Exit(1)
