"""The command line: parse, call, print; nothing else. Whatever is heavy is imported within its command."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from affetto import __version__
from affetto.errors import UserError, unknown

app = typer.Typer(
    name="affetto", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Speech emotion recognition with large pre-trained speech models: train, test honestly, use.",
)  # fmt: skip
corpora_app = typer.Typer(no_args_is_help=True, help="Look at corpora, or make synthetic ones.")
app.add_typer(corpora_app, name="corpora")
store_app = typer.Typer(no_args_is_help=True, help="The store of frozen states: look at it, make room.")
app.add_typer(store_app, name="store")

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=EMOTION", help="map a label of yours; NAME=drop leaves it out"),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress")]


_CLICK_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""The base of typer's own errors, wherever the installed typer takes it from (click, or a copy of its own)."""


def main() -> None:
    """Run a command; a user's mistake ends in one line on stderr and exit status 2."""
    try:
        status = app(standalone_mode=False)
    except UserError as problem:
        _fail(str(problem))
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("stopped; the same command goes on where it was", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except _CLICK_ERROR as problem:
        context = getattr(problem, "ctx", None)
        if type(problem).__name__ == "NoArgsIsHelpError":
            typer.echo(context.get_help() if context is not None else str(problem))
            sys.exit(2)
        _fail(
            " ".join(problem.format_message().split())
            + (f" (see {context.command_path} --help)" if context is not None else "")
        )
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"affetto {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


# Corpora ----------------------------------------------------------------------------------------


@corpora_app.command("inspect")
def inspect_corpus(
    path: Annotated[Path, typer.Argument(help="a corpus folder or a table")],
    corpus: Annotated[str | None, typer.Option("--as", metavar="NAME", help="read it as this corpus or format")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    label: Labels = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="an option of the reader")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="counts that differ from the official ones are an error")
    ] = False,
) -> None:
    """What a corpus is: clips, speakers, durations, and what is wrong with it."""
    from affetto.corpora import audit
    from affetto.corpora.readers import open_corpus

    manifest = open_corpus(
        corpus, path, label_map=_pairs(label, "--label"), strict=strict, options=_pairs(option, "--option")
    )
    with _counter("reading clips", quiet=as_json) as progress:
        inspection = audit.inspect(manifest, progress=progress)
    if as_json:
        typer.echo(json.dumps(inspection.to_json(), indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    Console().print(audit.render(inspection))


@corpora_app.command("make")
def make_corpus(
    kind: Annotated[str, typer.Argument(help="emovo, emozionalmente, demos or table")],
    folder: Annotated[Path, typer.Argument(help="a folder that does not exist yet, or is empty")],
    speakers: Annotated[int | None, typer.Option(min=1, help="how many speakers")] = None,
    clips: Annotated[int | None, typer.Option(min=1, help="how many clips in total")] = None,
    seed: Annotated[int, typer.Option(min=0, help="other seeds give other voices")] = 0,
) -> None:
    """Make a synthetic corpus (Italian, by espeak-ng) in a real corpus's layout."""
    from affetto.corpora import synthetic

    with _counter("speaking") as progress:
        synthetic.make(kind, folder, speakers=speakers, clips=clips, seed=seed, progress=progress)
    typer.echo(f"{folder}: synthetic speech in the layout of {kind}; look at it with: affetto corpora inspect {folder}")


# Training ---------------------------------------------------------------------------------------


@app.command()
def train(
    backbone: Annotated[
        str, typer.Option(help="a key (wav2vec2-base …), a hub id (owner/name) or a checkpoint folder")
    ],
    method: Annotated[str, typer.Option(help="probe, frozen, adapter, lora or full")],
    out: Annotated[Path, typer.Option(help="the run's folder; an unfinished run goes on there")],
    corpus: Annotated[list[str] | None, typer.Option(metavar="NAME=PATH", help="a corpus; may be repeated")] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="a CSV or TSV: file, emotion, speaker")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="a named set of settings")] = None,
    split: Annotated[str | None, typer.Option(help="paper, loso, kfold:K, official, prompt-disjoint or column")] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="of the split; --seed does not touch it")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="of the training")] = 0,
    random_weights: Annotated[bool, typer.Option("--random-weights", help="the key's shapes, not pre-trained")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING=VALUE", help="e.g. training.epochs=5; see `affetto settings`"),
    ] = None,
    label: Labels = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="an option of the corpus's reader")
    ] = None,
    device: Device = "auto",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unusable clips out, and name them")] = False,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="without the baseline beside the result (logistic regression)")
    ] = False,
    no_final: Annotated[
        bool, typer.Option("--no-final", help="with folds: no model trained on all speakers at the end")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train and test a classifier on a corpus or on your own table."""
    from affetto.models.keys import METHOD_NAMES, check_backbone
    from affetto.training.spec import DEFAULT_RECIPE, RunSpec, settings

    if method not in METHOD_NAMES:
        raise unknown("method", method, METHOD_NAMES)
    recipe = recipe or DEFAULT_RECIPE
    chosen = settings(recipe, _pairs(set_, "--set"), method=method)
    check_backbone(backbone, random_weights=random_weights)
    spec = RunSpec(
        corpora=_corpora(corpus, table, option), backbone=backbone, method=method, recipe=recipe, split=split,
        split_seed=split_seed, seed=seed, random_weights=random_weights, settings=chosen,
        labels=_pairs(label, "--label"), skip_bad=skip_bad, probe=not no_probe, final=not no_final,
    )  # fmt: skip
    from affetto.training.display import Display
    from affetto.training.train import train as run

    metrics = run(spec, out, device=device, display=Display(quiet))
    from rich.console import Console

    from affetto.reporting.tables import summary_row, summary_table

    rows = [summary_row(
        method, metrics["test"], trainable_parameters=metrics["trainable_parameters"],
        seconds=metrics["wall_seconds"], synthetic=metrics["synthetic"],
    )]  # fmt: skip
    if "probe" in metrics:
        rows.append(summary_row("probe", metrics["probe"]["test"], synthetic=metrics["synthetic"]))
    Console().print(summary_table(rows))
    typer.echo(f"{out}/metrics.json has the rest. Use it: affetto predict {out} FILE…")


@app.command("settings")
def show_settings(
    recipe: Annotated[str | None, typer.Option(help="whose values to show")] = None,
    method: Annotated[str | None, typer.Option(help="probe brings its own")] = None,
) -> None:
    """All that --set changes, with the recipe's values."""
    from affetto.models.keys import METHOD_NAMES
    from affetto.training.spec import DEFAULT_RECIPE, setting_names, settings

    if method is not None and method not in METHOD_NAMES:
        raise unknown("method", method, METHOD_NAMES)
    values = settings(recipe or DEFAULT_RECIPE, method=method).model_dump()
    for name, meaning in setting_names().items():
        section, field = name.split(".")
        typer.echo(f"{name}={json.dumps(values[section][field])}  # {meaning}")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="a run's folder")],
    corpus: Annotated[list[str] | None, typer.Option(metavar="NAME=PATH", help="a corpus; may be repeated")] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="a CSV or TSV: file, emotion, speaker")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="a new folder for metrics.json and predictions.jsonl")] = None,
    label: Labels = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="an option of the corpus's reader")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="where the backbone's weights lie now, if they have moved")
    ] = None,
    device: Device = "auto",
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="test on clips that the model was trained on, too")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unusable clips out, and name them")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Test a trained run on another corpus: labels mapped, what was left out named."""
    corpora = _corpora(corpus, table, option)
    from affetto.inference.evaluation import evaluate as test

    with _counter("testing", quiet=as_json) as progress:
        metrics = test(
            run, corpora, labels=_pairs(label, "--label"), out=out, include_seen=include_seen, skip_bad=skip_bad,
            device=device, backbone=backbone, say=lambda text: typer.echo(text, err=True), progress=progress,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(metrics, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from affetto.reporting.tables import summary_row, summary_table

    synthetic = metrics["synthetic"] or metrics["trained_on_synthetic"]
    Console().print(summary_table([summary_row(run.name, metrics["test"], synthetic=synthetic)]))
    typer.echo(f"trained on {metrics['trained_on']}, tested on {metrics['corpus']}")


# Use --------------------------------------------------------------------------------------------

FORMATS = ("table", "json", "jsonl", "csv")


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="a run's folder")],
    files: Annotated[list[str], typer.Argument(help="recordings: wav, flac, mp3, ogg …")],
    format_: Annotated[str, typer.Option("--format", help="table, json, jsonl or csv")] = "table",
    backbone: Annotated[
        str | None, typer.Option(help="where the backbone's weights lie now, if they have moved")
    ] = None,
    device: Device = "auto",
) -> None:
    """Name the emotion in recordings. Exit status 1 if some of them could not be used."""
    if format_ not in FORMATS:
        raise unknown("format", format_, FORMATS)
    from affetto.inference.predictor import Prediction, load

    predictor = load(run, device=device, backbone=backbone)
    rows: list[dict[str, Any]] = []
    bad = cropped = 0
    for file, result in zip(files, predictor.stream(files), strict=True):
        if isinstance(result, Prediction):
            rows.append({"file": file, "emotion": result.emotion, "probabilities": result.probabilities})
            cropped += result.cropped
        else:
            bad += 1
            typer.echo(f"error: {result}", err=True)
    if cropped:
        typer.echo(
            f"note: {cropped} of {len(files)} recordings are longer than {predictor.window_seconds:g} s; "
            "as in training, their first seconds were used", err=True,
        )  # fmt: skip
    if predictor.card["synthetic"]:
        typer.echo("note: this model was trained on synthetic speech", err=True)
    typer.echo(_written(rows, format_, predictor.labels), nl=False)
    if bad:
        typer.echo(f"error: {bad} of {len(files)} recordings could not be used", err=True)
        raise typer.Exit(1)


