"""What all tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

PATIENCE_SECONDS = 60
"""Time for an answer where a test sets none. httpx's own five seconds are too few on a busy machine."""


@pytest.fixture(scope="session", autouse=True)
def patient_clients() -> Iterator[None]:
    """Requests of httpx's functions, and of its clients, wait longer for an answer."""
    plain = httpx.Client.__init__

    def patient(self: httpx.Client, **arguments: object) -> None:
        plain(self, **{"timeout": PATIENCE_SECONDS} | arguments)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("get", "post", "put", "delete"):
            patch.setattr(httpx, name, partial(getattr(httpx, name), timeout=PATIENCE_SECONDS))
        patch.setattr(httpx.Client, "__init__", patient)
        yield
