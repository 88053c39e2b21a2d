"""What several commands take: options, NAME=VALUE pairs, corpora, a counter on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from affetto.errors import UserError

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=EMOTION", help="map a label of yours; NAME=drop leaves it out"),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress")]


def pairs(items: list[str] | None, flag: str) -> dict[str, str]:
    """`["a=1"]` → {"a": "1"}."""
    pairs = {}
    for item in items or []:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UserError(f"{flag} {item!r}: write NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def named_corpora(corpus: list[str] | None, table: list[str] | None, option: list[str] | None) -> tuple[Any, ...]:
    from affetto.training.spec import CorpusSpec

    options = pairs(option, "--option")
    chosen = []
    for item in corpus or []:
        name, equals, path = item.partition("=")
        chosen.append(
            CorpusSpec(name=name or None, path=path, options=options)
            if equals
            else CorpusSpec(path=item, options=options)
        )
    chosen += [CorpusSpec(name="table", path=item, options=options) for item in table or []]
    if not chosen:
        raise UserError("no corpus: give --corpus NAME=PATH or --table clips.csv")
    for one in chosen:
        if not Path(one.path).exists():
            raise UserError(f"no such corpus folder or table: {one.path}; check the path")
    return tuple(chosen)


class counter:  # noqa: N801  # reads as the function that it is
    """A progress bar on stderr for `done, total` callbacks; nothing where stderr is no terminal."""

    def __init__(self, label: str, quiet: bool = False) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bars = Progress(console=console, disable=quiet or not console.is_terminal, transient=True)
        self._task = self._bars.add_task(label, total=None)

    def __enter__(self) -> Any:
        self._bars.start()
        return lambda done, total: self._bars.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