def _written(rows: list[dict[str, Any]], format_: str, labels: tuple[str, ...]) -> str:
    if format_ == "json":
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    if format_ == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if format_ == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "emotion", *labels])
        writer.writerows(
            [row["file"], row["emotion"], *(f"{p:.6f}" for p in row["probabilities"].values())] for row in rows
        )
        return text.getvalue()
    from rich.console import Console

    from affetto.reporting.tables import prediction_table

    text = io.StringIO()
    Console(file=text, width=None if sys.stdout.isatty() else 120).print(prediction_table(rows))
    return text.getvalue()


# The store --------------------------------------------------------------------------------------


@store_app.command("status")
def store_status(as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False) -> None:
    """Where the store is, and what lies in it."""
    from affetto.models import storage

    found = storage.namespaces()
    root, total = storage.default_root(), sum(one.size_bytes for one in found)
    if as_json:
        rows = [
            {"folder": str(one.folder), "clips": one.clips, "bytes": one.size_bytes, "last_used": one.last_used}
            | {"identity": one.identity}
            for one in found
        ]
        typer.echo(json.dumps({"root": str(root), "bytes": total, "namespaces": rows}, indent=2))
        return
    typer.echo(
        f"{root}: {total / 1e9:.2f} GB, kept below {storage.limit_bytes() / 1e9:g} GB ({storage.LIMIT_VARIABLE})"
    )
    for one in reversed(found):
        cut = " ".join(str(part) for part in one.identity.get("cut", ["unknown"]) if part is not None)
        typer.echo(f"  {one.folder.name[:12]}  {one.size_bytes / 1e6:9.1f} MB  {one.clips:7d} clips  {cut}")


