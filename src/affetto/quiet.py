"""Other libraries' progress bars, log messages and prints, silenced while affetto calls them."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence

SILENT = logging.CRITICAL + 1


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No messages of transformers below errors. Its progress bars stay off afterwards too."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)


@contextlib.contextmanager
def quiet_loggers(*names: str) -> Iterator[None]:
    """No messages of these loggers below errors; the name `""` is the root logger."""
    with _at_level(logging.ERROR, [logging.getLogger(name) for name in names]):
        yield


@contextlib.contextmanager
def quiet_console(name: str) -> Iterator[None]:
    """Nothing of a logger on the terminal: its handlers called `console` are silent, its log files go on."""
    with _at_level(SILENT, [handler for handler in logging.getLogger(name).handlers if handler.name == "console"]):
        yield


@contextlib.contextmanager
def quiet_output() -> Iterator[None]:
    """No warnings, and nothing printed on standard output."""
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _at_level(level: int, outlets: Sequence[logging.Logger | logging.Handler]) -> Iterator[None]:
    before = [outlet.level for outlet in outlets]
    for outlet in outlets:
        outlet.setLevel(level)
    try:
        yield
    finally:
        for outlet, earlier in zip(outlets, before, strict=True):
            outlet.setLevel(earlier)
