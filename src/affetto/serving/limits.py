"""Limits of a server: sizes, times, places, and the token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from affetto.errors import UserError

MEGABYTE = 1_000_000
TOKEN_VARIABLE = "AFFETTO_TOKEN"
_TOKEN = re.compile(r"[!-~]{8,}")
"""Characters that fit into a header as they are."""


@dataclass(frozen=True)
class Limits:
    """Every limit of a server; its defaults suit a small one."""

    max_seconds: float = 600.0
    """The longest recording, as played."""
    max_megabytes: float = 25.0
    """The largest upload, 10⁶ bytes."""
    upload_seconds: float = 60.0
    """Time limit of an upload; a request's headers have a sixth of it."""
    compute_seconds: float = 300.0
    """Time limit from the end of the upload to the answer; then the recording is given up."""
    queue: int = 64
    """Requests that are uploaded, waiting or at work at once."""
    token: str | None = field(default=None, repr=False)
    """Token that a request must carry (`Authorization: Bearer …`); None: no token needed."""

    def __post_init__(self) -> None:
        for option in ("max_seconds", "max_megabytes", "upload_seconds", "compute_seconds", "queue"):
            value = getattr(self, option)
            if not 0 < value < float("inf"):
                raise UserError(f"--{option.replace('_', '-')} {value:g}: give a number above 0")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise UserError("the token must have 8 characters or more, printable ASCII without spaces")

    @property
    def ending_seconds(self) -> float:
        """Longest time that requests accepted before a signal can take: upload plus computing."""
        return self.upload_seconds + self.compute_seconds

    @property
    def max_bytes(self) -> int:
        return int(self.max_megabytes * MEGABYTE)

    @property
    def head_seconds(self) -> float:
        """Time limit of a request's line and headers."""
        return self.upload_seconds / 6


def access_token(token: str | None, *, without: bool, environment: Mapping[str, str]) -> str | None:
    """Choose the token that requests must carry: `--token`, else the environment; None: no token needed.

    Raises UserError for `--no-token` beside one, and for a variable that is set and empty: the command that should
    have filled it failed, and nobody would notice.
    """
    if without:
        if token is not None:
            raise UserError("a token and --no-token: choose one of them")
        return None
    if token is None and environment.get(TOKEN_VARIABLE) == "":
        raise UserError(f"{TOKEN_VARIABLE} is set and empty: fill it, unset it, or give --no-token")
    return token
