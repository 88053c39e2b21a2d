"""Limits of a server: sizes, times, places, and the token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from affetto.errors import UserError
from affetto.serving.tokens import RULE, is_token, read_tokens

MEGABYTE = 1_000_000
TOKEN_VARIABLE, ADMIN_VARIABLE = "AFFETTO_TOKEN", "AFFETTO_ADMIN_TOKEN"


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
    client_queue: int | None = None
    """Requests of one client among these; None: as many as all."""
    token: str | None = field(default=None, repr=False)
    """Token that a request must carry (`Authorization: Bearer …`); None: no token needed, or those of `token_file`."""
    token_file: Path | None = None
    """File of tokens of which a request must carry one, as `tokens.read_tokens` reads it."""
    admin_token: str | None = field(default=None, repr=False)
    """Token of requests that change the models; they may carry it everywhere. None: none, or those of its file."""
    admin_token_file: Path | None = None
    """File of such tokens, as `token_file`."""

    def __post_init__(self) -> None:
        for option in ("max_seconds", "max_megabytes", "upload_seconds", "compute_seconds", "queue", "client_queue"):
            value = getattr(self, option)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"--{option.replace('_', '-')} {value:g}: give a number above 0")
        if self.token is not None and not is_token(self.token):
            raise UserError(f"the token must have {RULE}")
        if self.token is not None and self.token_file is not None:
            raise UserError(f"a token ({TOKEN_VARIABLE} or --token) and --token-file: choose one of them")
        if self.admin_token is not None and not is_token(self.admin_token):
            raise UserError(f"{ADMIN_VARIABLE}: a token must have {RULE}")
        if self.admin_token is not None and self.admin_token_file is not None:
            raise UserError(f"{ADMIN_VARIABLE} and --admin-token-file: choose one of them")
        if self.token_file is not None:
            read_tokens(self.token_file)
        if self.admin_token_file is not None:
            read_tokens(self.admin_token_file, "--admin-token-file")

    @property
    def requires_token(self) -> bool:
        return self.token is not None or self.token_file is not None

    @property
    def has_admin(self) -> bool:
        return self.admin_token is not None or self.admin_token_file is not None

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


def access_token(
    token: str | None, *, without: bool, environment: Mapping[str, str], file: Path | None = None
) -> str | None:
    """Choose the token that requests must carry: `--token`, else the environment; None: none, or those of `file`.

    Raises UserError for `--no-token` beside one, and for a variable that is set and empty: the command that should
    have filled it failed, and nobody would notice.
    """
    if without:
        if token is not None or file is not None:
            raise UserError("a token and --no-token: choose one of them")
        return None
    if token is None and environment.get(TOKEN_VARIABLE) == "":
        raise UserError(f"{TOKEN_VARIABLE} is set and empty: fill it, unset it, or give --no-token")
    return token


def admin_token(environment: Mapping[str, str]) -> str | None:
    """The admin's token of the environment. Raises UserError for a variable that is set and empty."""
    if environment.get(ADMIN_VARIABLE) == "":
        raise UserError(f"{ADMIN_VARIABLE} is set and empty: fill it or unset it")
    return environment.get(ADMIN_VARIABLE)
