"""The guide: its commands run, or at least parse, and its pages build into a site that fetches nothing."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import typer

from affetto.cli import app, main
from conftest import PROJECT
from training.corpora import RATE_HZ, sound, write_table

README = PROJECT / "README.md"
PAGES = sorted((PROJECT / "docs" / "guide").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MINIATURES = {"--backbone wav2vec2-base": "--backbone whisper-mini --random-weights --set compute.precision=float32"}
"""What stands in for a checkpoint that would be downloaded."""


def commands(page: Path, kind: str) -> list[str]:
    """The command lines of a page: of its `console` blocks those behind `$`; of plain blocks those of affetto."""
    found = []
    for which, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = text.replace("\\\n", " ").splitlines()
        if kind == "console" == which:
            found += [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        elif kind == "plain" and not which:
            found += [line[line.index("affetto ") :] for line in lines if re.match(r"(\w+=\S+ )*affetto ", line)]
    return found


@pytest.mark.parametrize(
    "command", [line for page in PAGES for kind in ("console", "plain") for line in commands(page, kind)]
)
def test_each_command_is_one_that_there_is(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "affetto":
        parse(words[1:])
    else:
        assert words[0] == "python"


def test_each_error_that_troubleshooting_explains_exists() -> None:
    """A quoted message is one of the source's texts; … stands for a value."""
    page = (PROJECT / "docs" / "guide" / "9-troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r'^\*\*"(.+)"\.\*\*', page, re.MULTILINE)
    assert len(quoted) >= 6
    texts = [text for path in (PROJECT / "src").rglob("*.py") for text in texts_of(path)]
    for message in quoted:
        pattern = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
        assert any(map(pattern.search, texts)), f"no error says {message!r}"


def texts_of(path: Path) -> Iterator[str]:
    """The strings of a Python file, those with values in them included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def parse(words: list[str]) -> None:
    """Parse a command line as far as its last option, without running anything."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("affetto", list(words))
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recordings and the table that the guide and the README speak of; the present one."""
    for package in ("espeakng_loader", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path, parts=False)
    for name, wave in (
        ("clip.wav", sound(3, 9, 0)),
        ("other.flac", sound(2, 9, 0)),
        ("interview.wav", sound(1, 8, 0, 9.0)),
    ):
        soundfile.write(name, wave, RATE_HZ)
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("at_home")
def test_the_guide_from_beginning_to_end(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    for page in PAGES:
        for command in commands(page, "console"):
            status = run(shlex.split(smaller(command)), monkeypatch)
            shown = capfd.readouterr()
            assert status == 0, f"{page.name}: {command}\n{shown.err}"
    assert Path("exported/stock/config.json").is_file() and Path("exported/hub/README.md").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("at_home")
def test_the_commands_of_the_readme(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Commands on a table and recordings run, Python too; those that need a corpus, a hub or a browser parse."""
    done = []
    for kind, text in BLOCK.findall(README.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(text, "README.md", "exec"), {})
            done.append(kind)
            continue
        for line in text.splitlines():
            command = line.partition("  #")[0]
            if not command.startswith("affetto "):
                continue
            parse(shlex.split(command)[1:])
            if re.search(r"clips\.csv|clip\.wav|report runs/mine", command):
                assert run(shlex.split(smaller(command)), monkeypatch) == 0, f"{command}\n{capfd.readouterr().err}"
                done.append(command.split()[1])
    assert done == ["train", "report", "predict", "python"], "the README has lost its commands, or their form"


@pytest.mark.slow
@pytest.mark.usefixtures("at_home")
def test_the_examples_of_the_python_page_run() -> None:
    pytest.importorskip("silero_vad")
    page = (PROJECT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    code = "\n".join(text for kind, text in BLOCK.findall(page) if kind == "python")
    small = code.replace('backbone="wav2vec2-base"', 'backbone="whisper-mini", random_weights=True')
    assert small != code
    names: dict[str, Any] = {}
    exec(compile(small, "python.md", "exec"), names)
    assert set(names["metrics"]["test"]) >= {"macro_f1", "uar"} and names["answer"].emotion
    assert Path("runs/python/metrics.json").is_file()


def smaller(command: str) -> str:
    """The command with small random networks and few epochs."""
    if command.startswith("affetto train"):
        command += " --set probe.inner_folds=2" + ("" if "--method probe" in command else " --set training.epochs=1")
    for whole, small in MINIATURES.items():
        command = command.replace(whole, small)
    return command


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    if words[0] == "python":
        return subprocess.run([sys.executable, *words[1:]], check=False).returncode
    monkeypatch.setattr(sys, "argv", words)
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_the_site_is_whole_and_fetches_nothing(tmp_path: Path) -> None:
    """Strict: a broken link or anchor is an error. No page names another host's scripts, styles or fonts."""
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*", text)
        assert not [one for one in fetched if "canonical" not in one], page
