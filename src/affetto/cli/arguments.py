"""What several commands take: options, NAME=VALUE pairs, corpora, a counter on the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from affetto.errors import UserError

Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="of the Ray cluster; left out: one of this machine's own")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps")]
Engine = Annotated[str, typer.Option(help="local: this machine's processors; ray: a cluster")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=EMOTION", help="map a label of yours; NAME=drop leaves it out"),
]
Moved = Annotated[
    str | None, typer.Option("--backbone", help="where the backbone's weights lie now, if they have moved")
]
Precision = Annotated[str, typer.Option(help="auto (as trained), float32, bfloat16, or int8: quickest on a CPU")]
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


class Bar:
    """A progress bar on stderr, where that is a terminal; lines said beside it come out in any case, unless quiet."""

    def __init__(self, label: str, quiet: bool, *columns: Any, transient: bool = True, **fields: Any) -> None:
        """`columns` are rich's own (none: its usual ones), `fields` what they show."""
        from rich.console import Console
        from rich.progress import Progress

        self.console = Console(stderr=True, quiet=quiet)
        hidden = quiet or not self.console.is_terminal
        self._bars = Progress(*columns, console=self.console, disable=hidden, transient=transient)
        self._task = self._bars.add_task(label, **({"total": None} | fields))

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, **fields: Any) -> None:
        self._bars.update(self._task, **fields)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def only_python_speaks() -> Iterator[None]:
    """Within it what compiled code writes to stderr is dropped, and what Python writes comes out.

    Ray's core has notes for its developers there that no setting of its own turns off; its log files have them too.
    """
    spoken = sys.stderr
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace") as through:
            spoken.flush()
            if spoken is sys.__stderr__:  # else it is no matter of the file that is dropped
                sys.stderr = through
            os.dup2(nowhere, 2)
            yield
    finally:
        os.dup2(kept, 2)
        sys.stderr = spoken
        os.close(kept)
        os.close(nowhere)


@contextmanager
def counter(label: str, quiet: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on stderr for `done, total` callbacks; nothing where stderr is no terminal."""
    with Bar(label, quiet) as bar:
        yield lambda done, total: bar.show(completed=done, total=total)
