"""Arguments that several commands share: options, NAME=VALUE pairs, corpora, a progress counter."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from affetto.errors import UserError, unknown
from affetto.training.stack_size import AUTO

if TYPE_CHECKING:
    from affetto.training.spec import CorpusSpec

Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="address of the Ray cluster; default: this machine alone"),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--dimension",
        metavar="NAME=COLUMN:LOW:HIGH",
        help="column of a table that holds a dimension such as arousal, and its range; may be repeated",
    ),
]
Coverage = Annotated[
    float | None,
    typer.Option(
        help="give a set of labels that holds the true one of this share of clips, such as 0.9; default: no sets"
    ),
]
CorpusColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--dimension",
        metavar="[CORPUS:]NAME=COLUMN:LOW:HIGH",
        help=(
            "column of a table that holds a dimension such as arousal, and its range, in the tested corpora or in "
            "that of one name, an auxiliary one too; may be repeated"
        ),
    ),
]
CorpusOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="[CORPUS:]NAME=VALUE",
        help=(
            "option of the readers of the tested corpora, or of the corpus of one name, an auxiliary one too; "
            "may be repeated"
        ),
    ),
]
Device = Annotated[str, typer.Option(help="device: auto, cpu, cuda, mps or another kind that PyTorch has here")]
Engine = Annotated[str, typer.Option(help="local (this machine) or ray (a cluster)")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=EMOTION", help="map a label of the corpus; NAME=drop leaves its clips out"),
]
LabelsByCorpus = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="[CORPUS:]NAME=EMOTION",
        help="map a label of all corpora, or of the corpus of one name; NAME=drop leaves its "
        "clips out; may be repeated",
    ),
]
KeepOther = Annotated[
    bool,
    typer.Option("--keep-other", help="make each label of the corpus beside the seven emotions a class of its own"),
]
LabelMap = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="LABEL=EMOTION,…",
        help="map labels of a model of others, as angry=anger,calm=; without an emotion the label is left out and the "
        "rest renormalised; usual names are mapped by themselves; may be repeated",
    ),
]
Moved = Annotated[
    str | None,
    typer.Option("--backbone", help="folder or hub id of the backbone's weights, if they have moved"),
]
Precision = Annotated[str, typer.Option(help="auto (as trained), float32, bfloat16 or int8 (quickest on a CPU)")]
Sets = Annotated[
    str | None,
    typer.Option(help="kind of the sets of --coverage: lac (smallest, the default), aps, lac-by-class or aps-by-class"),
]
Tta = Annotated[
    str | None,
    typer.Option(
        metavar="SPEEDS",
        help="test-time augmentation: average over each clip and copies of it at these speeds, such as 0.9,1.1; each "
        "copy costs as much time as the clip",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="hide progress bars and notes")]


def pairs(items: list[str] | None, flag: str) -> dict[str, str]:
    """Parse `["a=1"]` to {"a": "1"}. Raises UserError for an item without `=`."""
    pairs = {}
    for item in items or []:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UserError(f"{flag} {item!r}: write NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def label_map(items: list[str] | None) -> dict[str, str]:
    """Parse `["angry=anger,calm="]` to {"angry": "anger", "calm": ""}. Raises UserError for a part without `=`."""
    return pairs([part for item in items or () for part in item.split(",")], "--map")


def reader_options(option: list[str] | None, dimension: list[str] | None) -> dict[str, str]:
    """Options of a reader from --option and --dimension. Raises UserError where both name dimensions."""
    from affetto.corpora.formats.annotated import parse_dimensions

    options = pairs(option, "--option")
    for text in dimension or ():
        try:
            parse_dimensions(text)
        except ValueError as problem:
            raise UserError(f"--dimension {text!r} {problem}") from None
    if dimension and "dimensions" in options:
        raise UserError("--dimension and --option dimensions=… are both given; leave the second out")
    return options | ({"dimensions": ",".join(dimension)} if dimension else {})


def options_by_corpus(
    option: list[str] | None, dimension: list[str] | None, names: Collection[str]
) -> dict[str, dict[str, str]]:
    """Options of readers, {corpus: {name: value}}, from `[CORPUS:]NAME=VALUE`; those of "" name no corpus.

    Raises UserError for a corpus that is not among `names`.
    """
    items: dict[str, tuple[list[str], list[str]]] = {}
    for flag, number, texts in (("--option", 0, option), ("--dimension", 1, dimension)):
        for text in texts or ():
            corpus, colon, rest = text.partition(":") if ":" in text.partition("=")[0] else ("", "", text)
            if colon and corpus not in names:
                raise unknown(f"corpus in {flag} {text!r}:", corpus, names)
            items.setdefault(corpus, ([], []))[number].append(rest)
    return {corpus: reader_options(*texts) for corpus, texts in items.items()}


def run_corpora(
    corpus: list[str] | None,
    table: list[str] | None,
    auxiliary: list[str] | None = None,
    *,
    option: list[str] | None,
    dimension: list[str] | None,
) -> tuple[tuple[CorpusSpec, ...], tuple[CorpusSpec, ...]]:
    """Tested corpora of --corpus and --table, one at least, and the auxiliary ones, with the options of each.

    Options without a corpus's name are for the tested corpora. Raises UserError for a path that does not exist, and
    for options of a corpus that there is not.
    """
    tested = corpora_at([*(corpus or []), *(f"table={item}" for item in table or [])])
    if not tested:
        raise UserError("no corpus: give --corpus NAME=PATH or --table clips.csv")
    joining = corpora_at(auxiliary or [])
    if not (option or dimension):
        return tested, joining
    from affetto.training.scopes import names_of

    of_tested, of_joining = [("", *names_of(spec)) for spec in tested], [names_of(spec) for spec in joining]
    names = dict.fromkeys(chain.from_iterable((*of_tested, *of_joining)))
    options = options_by_corpus(option, dimension, [name for name in names if name])
    return (
        tuple(_with_options(spec, options, names) for spec, names in zip(tested, of_tested, strict=True)),
        tuple(_with_options(spec, options, names) for spec, names in zip(joining, of_joining, strict=True)),
    )


def _with_options(spec: CorpusSpec, options: Mapping[str, Mapping[str, str]], names: Iterable[str]) -> CorpusSpec:
    """The corpus with the options of these names; a later name goes before an earlier one."""
    values = {key: value for name in names for key, value in options.get(name, {}).items()}
    return spec.model_copy(update={"options": values})


def corpora_at(items: list[str]) -> tuple[CorpusSpec, ...]:
    """Corpora from NAME=PATH or PATH, without options. Raises UserError for a path that does not exist."""
    from affetto.corpora.registry import is_there
    from affetto.training.spec import CorpusSpec

    specs = []
    for item in items:
        name, equals, path = item.partition("=")
        if equals and not path:
            raise UserError(f"no path behind {item!r}: give NAME=PATH")
        specs.append(CorpusSpec(name=(name or None) if equals else None, path=path if equals else item))
    for spec in specs:
        if not is_there(spec.name, spec.path):
            raise UserError(f"no such corpus folder or table: {spec.path}; check the path")
    return tuple(specs)


class Bar:
    """Progress bar on stderr, if that is a terminal; `say` prints lines beside it unless quiet."""

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
    """Drop what compiled code writes to stderr; what Python writes comes out.

    Ray's core has notes for its developers there that no setting of its own turns off; its log files have them too.
    """
    python_stderr = sys.stderr
    copy = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace") as through:
            python_stderr.flush()
            if python_stderr is sys.__stderr__:  # else it does not go to the file that is dropped
                sys.stderr = through
            os.dup2(nowhere, 2)
            yield
    finally:
        os.dup2(copy, 2)
        sys.stderr = python_stderr
        os.close(copy)
        os.close(nowhere)


@contextmanager
def counter(label: str, quiet: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on stderr for `done, total` callbacks; nothing if stderr is no terminal."""
    with Bar(label, quiet) as bar:
        yield lambda done, total: bar.show(completed=done, total=total)


def stack_size(text: str) -> str | int:
    """The value of --stack: `auto`, or a number of fits. Raises UserError."""
    if text == AUTO:
        return text
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--stack {text}: neither auto nor a number of fits from 1 on")
    return int(text)
