"""Detection of requests that a browser sends on behalf of another site, by headers that no script can set."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from affetto.serving.refusals import RefusalError

_PORTS = {"http": 80, "https": 443}


def check_host(headers: Headers, names: Collection[str] | None) -> None:
    """Raise RefusalError (403) where `Host` names none of ours: a name of another site's that leads to this machine
    (DNS rebinding), by which that site's pages would read our answers. `names` None: any name may be ours."""
    host = headers.get("host")
    if names is None or host is None:  # a browser always says it
        return
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in names:
        raise RefusalError(
            403,
            "wrong_host",
            "this server answers at the name of its own machine only: ask http://127.0.0.1, or start it with a token",
        )


def check_origin(headers: Headers) -> None:
    """Raise RefusalError (403) for a request that a page of another origin makes the browser send.

    `Sec-Fetch-Site` tells, whatever proxy stands between; browsers leave it out where a page came by plain HTTP over
    a network, and then `Origin` must be the host that was asked. Programs send neither.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        origin = headers.get("origin")
        is_ours = origin is None or _is_origin_of(origin, headers.get("host", ""))
    if not is_ours:
        raise RefusalError(403, "cross_site", "this server takes nothing from other sites' pages")


def _is_origin_of(origin: str, host: str) -> bool:
    try:
        page = urlsplit(origin)
        target = urlsplit(f"//{host}")
        default = _PORTS.get(page.scheme)
        return (page.hostname, page.port or default) == (target.hostname, target.port or default)
    except ValueError:  # a port that is no number
        return False
