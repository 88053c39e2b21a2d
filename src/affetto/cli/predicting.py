"""`affetto predict`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affetto.cli import labels, timelines
from affetto.cli.arguments import (
    Address,
    Coverage,
    Device,
    Engine,
    LabelMap,
    Moved,
    Precision,
    Quiet,
    Sets,
    Tta,
    label_map,
    only_python_speaks,
)
from affetto.cli.ending import advising
from affetto.cluster import check_engine
from affetto.errors import UserError

if TYPE_CHECKING:
    from affetto.inference.batch.inputs import Input
    from affetto.inference.batch.labelling import Facts, Labeller
    from affetto.inference.spec import PredictorSpec

ADAPTED = (
    "adapted to one speaker by the {clips} unlabelled clips of {folder}; the model's scores and the facts of its "
    "confidence were measured without such clips (another protocol)"
)


def predict(
    model: Annotated[
        str, typer.Argument(help="a run's or an exported folder, an ONNX file, a model of others, or a hub id")
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="recordings, folders, quoted patterns, tables with a column `file`, or - for a list on standard input"
        ),
    ],
    format_: Annotated[
        str | None, typer.Option("--format", help="table, json, jsonl or csv; default: the suffix of --out, else table")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="file for the labels; default: standard output")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="continue --out: recordings that it has (jsonl or csv) are skipped")
    ] = False,
    abstain_below: Annotated[
        float, typer.Option(min=0, max=1, help="name no emotion if the highest probability is lower")
    ] = 0.0,
    coverage: Coverage = None,
    sets: Sets = None,
    refuse_novel: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="give no answer to recordings more unlike the training clips than this share of held-out clips, such "
            "as 0.99; 1 only reports the novelty; default: it is not measured",
        ),
    ] = None,
    require_speech: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="give no answer to recordings with less speech than this; 0 only reports it; default: it is not "
            "measured",
        ),
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(help="adapt to one speaker: folder of unlabelled clips of theirs, of mixed emotions")
    ] = None,
    tta: Tta = None,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="segments of speech with times, for a long recording; json, csv or vtt")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(help="with --timeline: PNG or SVG of the waveform and the answers over time")
    ] = None,
    map_: LabelMap = None,
    engine: Engine = "local",
    address: Address = None,
    backbone: Moved = None,
    device: Device = "auto",
    precision: Precision = "auto",
    quiet: Quiet = False,
) -> None:
    """Predict emotions, or the model's other targets. Exit status 1 if some of them could not be used."""
    check_engine(engine, address)
    kind = format_ or _suffix(out)
    listed: Iterable[Input] = []
    if timeline:
        if resume:
            raise UserError("--timeline takes one recording at a time: there is nothing to --resume")
        if engine != "local":
            raise UserError(f"--timeline takes one recording at a time, on this machine: leave --engine {engine} out")
        for option, value in (
            ("--coverage", coverage),
            ("--refuse-novel", refuse_novel),
            ("--require-speech", require_speech),
        ):
            if value is not None:
                raise UserError(f"{option} is for answers to whole recordings: leave out {option} or --timeline")
        if tta is not None:
            raise UserError("--tta averages the answer to a clip, and a timeline has many: leave one of them out")
        timelines.check(inputs, format_, out, picture)
    else:
        if sets is not None and coverage is None:
            raise UserError(f"--sets {sets} is a kind of the sets of --coverage: give --coverage too, such as 0.9")
        if picture is not None:
            raise UserError("--picture shows a timeline: give --timeline too")
        labels.check(kind or labels.TABLE, out, resume)
        listed = _listed(inputs, engine)
    from affetto.inference.batch.labelling import facts
    from affetto.inference.spec import PredictorSpec
    from affetto.inference.speeds import parse_speeds
    from affetto.targets.label_sets import DEFAULT_KIND

    spec = PredictorSpec(
        model,
        device=device,
        backbone=backbone,
        precision=precision,
        abstain_below=abstain_below,
        coverage=coverage,
        sets=sets or DEFAULT_KIND,
        refuse_novel=refuse_novel,
        require_speech=require_speech,
        speaker=_clips(calibrate),
        speeds=parse_speeds(tta),
        label_map=tuple(label_map(map_).items()),
    )
    if timeline:
        predictor = spec.load()
        _notes(facts(predictor), spec, calibrate)
        timelines.label(predictor, inputs[0], kind or "json", out=out, picture=picture, quiet=quiet)
        return
    kind = kind or labels.TABLE
    with advising(labels.advice(kind, out)), _labeller(spec, engine, address) as labeller:
        _notes(labeller.facts, spec, calibrate)
        options = labels.options_of(labeller, spec, kind, out)
        bad, total = labels.write(
            labeller, inputs, listed, kind=kind, out=out, resume=resume, quiet=quiet, options=options
        )
    if bad:
        typer.echo(f"error: {bad} of {total} recordings could not be used", err=True)
        raise typer.Exit(1)


def _suffix(out: Path | None) -> str | None:
    from affetto.inference.batch.outputs import FORMATS, TIMELINE_FORMATS

    suffix = out.suffix.removeprefix(".") if out is not None else ""
    return suffix if suffix in (*FORMATS, *TIMELINE_FORMATS) else None


def _listed(inputs: list[str], engine: str) -> Iterable[Input]:
    """List the recordings; standard input is read as it comes, but all at once for a cluster."""
    from affetto.inference.batch.inputs import STANDARD_INPUT, recordings

    if STANDARD_INPUT in inputs and sys.stdin is None:
        raise UserError(f"{STANDARD_INPUT} reads names of recordings from standard input, which is closed")
    labels.by_bytes(sys.stdin)
    items = recordings(inputs, sys.stdin)
    return items if STANDARD_INPUT in inputs and engine == "local" else list(items)


@contextmanager
def _labeller(spec: PredictorSpec, engine: str, address: str | None) -> Iterator[Labeller]:
    if engine == "ray":
        from affetto.inference.batch.distributed import on_cluster

        note = partial(typer.echo, err=True)
        with only_python_speaks(), on_cluster(spec, address, note) as cluster:
            yield cluster
        return
    from affetto.inference.batch.labelling import LocalLabeller

    yield LocalLabeller(spec.load())


def _clips(folder: Path | None) -> tuple[str, ...]:
    """List the recordings of a folder to adapt by, before a model is loaded."""
    from affetto.inference.batch.inputs import recordings

    if folder is None:
        return ()
    if not folder.is_dir():
        raise UserError(f"--calibrate {folder}: no such folder; give one with clips of the speaker")
    return tuple(item.name for item in recordings([str(folder)]))


def _notes(model: Facts, spec: PredictorSpec, folder: Path | None) -> None:
    if model.synthetic:
        typer.echo("note: this model was trained on synthetic speech", err=True)
    for line in model.notes:
        typer.echo(f"note: {line}", err=True)
    if folder is not None:
        typer.echo(f"note: {ADAPTED.format(clips=len(spec.speaker), folder=folder)}", err=True)
