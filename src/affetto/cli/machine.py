"""`affetto store`, `affetto bench` and `affetto demo`: this machine, and what there is to see on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from affetto.cli.arguments import Device
from affetto.errors import unknown

store_app = typer.Typer(no_args_is_help=True, help="The store of frozen states: look at it, make room.")


@store_app.command("status")
def store_status(as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False) -> None:
    """Show the store of frozen states: its folder and content."""
    from affetto.models import storage

    namespaces = storage.namespaces()
    root, total = storage.default_root(), sum(space.size_bytes for space in namespaces)
    if as_json:
        rows = [
            {"folder": str(space.folder), "clips": space.clips, "bytes": space.size_bytes, "last_used": space.last_used}
            | {"unfinished": space.unfinished, "identity": space.identity}
            for space in namespaces
        ]
        typer.echo(json.dumps({"root": str(root), "bytes": total, "namespaces": rows}, indent=2))
        return
    typer.echo(
        f"{root}: {total / 1e9:.2f} GB, kept below {storage.limit_bytes() / 1e9:g} GB ({storage.LIMIT_VARIABLE})"
    )
    for space in reversed(namespaces):
        cut = " ".join(str(part) for part in space.identity.get("cut", ["unknown"]) if part is not None)
        typer.echo(f"  {space.folder.name[:12]}  {space.size_bytes / 1e6:9.1f} MB  {space.clips:7d} clips  {cut}")
    unfinished = sum(space.unfinished for space in namespaces)
    if unfinished:
        age = f"{storage.ABANDONED_SECONDS // 60} minutes"
        typer.echo(f"  {unfinished} unfinished files; `affetto store prune` removes those older than {age}")


@store_app.command("prune")
def store_prune(
    max_size: Annotated[str, typer.Option(help="maximum size to keep: 20GB, 500MB; 0 empties the store")],
) -> None:
    """Delete the states that were not used for longest; they are computed again when needed."""
    from affetto.models import storage

    files, freed = storage.prune(storage.parse_size(max_size, "--max-size"))
    typer.echo(f"deleted {files} files, {freed / 1e9:.2f} GB")


def bench(
    backbone: Annotated[
        list[str] | None,
        typer.Option(help="backbone whose shapes are used, filled at random (repeatable; default: wav2vec2-base)"),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="frozen, lora, adapter, inference or int8 (repeatable; default: all)")
    ] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16, for both sides")] = "float32",
    comparison: Annotated[
        list[str] | None,
        typer.Option(help="same (equal precision and window) or defaults (repeatable; default: both)"),
    ] = None,
    clips: Annotated[int, typer.Option(min=9, help="number of clips")] = 64,
    batch_size: Annotated[int, typer.Option(min=1, help="clips per step")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="measurements of each side, taken in turns")] = 3,
    stack: Annotated[
        list[int] | None,
        typer.Option(
            min=2, help="measure this many fits as one training too (repeatable; default: 3 and 6 on a GPU, else none)"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="try it with a small backbone, few clips and one round")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file for the result")] = None,
    figure: Annotated[Path | None, typer.Option(help="PNG or SVG file for the figure")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Measure the speed of affetto on this machine beside transformers' Trainer and pipeline."""
    from affetto.bench.run import COMPARISONS, METHODS, run

    if precision not in ("float32", "bfloat16"):
        raise unknown("precision", precision, ("float32", "bfloat16"))
    if quick:
        backbone, clips, rounds = backbone or ["wav2vec2-mini"], 16, 1
    rows: list[dict[str, Any]] = []

    def keep(row: dict[str, Any]) -> None:
        """Write what is measured so far: a benchmark that is stopped leaves it."""
        rows.append(row)
        if out is not None:
            out.write_text(json.dumps({"results": rows}, indent=2) + "\n")

    result = run(
        backbone or ["wav2vec2-base"],
        method or METHODS,
        device=device,
        precision=precision,
        clips=clips,
        batch_size=batch_size,
        rounds=rounds,
        comparisons=comparison or COMPARISONS,
        stack=stack,
        say=lambda text: typer.echo(text, err=True),
        on_result=keep,
    )
    text = json.dumps(result, indent=2)
    if out is not None:
        out.write_text(text + "\n")
    if figure is not None:
        from affetto.bench.figure import ratios

        ratios(result, figure)
    if as_json:
        typer.echo(text)
        return
    from rich.console import Console

    from affetto.bench.report import table

    Console().print(table(result))


def demo(
    out: Annotated[Path, typer.Option(help="folder of the demonstration; one that was begun continues there")] = Path(
        "demo"
    ),
    backbone: Annotated[
        str | None,
        typer.Option(
            help="key, hub id (owner/name) or checkpoint folder; default: openai/whisper-tiny from the cache or the "
            "hub, or random networks if it cannot be had"
        ),
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="use small random networks of all families, and download nothing")
    ] = False,
    device: Device = "auto",
) -> None:
    """Show everything in small, on synthetic Italian speech: corpora, a grid of methods, the report, a prediction."""
    from affetto.demo import run

    run(out, backbone=backbone, random_weights=random_weights, device=device)
