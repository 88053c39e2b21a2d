"""`affetto export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import Moved
from affetto.errors import UserError, unknown

KINDS = ("onnx", "transformers-js", "hf", "hub")


def export(
    model: Annotated[str, typer.Argument(help="folder of a run, or of a model in it")],
    to: Annotated[
        str, typer.Option(help="onnx, transformers-js (for browsers), hf (transformers) or hub (a folder to publish)")
    ],
    out: Annotated[Path, typer.Option(help="new folder for the export")],
    precision: Annotated[str, typer.Option(help="onnx: float32, or int8 for the blocks' linear layers")] = "float32",
    stock: Annotated[
        bool, typer.Option("--stock", help="hf: use transformers' own class, which runs without affetto")
    ] = False,
    base: Annotated[
        str | None, typer.Option(help="hub: id of the backbone on the hub, if training took it from a folder")
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="hub: upload to this repository by the token HF_TOKEN"),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            metavar="NODE_MODULES",
            help="transformers-js: add a page that runs the model in the browser, with the library from this folder",
        ),
    ] = None,
    backbone: Moved = None,
) -> None:
    """Export a trained model: as an ONNX file, for browsers, for transformers, or for the Hugging Face hub."""
    if to not in KINDS:
        raise unknown("kind of export", to, KINDS)
    if precision != "float32" and to != "onnx":
        raise UserError(f"--precision belongs to --to onnx, not to {to}")
    if stock and to != "hf":
        raise UserError(f"--stock belongs to --to hf, not to {to}")
    if (base or push) and to != "hub":
        raise UserError(f"{'--push' if push else '--base'} belongs to --to hub, not to {to}")
    if page is not None and to != "transformers-js":
        raise UserError(f"--page belongs to --to transformers-js, not to {to}")
    if backbone is not None and to == "hub":
        raise UserError("--backbone belongs to other exports than hub; the hub id to name in a card is --base")
    from affetto.export.folder import examine
    from affetto.export.source import trained_predictor

    examine(out)
    if to == "hub":
        _share(model, out, base, push)
        return
    if to == "transformers-js":
        _write_js(model, backbone, out, page)
        return
    if to == "onnx":
        from affetto.export.onnx_graph import TOLERANCE, export_onnx, needed

        needed(precision)
        parity = export_onnx(trained_predictor(model, backbone), out, precision=precision, say=_say)
        allowed = TOLERANCE[precision]
        runs = f"python {out / 'predict.py'} clip.wav (onnxruntime, numpy and soundfile alone)"
    else:
        from affetto.export.transformers_folder import TOLERANCE as ALLOWED
        from affetto.export.transformers_folder import export_hf

        parity = export_hf(trained_predictor(model, backbone), out, stock_class=stock, say=_say)
        allowed = ALLOWED
        runs = f"{out / 'README.md'} shows it in transformers' pipeline" + (
            "" if stock else ", after import affetto.hf"
        )
    typer.echo(f"{out}: {parity.summary()}")
    typer.echo(f"(a difference over {allowed:g} is refused)")
    typer.echo(f"use it: affetto predict {out} clip.wav")
    typer.echo(f"        {runs}")


def _write_js(model: str, backbone: str | None, out: Path, page: Path | None) -> None:
    from affetto.export.browser_page import BrowserLibrary
    from affetto.export.source import trained_predictor
    from affetto.export.transformers_js import VARIANTS, export_js

    library = None if page is None else BrowserLibrary.locate(page)
    results = export_js(trained_predictor(model, backbone), out, library=library, say=_say)
    for variant in VARIANTS:
        if variant.dtype in results:
            typer.echo(f"{out}/onnx/{variant.file} ({variant.precision}): {results[variant.dtype].summary()}")
            typer.echo(f"(a difference over {variant.tolerance:g} is refused)")
    typer.echo(f"use it: {out / 'README.md'} shows it in transformers.js' pipeline")
    if page is not None:
        typer.echo(f"        python -m http.server --bind 127.0.0.1 --directory {out}, then http://127.0.0.1:8000")


def _share(model: str, out: Path, base: str | None, push: str | None) -> None:
    from affetto.export.upload import export_hub
    from affetto.models.saved import read_card

    address = export_hub(Path(model), out, base=base, push=push)
    name = read_card(out)["backbone"]["name"]
    if Path(name).is_absolute():
        _say(
            f"note: its backbone is a folder of this machine ({name}): name its hub id with --base before you share it"
        )
    typer.echo(f"{address}: trained weights, head and a model card (README.md); check the card before you publish")
    typer.echo(f"use it: affetto predict {push or out} clip.wav")


def _say(text: str) -> None:
    typer.echo(text, err=True)
