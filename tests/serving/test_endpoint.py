"""Unix sockets and TLS: who reaches the server, and what is refused before a model is loaded."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from affetto.errors import UserError
from affetto.serving import address, launch
from affetto.serving.endpoint import Endpoint
from affetto.serving.launch import serve
from affetto.serving.limits import Limits
from serving.served import Serving, Stub, wav, write_model

CLIP = wav(np.zeros(16_000, dtype=np.float32) + 0.1)


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a socket; it may have a hundred letters at most."""
    return tmp_path_factory.mktemp("u") / "s"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Certificate of 127.0.0.1 by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=here -addext subjectAltName=IP:127.0.0.1"
    files = ["-out", str(folder / "certificate.pem"), "-keyout", str(folder / "key.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


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


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(
    certificate: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="affetto.server")
    contexts = [ssl.create_default_context(cafile=str(certificate[0]))]
    (tmp_path / "new").mkdir()
    renewed = make_certificate(tmp_path / "new")
    contexts.append(ssl.create_default_context(cafile=str(renewed[0])))
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"

    def put(chain: bytes, key: bytes) -> None:
        files[0].write_bytes(chain)
        files[1].write_bytes(key)

    former, present = ([file.read_bytes() for file in pair] for pair in (certificate, renewed))
    put(*former)
    endpoint = Endpoint(port=0, certificate=files[0], key=files[1])
    serving = Serving({"a": Stub()}, endpoint=endpoint)

    def trusting() -> list[bool]:
        """Answers to clients that trust the first certificate, and the second."""
        answers = []
        for context in contexts:
            try:
                answers.append(httpx.get(f"{url}/healthz", verify=context).status_code == 200)
            except httpx.ConnectError:
                answers.append(False)
        return answers

    with serving as url, httpx.Client(verify=contexts[0]) as client:
        assert client.get(f"{url}/healthz").status_code == 200 and trusting() == [True, False]
        for broken in ((present[0], former[1]), (b"none", present[1]), (present[0], b"")):
            put(*broken)
            serving.server.renew_certificate(endpoint.load_certificate)
            assert trusting() == [True, False]
        files[0].unlink()
        serving.server.renew_certificate(endpoint.load_certificate)
        assert trusting() == [True, False]
        put(*present)
        serving.server.renew_certificate(endpoint.load_certificate)
        assert trusting() == [False, True] and client.get(f"{url}/healthz").status_code == 200
    assert [name for name in caplog.messages if name.startswith("certificate_")] == [
        *["certificate_unreadable"] * 4,
        "certificate_read",
    ]
    lines = [record.facts["message"] for record in caplog.records if record.message == "certificate_unreadable"]
    assert all("\n" not in line for line in lines)


def test_a_hangup_does_what_there_is_to_do_again() -> None:
    calls: list[str] = []
    action = launch.all_of(None, lambda: calls.append("first"), lambda: calls.append("second"))
    assert action is not None and launch.all_of(None, None) is None
    action()
    assert calls == ["first", "second"]


@pytest.mark.slow
def test_a_running_server_takes_a_renewed_certificate_at_a_hangup(tmp_path: Path) -> None:
    model = write_model(tmp_path / "lora", "lora")
    chain, key = make_certificate(tmp_path)
    words = ["--certificate", str(chain), "--key", str(key), "--port", "0", "--no-page", "--device", "cpu"]
    command = [sys.executable, "-m", "affetto", "serve", str(model), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().decode().split()[3]
        make_certificate(tmp_path)
        server.send_signal(signal.SIGHUP)
        assert any(json.loads(line)["event"] == "certificate_read" for line in server.stderr)
        context = ssl.create_default_context(cafile=str(chain))
        assert httpx.get(f"{url}/healthz", verify=context, timeout=60).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0


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
