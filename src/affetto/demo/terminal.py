"""Text of the demonstration on the terminal: steps, the command of each, sentences and tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 76
"""Characters of a command's line."""


@dataclass
class Terminal:
    console: Console = field(default_factory=Console)

    def step(self, title: str) -> None:
        self.console.print()
        self.console.print(Text(title, style="bold"))

    def command(self, *words: object) -> None:
        self.console.print(Text(shell_line(*words), style="cyan"), soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(Text(text))

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table whose first column is text and whose others are numbers."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, title in enumerate(head):
            table.add_column(title, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)


def shell_line(*words: object, width: int = WIDTH) -> str:
    """A command for a shell. A long one continues on the next line; an option's value stays beside it."""
    parts: list[str] = []
    for word in map(str, words):
        if parts and parts[-1].startswith("--") and " " not in parts[-1] and not word.startswith("--"):
            parts[-1] += f" {shlex.quote(word)}"
        else:
            parts.append(shlex.quote(word))
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) > width:
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}"
    return " \\\n".join(lines)