@store_app.command("prune")
def store_prune(
    max_size: Annotated[str, typer.Option(help="what may stay: 20GB, 500MB; 0 empties it")],
) -> None:
    """Delete the longest unused states; they are computed again when needed."""
    from affetto.models import storage

    files, freed = storage.prune(storage.parse_size(max_size, "--max-size"))
    typer.echo(f"deleted {files} files, {freed / 1e9:.2f} GB")


@app.command()
def bench(
    backbone: Annotated[str, typer.Option(help="whose shapes, filled at random")] = "wav2vec2-base",
    method: Annotated[
        list[str] | None, typer.Option(help="frozen, lora, adapter or inference; may be repeated")
    ] = None,
    precision: Annotated[str, typer.Option(help="of both sides where they are alike: float32 or bfloat16")] = "float32",
    clips: Annotated[int, typer.Option(min=8, help="how many")] = 64,
    batch_size: Annotated[int, typer.Option(min=1, help="clips a step")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="measurements of each side, in turns")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="a small backbone, few clips, one round: does it run?")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="a JSON file for the result")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """How fast this machine is with affetto, beside transformers' Trainer and pipeline."""
    from affetto.bench.run import METHODS, run

    if precision not in ("float32", "bfloat16"):
        raise unknown("precision", precision, ("float32", "bfloat16"))
    if quick:
        backbone, clips, rounds = "wav2vec2-mini", 16, 1
    result = run(
        backbone, tuple(method or METHODS), precision=precision, clips=clips, batch_size=batch_size, rounds=rounds,
        say=lambda text: typer.echo(text, err=True),
    )  # fmt: skip
    text = json.dumps(result, indent=2)
    if out is not None:
        out.write_text(text + "\n")
    if as_json:
        typer.echo(text)
        return
    from rich.console import Console

    from affetto.bench.report import table

    Console().print(table(result))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="where everything goes")] = Path("demo"),
    device: Device = "auto",
) -> None:
    """The whole road on synthetic Italian speech: corpus, split, three methods, table, pictures, prediction."""
    from affetto.demo import run

    run(out, device=device)


# Arguments --------------------------------------------------------------------------------------


def _pairs(items: list[str] | None, flag: str) -> dict[str, str]:
    """`["a=1"]` → {"a": "1"}."""
    pairs = {}
    for item in items or []:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UserError(f"{flag} {item!r}: write NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def _corpora(corpus: list[str] | None, table: list[str] | None, option: list[str] | None) -> tuple[Any, ...]:
    from affetto.training.spec import CorpusSpec

    options = _pairs(option, "--option")
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


class _counter:  # noqa: N801  # reads as the function that it is
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
