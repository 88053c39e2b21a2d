"""The command line: parse, call, print. Heavy imports are inside the commands."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from affetto._version import __version__
from affetto.cli import (
    comparing,
    corpora,
    crossing,
    ensembling,
    evaluating,
    exporting,
    grids,
    machine,
    predicting,
    reporting,
    serving,
    specializing,
    stressing,
    training,
)
from affetto.cli.ending import Commands, Interrupted, ReaderLeft, output, resumable, signals
from affetto.errors import UserError

app = typer.Typer(
    name="affetto",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Speech emotion recognition with large pre-trained speech models: train, evaluate, deploy.",
)
app.add_typer(corpora.app, name="corpora")
app.command()(resumable(training.train))
app.command("settings")(training.show_settings)
app.command("methods")(training.show_methods)
app.command()(evaluating.evaluate)
app.command()(resumable(stressing.stress))
app.command()(resumable(specializing.specialize))
app.command()(predicting.predict)
app.command()(exporting.export)
app.command()(ensembling.ensemble)
app.command()(serving.serve)
grids.app.command("cross")(crossing.cross)
app.add_typer(grids.app, name="grid")
app.command()(reporting.report)
app.command()(comparing.compare)
app.add_typer(machine.store_app, name="store")
app.command()(machine.bench)
app.command()(resumable(machine.demo))

_CLICK_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Base class of typer's own errors: click's, or that of a copy which typer brings."""


def main() -> None:
    """Run a command; a user's mistake ends in one line on stderr and exit status 2."""
    status = _status()
    if "affetto.training.device" in sys.modules:
        from affetto.training import device

        device.end(status)
    sys.exit(status)


def _status() -> int:
    """Run the command and return its exit status, once all of its output has arrived."""
    try:
        with output(), signals():
            status = app(standalone_mode=False)
    except UserError as problem:
        return _failed(str(problem))
    except Interrupted as stopped:
        typer.echo(str(stopped), err=True)
        return stopped.status
    except (typer.Abort, KeyboardInterrupt):
        typer.echo(str(Interrupted()), err=True)
        return Interrupted().status
    except ReaderLeft as ended:
        return ended.status
    except _CLICK_ERROR as problem:
        context = getattr(problem, "ctx", None)
        if type(problem).__name__ == "NoArgsIsHelpError":
            typer.echo(context.get_help() if context is not None else str(problem))
            return 2
        return _failed(
            " ".join(problem.format_message().split())
            + (f" (see {context.command_path} --help)" if context is not None else "")
        )
    return status if isinstance(status, int) else 0


def _failed(message: str) -> int:
    typer.echo(f"error: {message}", err=True)
    return 2


def _version(is_set: bool) -> None:
    if is_set:
        typer.echo(f"affetto {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass
