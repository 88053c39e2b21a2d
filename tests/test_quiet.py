"""Other libraries are silent while affetto calls them, and speak again afterwards."""

from __future__ import annotations

import logging
import warnings

import pytest

from affetto.quiet import quiet_console, quiet_loggers, quiet_output


def test_a_logger_is_silent_below_errors_and_gets_its_level_back(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("affetto.tests.quiet")
    logger.setLevel(logging.INFO)
    with quiet_loggers("affetto.tests.quiet"):
        logger.warning("a hint")
        logger.error("an error")
    assert caplog.messages == ["an error"] and logger.level == logging.INFO


def test_only_the_console_of_a_logger_is_silent() -> None:
    logger = logging.getLogger("affetto.tests.console")
    console, file = logging.Handler(logging.INFO), logging.Handler(logging.INFO)
    console.name, file.name = "console", "file"
    logger.addHandler(console)
    logger.addHandler(file)
    with quiet_console("affetto.tests.console"):
        assert console.level > logging.CRITICAL and file.level == logging.INFO
    assert console.level == logging.INFO


def test_prints_and_warnings_are_silent(capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    with quiet_output():
        print("progress")
        warnings.warn("old name", FutureWarning, stacklevel=1)
    assert capsys.readouterr().out == "" and len(recwarn) == 0
