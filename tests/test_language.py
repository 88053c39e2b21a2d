"""The language of the code: names are nouns, docstrings begin with a noun or a verb, calls name their values.

The limits are rates by room, since a pronoun is now and then the right word. `NOT_YET` lists rooms that are exempt.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "affetto"
ROOMS = sorted(path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())

NOT_YET: set[str] = {
    "backbones",
    "models",
    "specialize",
}
"""Rooms that are not written in this language yet."""

VAGUE = frozenset(
    re.findall(
        r"\w+",
        "alike asked both chosen each every found given heard here kept known left made mine named now one ones other "
        "others own place said same seen shown some such taken theirs there told wanted what whole",
    )
)
HEADLESS = frozenset(re.findall(r"\w+", "By How In Of So That What When Where Whether Which Who Whose Why"))
MOST_POSITIONAL = 5
MOST_LINES = 300
"""Lines of a file that are not blank."""
MOST_FUNCTION_LINES = 50

VAGUE_RATE = 0.01
HEADLESS_RATE = 0.03
POSITIONAL_RATE = 0.003
LONG_FUNCTION_RATE = 0.005
"""Of all functions, over all rooms: a room has too few for a rate."""

FEW = 1
"""Findings that a room may always have: in a room of 20 names one is more than 1 %."""


@dataclass
class Count:
    """Findings of one rule, and the number of places at which it was checked."""

    checked: int = 0
    findings: list[str] = field(default_factory=list)

    def add(self, breaks_rule: bool, finding: str) -> None:
        self.checked += 1
        if breaks_rule:
            self.findings.append(finding)

    def extend(self, other: Count) -> None:
        self.checked += other.checked
        self.findings += other.findings

    def exceeds(self, rate: float) -> bool:
        return len(self.findings) > max(FEW, rate * self.checked)

    def __str__(self) -> str:
        return f"{len(self.findings)} of {self.checked}:\n" + "\n".join(self.findings)


@dataclass
class Measures:
    names: Count = field(default_factory=Count)
    docstrings: Count = field(default_factory=Count)
    calls: Count = field(default_factory=Count)
    functions: Count = field(default_factory=Count)
    files: Count = field(default_factory=Count)
    unformatted: Count = field(default_factory=Count)

    def extend(self, other: Measures) -> None:
        for name, count in vars(other).items():
            getattr(self, name).extend(count)


def measure(text: str, file: str) -> Measures:
    """Measures of one file's text; findings begin with FILE:LINE."""
    measures = Measures()
    lines = text.splitlines()
    filled = sum(bool(line.strip()) for line in lines)
    measures.files.add(filled > MOST_LINES, f"{file}: {filled} lines")
    for number, line in enumerate(lines, 1):
        measures.unformatted.add("# fmt: skip" in line or "# fmt: off" in line, f"{file}:{number}: {line.strip()}")
    for node in ast.walk(ast.parse(text)):
        place = f"{file}:{getattr(node, 'lineno', 1)}"
        for name in bound_names(node):
            measures.names.add(name.strip("_") in VAGUE, f"{place}: name {name}")
        if docstring := docstring_of(node):
            first = docstring.split()[0].rstrip(",:;.")
            measures.docstrings.add(first in HEADLESS, f"{place}: docstring {docstring.splitlines()[0]!r}")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            measures.functions.add(length > MOST_FUNCTION_LINES, f"{place}: {node.name} has {length} lines")
        if isinstance(node, ast.Call):
            positional = len(node.args) if not any(isinstance(value, ast.Starred) for value in node.args) else 0
            measures.calls.add(positional > MOST_POSITIONAL, f"{place}: {positional} positional values")
    return measures


def bound_names(node: ast.AST) -> Iterator[str]:
    """Names that a node binds: variables, parameters, attributes, functions, classes."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
        yield node.name


def docstring_of(node: ast.AST) -> str | None:
    documented = isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    return ast.get_docstring(node) if documented else None


@cache
def measure_room(room: str) -> Measures:
    measures = Measures()
    package = SOURCE / room
    for path in sorted(package.rglob("*.py")) if package.is_dir() else [SOURCE / f"{room}.py"]:
        measures.extend(measure(path.read_text(encoding="utf-8"), str(path.relative_to(SOURCE))))
    return measures


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in NOT_YET])
def test_a_room_speaks_plainly(room):
    measures = measure_room(room)
    assert not measures.names.exceeds(VAGUE_RATE), f"name things by nouns: {measures.names}"
    assert not measures.docstrings.exceeds(HEADLESS_RATE), f"begin with a noun or a verb: {measures.docstrings}"
    assert not measures.calls.exceeds(POSITIONAL_RATE), f"pass the values by keyword: {measures.calls}"
    assert not measures.files.findings, f"split the file: {measures.files}"
    assert not measures.unformatted.findings, f"let ruff format it: {measures.unformatted}"


def test_functions_are_short():
    functions = Count()
    for room in ROOMS:
        functions.extend(measure_room(room).functions)
    assert not functions.exceeds(LONG_FUNCTION_RATE), f"split the function: {functions}"


def test_rooms_that_are_exempt_exist():
    assert set(ROOMS) >= NOT_YET


def test_the_measures_find_what_they_look_for():
    text = '"""What it is."""\nfound = call(1, 2, 3, 4, 5, 6)  # fmt: skip\ncall(1, 2, 3, 4, 5)\n'
    long = "def name(told):\n" + "    pass\n" * 50 + "\n" * 400
    measures = measure(text, "a.py")
    assert measures.docstrings.findings == ["a.py:1: docstring 'What it is.'"]
    assert measures.names.findings == ["a.py:2: name found"]
    assert measures.calls.findings == ["a.py:2: 6 positional values"] and measures.calls.checked == 2
    assert len(measures.unformatted.findings) == 1
    assert measure(long, "b.py").names.findings == ["b.py:1: name told"]
    assert measure(long, "b.py").functions.findings == ["b.py:1: name has 51 lines"]
    assert not measure(long, "b.py").files.findings
    assert measure("pass\n" * 301, "c.py").files.findings == ["c.py: 301 lines"]
