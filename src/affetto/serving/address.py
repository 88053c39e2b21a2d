"""A server's address, bound before anything heavy is imported, and the host names that mean this server."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence

from affetto.errors import UserError
from affetto.serving.texts import LANGUAGES

BACKLOG = 2048
"""Connections that may wait to be accepted, as uvicorn has it."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

PREFIX = "/v1/"
"""Prefix of the API's paths, which take the token as a bearer's alone, and whose requests are counted."""
_ROOT_PATH = re.compile(r"(/[\w.~-]+)+", re.ASCII)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket at the address. Raises UserError where it cannot be had.

    Who connects before the server runs waits. A socket that is bound and does not listen would let a second server
    bind the same address, and fail only after it has loaded its models.
    """
    bound = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError) as problem:
        if bound is not None:
            bound.close()
        reason = getattr(problem, "strerror", None) or problem
        raise UserError(f"cannot serve at {host}:{port} ({reason}): give another --host or --port") from None
    return bound


def url(bound: socket.socket) -> str:
    """The address as a browser on this machine reaches it."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(bound: socket.socket) -> bool:
    """True if only this machine can reach the socket."""
    if bound.family == getattr(socket, "AF_UNIX", None):
        return True
    return ipaddress.ip_address(str(bound.getsockname()[0]).partition("%")[0]).is_loopback


def own_names(bound: socket.socket, host: str) -> frozenset[str]:
    """The names in a request's `Host` by which a socket that is this machine's alone is meant, in lower case."""
    if bound.family == getattr(socket, "AF_UNIX", None):
        return frozenset(LOOPBACK_NAMES)
    return frozenset({*LOOPBACK_NAMES, host.lower(), str(bound.getsockname()[0])})


def check_root_path(path: str) -> None:
    """Raise UserError for what cannot be the path under which a proxy shows the server; "" is the root itself."""
    if path and not _ROOT_PATH.fullmatch(path):
        raise UserError(f"--root-path {path}: give a path that begins with / and does not end with it, as /speech")
    first = f"{path}/".split("/")[1]
    if f"/{first}/" == PREFIX or first in LANGUAGES:
        raise UserError(f"--root-path {path}: the server itself has paths under /{first}; choose another, as /speech")


def client_network(address: str | None) -> str:
    """Name by which a client's requests are counted: its IPv4 address, or the /64 network that one IPv6 host has.

    >>> client_network("2001:db8::1"), client_network("::ffff:192.0.2.7")
    ('2001:db8::/64', '192.0.2.7')
    """
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if ip.version == 6:
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


def proxy_networks(proxies: Sequence[str]) -> list[str]:
    """Networks of proxies whose `X-Forwarded-For` is believed: those given, and this machine. Raises UserError.

    >>> proxy_networks(["10.1.2.3", "2001:db8::/32"])
    ['127.0.0.1', '::1', '10.1.2.3/32', '2001:db8::/32']
    """
    networks = []
    for proxy in proxies:
        try:
            networks.append(str(ipaddress.ip_network(proxy, strict=False)))
        except ValueError:
            raise UserError(
                f"--trusted-proxy {proxy}: give an address or a network, as 10.0.0.2 or 10.0.0.0/24"
            ) from None
    return ["127.0.0.1", "::1", *networks]
