"""`affetto store`, `affetto bench` and `affetto demo`: this machine, and what there is to see on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import Device
from affetto.errors import unknown

store_app = typer.Typer(no_args_is_help=True, help="The store of frozen states: look at it, make room.")


@store_app.command("status")
def store_status(as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False) -> None:
    """Where the store is, and what lies in it."""
    from affetto.models import storage

    found = storage.namespaces()
    root, total = storage.default_root(), sum(one.size_bytes for one in found)
    if as_json:
        rows = [
            {"folder": str(one.folder), "clips": one.clips, "bytes": one.size_bytes, "last_used": one.last_used}
            | {"unfinished": one.unfinished, "identity": one.identity}
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
    unfinished = sum(one.unfinished for one in found)
    if unfinished:
        age = f"{storage.ABANDONED_SECONDS // 60} minutes"
        typer.echo(f"  {unfinished} unfinished files; `affetto store prune` removes those older than {age}")


@store_app.command("prune")
def store_prune(
    max_size: Annotated[str, typer.Option(help="what may stay: 20GB, 500MB; 0 empties it")],
) -> None:
    """Delete the longest unused states, and what killed processes left; they are computed again when needed."""
    from affetto.models import storage

    files, freed = storage.prune(storage.parse_size(max_size, "--max-size"))
    typer.echo(f"deleted {files} files, {freed / 1e9:.2f} GB")


def bench(
    backbone: Annotated[str, typer.Option(help="whose shapes, filled at random")] = "wav2vec2-base",
    method: Annotated[
        list[str] | None, typer.Option(help="frozen, lora, adapter, inference or int8; may be repeated")
    ] = None,
    precision: Annotated[str, typer.Option(help="of both sides where they are alike: float32 or bfloat16")] = "float32",
    comparison: Annotated[
        list[str] | None,
        typer.Option(
            help="same: precision and window alike; defaults: each as it comes; may be repeated, left out: both"
        ),
    ] = None,
    clips: Annotated[int, typer.Option(min=8, help="how many")] = 64,
    batch_size: Annotated[int, typer.Option(min=1, help="clips a step")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="measurements of each side, in turns")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="a small backbone, few clips, one round: does it run?")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="a JSON file for the result")] = None,
    figure: Annotated[Path | None, typer.Option(help="a PNG or SVG file for the picture")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """How fast this machine is with affetto, beside transformers' Trainer and pipeline."""
    from affetto.bench.run import COMPARISONS, METHODS, run

    if precision not in ("float32", "bfloat16"):
        raise unknown("precision", precision, ("float32", "bfloat16"))
    if quick:
        backbone, clips, rounds = "wav2vec2-mini", 16, 1
    result = run(
        backbone, tuple(method or METHODS), precision=precision, clips=clips, batch_size=batch_size, rounds=rounds,
        comparisons=tuple(comparison or COMPARISONS), say=lambda text: typer.echo(text, err=True),
    )  # fmt: skip
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
    out: Annotated[Path, typer.Option(help="Folder of the demonstration; one that was begun continues there.")] = Path(
        "demo"
    ),
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Key, hub id (owner/name) or checkpoint folder. Default: openai/whisper-tiny, from the cache or the "
            "hub; random networks where it cannot be had."
        ),
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Use small random networks of all families; download nothing.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Show everything in small, on synthetic Italian speech: corpora, a grid of methods, the report, a prediction."""
    from affetto.demo import run

    run(out, backbone=backbone, random_weights=random_weights, device=device)
