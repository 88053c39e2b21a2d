"""How commands end before their time: by a signal, by a reader that leaves, without a place to write to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from affetto.cli import ending, labels, main
from affetto.errors import UserError
from affetto.inference.batch.columns import Columns

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and /dev/full are POSIX's")
WAITING = """
import sys, time
from affetto import cli
from affetto.cli.ending import resumable
from affetto.inference.batch.columns import Columns

@cli.app.command()
@resumable
def wait() -> None:
    try:
        print("begun", flush=True)
        time.sleep(300)
    finally:
        print("tidied up")

sys.argv = ["affetto", "wait"]
cli.main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_unwinds_a_command_and_is_told_in_a_line(name: str) -> None:
    number = getattr(signal, name)
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out) == (128 + number, "tidied up\n")
    assert err == "interrupted; run the same command again to resume\n"


def shell(line: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run a line of sh in which $A is the command line of affetto."""
    merged = os.environ | environment
    return subprocess.run(
        ["sh", "-c", line.replace("$A", f"'{sys.executable}' -m affetto")],
        capture_output=True,
        text=True,
        env={name: value for name, value in merged.items() if value is not None},
        check=False,
    )


def test_a_reader_that_leaves_ends_a_command_quietly() -> None:
    for words in ("settings", "--help"):
        done = shell(f"{{ sleep 0.2; $A {words}; echo $? >&2; }} | :", PYTHONUNBUFFERED="1")
        assert (done.stdout, done.stderr) == ("", "141\n"), words


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param(
            "$A settings > /dev/full",
            "standard output cannot be written (No space left on device)",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full"),
        ),
        pytest.param(
            "PYTHONUNBUFFERED=1 $A --version > /dev/full",
            "standard output cannot be written (No space left on device)",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full"),
        ),
        ("$A settings >&-", "standard output is closed"),
    ],
)
def test_an_output_that_takes_nothing_is_told_in_a_line(line: str, text: str) -> None:
    done = shell(line)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {text}") and done.stderr.count("\n") == 1, done.stderr


def run(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["affetto", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_what_an_interrupted_predict_says_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("affetto.inference.spec.PredictorSpec.load", stopped)
    words = ("predict", tmp_path, tmp_path / "a.wav")
    for options, text in (
        ((), "interrupted\n"),
        (("--out", "x.csv"), "interrupted; x.csv has the labels so far: add --resume to continue\n"),
        (("--out", "x.json"), "interrupted; x.json was not written\n"),
    ):
        assert run(*words, *options, monkeypatch=monkeypatch) == 130
        assert capfd.readouterr().err == text


def test_training_and_grids_say_that_they_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("affetto.backbones.catalogue.check_backbone", stopped)
    monkeypatch.setattr("affetto.experiments.named.grid_file", stopped)
    monkeypatch.setattr("affetto.demo.run", stopped)
    for words in (
        ("train", "--backbone", "whisper-mini", "--method", "frozen", "--out", tmp_path / "run"),
        ("grid", "run", "paper", "--out", tmp_path / "grid"),
        ("demo", "--out", tmp_path / "demo"),
    ):
        assert run(*words, monkeypatch=monkeypatch) == 130
        assert capfd.readouterr().err == f"interrupted; {ending.RESUMES}\n", words


class Half:
    """A labeller that is stopped behind its first recording."""

    class facts:  # noqa: N801 (an instance of Facts, as far as it is asked)
        columns = Columns(("joy", "anger"))
        protocol = None

    def label(self, _recordings: object) -> Iterator[dict[str, Any]]:
        name = "\x1b]0;pwned\x07\x1b[31mred.wav"
        yield {"file": name, "emotion": "joy", "probabilities": {"joy": 0.75, "anger": 0.25}}
        raise KeyboardInterrupt


def test_a_table_has_what_was_heard_and_no_escape_codes(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        labels.write(Half(), ["a.wav"], [], kind=labels.TABLE, out=None, resume=False, quiet=True)  # type: ignore[arg-type]
    shown = capfd.readouterr().out
    assert r"\x1b]0;pwned\x07\x1b[31mred.wav" in shown and "joy" in shown
    assert "\x1b" not in shown and "\x07" not in shown


def test_a_list_on_a_closed_input_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert run("predict", tmp_path, "-", monkeypatch=monkeypatch) == 2
    assert capfd.readouterr().err.startswith("error: - reads names of recordings from standard input, which is closed")


def test_no_folder_for_temporary_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", absent)
    with pytest.raises(UserError, match="set TMPDIR to one that can"):
        ending.check_temporary()
