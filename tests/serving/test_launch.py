"""How a server begins and ends: its address, its token, its models' names, signals, and what it says as it does."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

import pytest

from affetto.errors import UserError
from affetto.serving import address, launch, logs, process
from affetto.serving.endpoint import Endpoint
from affetto.serving.limits import Limits, access_token
from affetto.serving.model_list import Changes

# -- what is asked for --------------------------------------------------------------------------------------------


def test_names_of_models(tmp_path):
    (tmp_path / "a=b").mkdir()
    named = launch.models_by_name(
        [f"{tmp_path}/runs/lora", f"{tmp_path}/runs/frozen/model", f"mine={tmp_path}/runs/lora"]
    )
    assert list(named) == ["lora", "frozen", "mine"] and named["mine"] == tmp_path / "runs/lora"
    assert list(launch.models_by_name([f"{tmp_path}/a=b"])) == ["a=b"]
    with pytest.raises(UserError, match=r"two models are called 'x'.*other="):
        launch.models_by_name(["1/x", "2/x"])


def test_models_that_nobody_can_add(tmp_path):
    admin = Limits(admin_token="correct-horse")
    for changes, limits, message in (
        (Changes(folder=tmp_path), Limits(), "--models-folder is for an admin.*AFFETTO_ADMIN_TOKEN"),
        (Changes(allows_hub=True), Limits(), "--allow-hub is for an admin"),
        (Changes(folder=tmp_path / "none"), admin, "none: no such folder"),
    ):
        with pytest.raises(UserError, match=message):
            launch.serve(["lora"], limits, endpoint=Endpoint(host="256.0.0.1"), changes=changes)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_seconds": 0}, "--max-seconds"),
        ({"queue": -1}, "--queue"),
        ({"client_queue": 0}, "--client-queue"),
        ({"compute_seconds": float("inf")}, "--compute-seconds"),
        ({"token": "short"}, "8 characters"),
        ({"token": ""}, "8 characters"),
        ({"token": "eight chars"}, "without spaces"),
        ({"max_megabytes": float("nan")}, "--max-megabytes"),
    ],
)
def test_limits_that_make_no_sense(limits, message):
    with pytest.raises(UserError, match=message) as refused:
        Limits(**limits)
    assert "eight chars" not in str(refused.value)
    assert "abcdefgh" not in repr(Limits(token="abcdefgh"))


def test_an_empty_token_is_a_mistake_and_none_is_a_choice():
    empty = {"AFFETTO_TOKEN": ""}
    assert access_token("correct-horse", without=False, environment=empty) == "correct-horse"
    assert access_token(None, without=False, environment={}) is None
    assert access_token(None, without=True, environment=empty) is None
    with pytest.raises(UserError, match="AFFETTO_TOKEN is set and empty"):
        access_token(None, without=False, environment=empty)
    with pytest.raises(UserError, match="--no-token"):
        access_token("correct-horse", without=True, environment={})


@pytest.mark.parametrize("proxy", ["nginx", "10.0.0.0/99", "", "10.0.0.1,10.0.0.2", "*"])
def test_a_wrong_proxy_is_told_before_a_model_is_loaded(proxy):
    with pytest.raises(UserError, match="give an address or a network"):
        launch.serve(["nowhere"], Limits(), endpoint=Endpoint(port=0), proxies=[proxy])


@pytest.mark.parametrize("path", ["speech", "/", "/speech/", "//", "/a b", "/a?b", "/%2e", "http://x/speech"])
def test_a_wrong_root_path_is_told_before_a_model_is_loaded(path):
    with pytest.raises(UserError, match="begins with /"):
        launch.serve(["nowhere"], Limits(), endpoint=Endpoint(port=0), root_path=path)
    for path in ("/v1", "/en/x"):
        with pytest.raises(UserError, match="the server itself has paths"):
            address.check_root_path(path)
    address.check_root_path("/env/v1")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_need_a_token_or_a_word(host, monkeypatch):
    loaded = []
    monkeypatch.setattr(launch, "_load", lambda folders, *_, **__: loaded.append(folders) or pytest.fail("enough"))
    with pytest.raises(UserError, match=r"AFFETTO_TOKEN.*--no-token"):
        launch.serve(["nowhere"], Limits(), endpoint=Endpoint(host=host, port=0))
    assert not loaded
    for options in ({"limits": Limits(token="correct-horse")}, {"limits": Limits(), "is_public": True}):
        with pytest.raises(pytest.fail.Exception):
            launch.serve(["nowhere"], **options, endpoint=Endpoint(host=host, port=0))
    assert len(loaded) == 2


# -- the address --------------------------------------------------------------------------------------------------


def test_an_address_in_use_is_told_before_anything_heavy_is_imported():
    with address.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(UserError, match=r"cannot serve at 127.0.0.1:\d+ \(.*in use"):
            address.listen("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port)):
            pass  # who comes early waits
        code = (
            "import sys; from affetto.cli import main\n"
            "try: main()\n"
            "finally: print(sorted({'torch', 'numpy', 'fastapi', 'uvicorn'} & set(sys.modules)))"
        )
        command = [sys.executable, "-c", code, "serve", "nowhere", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == "[]\n"
    assert len(done.stderr.splitlines()) == 1 and "in use" in done.stderr


def test_an_address_of_this_machine_goes_by_its_names_alone():
    with address.listen("127.0.0.2", 0) as listening:
        assert address.is_loopback(listening)
        names = address.own_names(listening, "Mine")
        assert {"127.0.0.1", "localhost", "::1", "127.0.0.2", "mine"} == names
    with address.listen("0.0.0.0", 0) as listening:
        assert not address.is_loopback(listening) and address.url(listening).startswith("http://127.0.0.1:")


# -- the page -----------------------------------------------------------------------------------------------------


def test_a_machine_without_a_folder_for_temporary_files_has_no_page(monkeypatch):
    def nowhere(*_args, **_options):
        raise FileNotFoundError(2, "No usable temporary directory found")

    class Here:
        limits = Limits()

    monkeypatch.setattr(tempfile, "mkdtemp", nowhere)
    with contextlib.ExitStack() as stack:
        assert "TMPDIR" in launch._add_page(None, None, Here(), stack)


# -- signals and logs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_while_models_are_loaded_ends_in_order(name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, process.ending_at_once():
        signal.raise_signal(number)
    assert ended.value.code == 128 + number and signal.getsignal(number) == before


def test_a_thread_that_hangs_does_not_keep_the_process(monkeypatch, capsys):
    class Stuck:
        def close(self) -> bool:
            return False

    monkeypatch.setattr(launch, "_load", lambda *_, **__: (Stuck(), None))
    monkeypatch.setattr(launch, "_serve", lambda *_, **__: None)
    monkeypatch.setattr("os._exit", lambda status: pytest.exit(f"status {status}"))
    with pytest.raises(pytest.exit.Exception, match="status 1"):
        launch.serve(["nowhere"], Limits(), endpoint=Endpoint(port=0))
    assert json.loads(capsys.readouterr().err)["event"] == "stuck"


def test_a_closed_terminal_does_not_end_what_nohup_started():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with process.ending_at_once():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_whatever_is_written_to_standard_error_is_lines_of_json(monkeypatch, capsys):
    with logs.on_standard_error():
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=ValueError("other"))
        logging.getLogger("asyncio").warning("two\nlines")
        logging.getLogger("httpx").info("not even this")
        try:
            raise ValueError("printed")
        except ValueError:
            traceback.print_exc()
        print("half a ", end="", file=sys.stderr)
        print("line", file=sys.stderr)
        thread = threading.Thread(target=lambda: 1 / 0, name="dies")
        thread.start()
        thread.join()
        logs.event("ours", status=200)
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    words = [(event["event"], event["level"]) for event in events]
    printed = [event["text"] for event in events if event["event"] == "printed"]
    assert words[:2] == [("log", "error"), ("log", "warning")] and words[-2:] == [
        ("thread_died", "error"),
        ("ours", "info"),
    ]
    assert events[0]["message"] == "Exception in ASGI application" and "other" in events[0]["traceback"]
    assert printed[0].startswith("Traceback") and printed[-2:] == ["ValueError: printed", "half a line"]
    print("as before", file=sys.stderr)
    assert capsys.readouterr().err == "as before\n"
