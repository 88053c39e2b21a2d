"""Unix sockets and TLS: who reaches the server, and what is refused before a model is loaded."""

from __future__ import annotations

import shutil
import socket
import ssl
import stat
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest

from affetto.errors import UserError
from affetto.serving import address
from affetto.serving.endpoint import Endpoint
from affetto.serving.launch import serve
from affetto.serving.limits import Limits
from serving.served import Serving, Stub, wav

CLIP = wav(np.zeros(16_000, dtype=np.float32) + 0.1)


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a socket; it may have a hundred letters at most."""
    return tmp_path_factory.mktemp("u") / "s"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate of 127.0.0.1 by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=here -addext subjectAltName=IP:127.0.0.1"
    files = ["-out", str(folder / "certificate.pem"), "-keyout", str(folder / "key.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


def test_a_unix_socket_answers_its_owner_and_is_gone_at_the_end(place: Path) -> None:
    with Serving({"a": Stub()}, endpoint=Endpoint(path=place)) as url:
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(place)), base_url=url) as client:
            assert client.post("/v1/predict", files={"file": CLIP}).json()["emotion"] == "joy"
    assert not place.exists()


def test_names_and_reach_of_a_unix_socket(place: Path) -> None:
    with Endpoint(path=place).listen() as listening:
        assert address.is_loopback(listening)
        assert address.own_names(listening, "127.0.0.1") == {"localhost", "127.0.0.1", "::1"}
        assert Endpoint(path=place).curl_options == f" --unix-socket {place}"


def test_what_a_killed_server_left_is_replaced_and_a_live_server_is_not(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    assert place.exists()
    with Endpoint(path=place).listen():
        with pytest.raises(UserError, match=r"a server listens at --socket .* already"), Endpoint(path=place).listen():
            pass
        assert place.exists()
    place.write_text("mine")
    with pytest.raises(UserError, match="is a file of another kind"), Endpoint(path=place).listen():
        pass
    assert place.read_text() == "mine"
    nowhere = Endpoint(path=place.parent / "no folder" / "s")
    with (
        pytest.raises(UserError, match=r"cannot serve at the socket .*No such file.*another --socket"),
        nowhere.listen(),
    ):
        pass


def test_another_server_s_socket_is_left(place: Path) -> None:
    with Endpoint(path=place).listen():
        place.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(place))
    assert place.exists()


def test_https_answers_who_trusts_the_certificate_and_nobody_in_the_clear(certificate: tuple[Path, Path]) -> None:
    endpoint = Endpoint(port=0, certificate=certificate[0], key=certificate[1])
    endpoint.check()
    with Serving({"a": Stub()}, endpoint=endpoint) as url:
        assert url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        assert httpx.post(f"{url}/v1/predict", files={"file": CLIP}, verify=trusting).json()["emotion"] == "joy"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{url}/healthz")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{url.replace('https', 'http')}/healthz")


def test_certificates_that_cannot_serve_are_refused_before_a_model_is_loaded(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    good, key = certificate
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    for endpoint, message in (
        (Endpoint(key=key), "--key .* without --certificate"),
        (Endpoint(certificate=tmp_path / "none.pem"), "--certificate .*none.pem: no such file"),
        (Endpoint(certificate=good, key=tmp_path / "none.pem"), "--key .*none.pem: no such file"),
        (Endpoint(certificate=other, key=key), "cannot serve .*give a chain in PEM"),
        (Endpoint(certificate=good), "cannot serve .*and its key"),
        (Endpoint(certificate=good, key=key, path=tmp_path / "s"), "leave one out"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            serve(["nowhere"], Limits(), endpoint=endpoint)
        assert "\n" not in str(caught.value)
