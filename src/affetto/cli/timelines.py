"""`affetto predict --timeline`: segments of one long recording, written and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affetto.cli.arguments import counter
from affetto.cli.labels import check_file
from affetto.errors import UserError, unknown
from affetto.files import replacing

if TYPE_CHECKING:
    import numpy as np

    from affetto.inference.predictor import Predictor

PICTURES = (".png", ".svg")


def check(inputs: list[str], format_: str | None, out: Path | None, picture: Path | None) -> None:
    """Raise UserError for arguments that make no timeline, before a model is loaded."""
    from affetto.inference.batch.outputs import TIMELINE_FORMATS

    if format_ is not None and format_ not in TIMELINE_FORMATS:
        raise unknown("format of a timeline", format_, TIMELINE_FORMATS)
    if len(inputs) != 1 or inputs == ["-"] or Path(inputs[0]).is_dir():
        raise UserError("--timeline takes one recording at a time: give one file")
    if picture is not None and picture.suffix.casefold() not in PICTURES:
        raise unknown("format of a picture", picture.suffix or picture.name, PICTURES)
    for option, file in (("--out", out), ("--picture", picture)):
        if file is None:
            continue
        check_file(option, file)
        if file.exists() and file.samefile(inputs[0]):
            raise UserError(f"{option} {file} is the recording itself; give another file")


def label(
    predictor: Predictor, recording: str, format_: str, *, out: Path | None, picture: Path | None, quiet: bool
) -> None:
    """Write the segments of a recording to `out` (None: standard output), and draw them."""
    from affetto.audio import RATE_HZ
    from affetto.inference.batch.columns import Columns
    from affetto.inference.segments import format_segments
    from affetto.inference.timeline import Timeline
    from affetto.reporting.render.waveform import Envelope, draw_waveform

    envelope = Envelope(RATE_HZ)
    timeline = Timeline(predictor)
    with counter("seconds", quiet) as show:

        def draw(wave: np.ndarray) -> None:
            envelope.add(wave)
            show(int(envelope.seconds), None)

        segments = list(timeline(recording, on_block=draw))
    text = format_segments(
        segments, format_, file=recording, columns=Columns.of(predictor.target), protocol=predictor.protocol
    )
    if out is None:
        typer.echo(text, nl=False)
    else:
        try:
            with replacing(out) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as problem:
            raise UserError(f"{out}: cannot be written ({problem.strerror}); give another --out") from None
    if picture is not None:
        rows = [segment.to_json() for segment in segments]
        title, synthetic = Path(recording).name, bool(predictor.card["synthetic"])
        title += f", {predictor.protocol}" if predictor.protocol else ""
        ranges = {name: (ends.low, ends.high) for name, ends in predictor.target.dimensions.items()}
        try:
            draw_waveform(envelope, rows, predictor.labels, picture, title, ranges=ranges, synthetic=synthetic)
        except OSError as problem:
            raise UserError(f"{picture}: cannot be written ({problem.strerror}); give another --picture") from None
    if not segments:
        typer.echo(f"note: no speech was found in {recording}", err=True)
