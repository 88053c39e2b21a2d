"""Tokens that requests may carry: one, or those of a file, which may change while the server runs."""

from __future__ import annotations

import hmac
import logging
import re
import time
from pathlib import Path

from affetto.errors import UserError
from affetto.serving import logs

_TOKEN = re.compile(r"[!-~]{8,}")
"""Characters that fit into a header as they are."""
RULE = "8 characters or more, printable ASCII without spaces"
LOOK_SECONDS = 1.0
"""Least time from one look at a file's state to the next."""


def is_token(text: str) -> bool:
    """True if this can be a token."""
    return _TOKEN.fullmatch(text) is not None


def read_tokens(path: Path, option: str = "--token-file") -> dict[str, str]:
    """Read a file of tokens → {token: name}; a line is `TOKEN` or `NAME TOKEN`, and the name "" without one.

    `option`: the option that gives the file, for messages.
    Empty lines and those that begin with # are left out. Raises UserError, which never shows a token, for a file that
    cannot be read, a line of another kind, a token or name that comes twice, and a file without tokens.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is no text in UTF-8"
        raise UserError(f"{option} {path}: {reason}; give a text file with a token a line") from None
    tokens: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        name, token = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[-1])
        if len(parts) > 2 or not is_token(token):
            raise UserError(f"{option} {path}, line {number}: write TOKEN or NAME TOKEN; a token has {RULE}")
        if token in tokens or (name and name in tokens.values()):
            raise UserError(f"{option} {path}, line {number}: the token or its name stands there twice")
        tokens[token] = name
    if not tokens:
        raise UserError(f"{option} {path}: it has no token; write one a line, as TOKEN or NAME TOKEN")
    return tokens


class Tokens:
    """Tokens that are accepted. Those of a file are read again when it changes.

    A file that cannot be read any more, or is wrong, is an error in the log, and the former tokens remain: whoever
    writes it in two steps locks nobody out.
    """

    def __init__(self, token: str | None = None, file: Path | None = None, option: str = "--token-file") -> None:
        """`file` is read at once. Raises UserError as `read_tokens`."""
        self.file, self._option = file, option
        self._state = None if file is None else _state(file)
        self._tokens = {token: ""} if token is not None else {}
        self._looked = time.monotonic()
        if file is not None:
            self._tokens |= read_tokens(file, option)

    @property
    def are_required(self) -> bool:
        return bool(self._tokens)

    def name(self, text: str) -> str | None:
        """Name of the token that equals this text, "" for one without a name; None where none does.

        All are compared, each in constant time.
        """
        self._refresh()
        names = [name for token, name in self._tokens.items() if hmac.compare_digest(text.encode(), token.encode())]
        return names[0] if names else None

    def _refresh(self) -> None:
        if self.file is None or time.monotonic() < self._looked + LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        state = _state(self.file)
        if state == self._state:
            return
        self._state = state
        try:
            self._tokens = read_tokens(self.file, self._option)
        except UserError as problem:
            logs.event("tokens_unreadable", logging.ERROR, message=str(problem))
        else:
            logs.event("tokens_read", tokens=len(self._tokens))


def _state(file: Path) -> tuple[int, ...] | None:
    """Facts of a file that change with its content; None for a file that is not there."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
