"""Endpoint of a server: an address or a Unix socket, in the clear or by TLS."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from affetto.errors import UserError
from affetto.serving import address

CONNECT_SECONDS = 2.0
"""Time in which another server at a Unix socket must take a connection."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A place to listen at: `path` of a Unix socket, else `host` and `port`.

    `certificate` and `key`: PEM files for TLS; None: plain HTTP.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    path: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Raise UserError for a certificate and key that cannot serve, and for what does not go together."""
        if self.certificate is None and self.key is not None:
            raise UserError(f"--key {self.key} without --certificate: give the certificate that it belongs to")
        if self.certificate is None:
            return
        if self.path is not None:
            raise UserError("--certificate is for an address: what asks by --socket is on this machine; leave one out")
        self.load_certificate()

    def load_certificate(self) -> ssl.SSLContext:
        """Load certificate and key. Raises UserError for files that cannot serve."""
        assert self.certificate is not None
        for option, file in (("--certificate", self.certificate), ("--key", self.key)):
            if file is not None and not file.is_file():
                raise UserError(f"{option} {file}: no such file; give one in PEM")
        try:
            # An empty password: one that is encrypted is refused, and never asks on the terminal.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password=lambda: b"")
        except (ssl.SSLError, OSError, ValueError) as problem:
            reason = getattr(problem, "reason", None) or getattr(problem, "strerror", None) or problem
            raise UserError(
                f"--certificate {self.certificate} cannot serve ({reason}): give a chain in PEM and its key (--key), "
                "without a password"
            ) from None
        return context

    @contextlib.contextmanager
    def listen(self) -> Iterator[socket.socket]:
        """A listening socket; a Unix socket's file is removed at the end. Raises UserError where it cannot be had."""
        if self.path is None:
            with address.listen(self.host, self.port) as listening:
                yield listening
            return
        with _listen_at(self.path) as listening:
            bound = os.stat(self.path)
            try:
                yield listening
            finally:
                with contextlib.suppress(OSError):  # another server may have taken the place since
                    current = os.stat(self.path)
                    if (current.st_ino, current.st_dev) == (bound.st_ino, bound.st_dev):
                        self.path.unlink()

    def url(self, listening: socket.socket) -> str:
        """Address of the server for a client on this machine."""
        if self.path is not None:
            return "http://localhost"
        plain = address.url(listening)
        return plain if self.certificate is None else plain.replace("http://", "https://", 1)

    @property
    def curl_options(self) -> str:
        """Options by which curl reaches the server, beside its address."""
        return "" if self.path is None else f" --unix-socket {self.path}"


def _listen_at(path: Path) -> socket.socket:
    """A listening Unix socket that its owner alone can reach. One that nobody listens at any more is replaced."""
    bound = None
    try:
        if path.exists() or path.is_symlink():
            _remove_stale(path)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            bound.bind(str(path))
        finally:
            os.umask(before)
        bound.listen(address.BACKLOG)
    except OSError as problem:
        if bound is not None:
            bound.close()
        reason = problem.strerror or problem
        raise UserError(f"cannot serve at the socket {path} ({reason}): give another --socket") from None
    return bound


def _remove_stale(path: Path) -> None:
    """Remove a socket's file that a killed server has left. Raises UserError for any other file, and a live server."""
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise UserError(f"--socket {path} is a file of another kind: give a path where there is none")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise UserError(f"a server listens at --socket {path} already: give another path, or end that server")
