"""Models that are added, replaced and removed while a server runs: by an admin's requests, and by a file."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from affetto.errors import UserError
from affetto.inference.identity import LENGTH
from affetto.inference.predictor import Predictor
from affetto.serving import process
from affetto.serving.limits import Limits, admin_token
from affetto.serving.model_list import Changes, read_models
from serving.served import Serving, Stub, until, wav, write_model
from serving.test_server import CLIP, post, refused

TOKEN, ADMIN = "correct-horse-battery", "staple-of-admins"


class Loader:
    """Loads a stub of each folder; a folder called `broken` holds no model. `models` has those that it has loaded."""

    def __init__(self) -> None:
        self.models: list[weakref.ref[Stub]] = []
        self.let = threading.Event()
        self.let.set()
        self.entered = threading.Event()

    def __call__(self, folders: Mapping[str, Path]) -> dict[str, Predictor]:
        self.entered.set()
        assert self.let.wait(60)
        if any(path.name == "broken" for path in folders.values()):
            raise UserError("no model there")
        models: dict[str, Predictor] = {name: Stub() for name in folders}
        for name, folder in folders.items():
            models[name].files = tuple(folder.glob("weights"))
        self.models += [weakref.ref(model) for model in models.values()]
        return models


@pytest.fixture
def folder(tmp_path):
    for name in ("first", "second", "broken"):
        (tmp_path / "models" / name).mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    return tmp_path / "models"


@pytest.fixture
def serving(folder):
    load = Loader()
    serving = Serving({"a": Stub()}, Limits(admin_token=ADMIN), changes=Changes(folder=folder), load=load)
    with serving as url:
        serving.url, serving.load = url, load
        yield serving


def add(serving: Serving, name: str, path: str, token: str = ADMIN) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{serving.url}/v1/models", json={"name": name, "path": path}, headers=headers, timeout=60)


def remove(serving: Serving, name: str) -> httpx.Response:
    return httpx.delete(f"{serving.url}/v1/models/{name}", headers={"Authorization": f"Bearer {ADMIN}"}, timeout=60)


def names(serving: Serving) -> list[str]:
    return [model["name"] for model in httpx.get(f"{serving.url}/v1/models").json()["models"]]


def test_a_model_is_added_replaced_and_removed_and_its_memory_is_free(serving):
    answer = add(serving, "b", "first")
    assert answer.status_code == 201 and answer.json()["name"] == "b" and names(serving) == ["a", "b"]
    assert post(serving.url, wav(CLIP), params={"model": "b"}).json()["model"] == "b"
    assert add(serving, "b", "second").status_code == 200 and names(serving) == ["a", "b"]
    former, present = serving.load.models
    assert present().batches == [1], "it is warm before it answers"
    until(lambda: former() is None)
    assert post(serving.url, wav(CLIP), params={"model": "b"}).status_code == 200
    answer = remove(serving, "a")
    assert [model["name"] for model in answer.json()["models"]] == ["b"] and answer.json()["models"][0]["default"]
    assert post(serving.url, wav(CLIP)).json()["model"] == "b", "the next one is the default"
    assert refused(remove(serving, "b")) == (409, "last_model")
    assert refused(remove(serving, "a")) == (404, "unknown_model")
    counted = httpx.get(f"{serving.url}/metrics").text
    assert 'path="/v1/models/NAME",status="404",model="a"' in counted


def test_answers_tell_the_weights_before_a_replacement_and_after_it_apart(serving, folder):
    for name, weights in (("first", "1"), ("second", "2")):
        (folder / name / "weights").write_text(weights)
    versions = []
    for path in ("first", "second", "first"):
        added = add(serving, "b", path).json()
        (listed,) = (model for model in httpx.get(f"{serving.url}/v1/models").json()["models"] if model["name"] == "b")
        answer = post(serving.url, wav(CLIP), params={"model": "b"}).json()
        assert answer["model"] == "b" and answer["model_version"] == listed["version"] == added["version"]
        versions.append(answer["model_version"])
    assert versions[0] == versions[2] != versions[1] and {len(version) for version in versions} == {LENGTH}
    (folder / "second" / "weights").write_text("3")  # the files of a model that serves are replaced
    assert add(serving, "c", "second").json()["version"] != versions[1]
    files = [("file", ("x.wav", wav(CLIP)))]
    batch = httpx.post(f"{serving.url}/v1/batch", params={"model": "b"}, files=files, timeout=60).json()
    assert batch["model_version"] == versions[0]
    form = {"model": "b", "response_format": "json"}
    text = httpx.post(f"{serving.url}/v1/audio/transcriptions", data=form, files=files, timeout=60).json()
    assert text["model_version"] == versions[0]
    assert "model_version" not in post(serving.url, wav(CLIP), params={"model": "a"}).json(), "it has no files"


def test_a_request_ends_with_the_model_with_which_it_began(serving):
    assert add(serving, "b", "first").status_code == 201
    former = serving.load.models[0]()
    former.let.clear()
    with ThreadPoolExecutor(1) as clients:
        waiting = clients.submit(post, serving.url, wav(CLIP), params={"model": "b"})
        until(lambda: serving.service.places == 1 and serving.service.batcher.seconds_at_work() > 0)
        replaced = threading.Thread(target=add, args=(serving, "b", "second"))
        replaced.start()
        until(lambda: len(serving.load.models) == 2)
        former.let.set()
        replaced.join(60)
        assert waiting.result(60).status_code == 200 and former.batches == [1, 1]
    assert post(serving.url, wav(CLIP), params={"model": "b"}).status_code == 200
    assert serving.load.models[1]().batches == [1, 1]
    gone = weakref.ref(former)
    del former, waiting
    until(lambda: gone() is None)


def test_a_model_that_is_removed_at_once_was_added_all_the_same(serving, monkeypatch):
    add_model = serving.roster.add

    def add_and_remove(name, path):
        answer = add_model(name, path)
        serving.roster.remove(name)
        return answer

    monkeypatch.setattr(serving.roster, "add", add_and_remove)
    answer = add(serving, "b", "first")
    assert answer.status_code == 201 and answer.json()["name"] == "b" and not answer.json()["default"]
    assert names(serving) == ["a"]


def test_a_broken_model_changes_nothing_and_loading_holds_up_nobody(serving):
    load = serving.load
    assert refused(add(serving, "a", "broken")) == (422, "unusable_model")
    load.let.clear()
    load.entered.clear()
    with ThreadPoolExecutor(1) as clients:
        adding = clients.submit(add, serving, "b", "first")
        assert load.entered.wait(60)
        assert post(serving.url, wav(CLIP)).status_code == 200
        assert refused(add(serving, "c", "second")) == refused(remove(serving, "a")) == (409, "changing")
        load.let.set()
        assert adding.result(60).status_code == 201
    assert names(serving) == ["a", "b"]


@pytest.mark.parametrize(
    "path", ["../secret", "/etc", "first/../../secret", "leads-out", "holds-a-link", "missing", "owner/name@v1", "a\0b"]
)
def test_no_path_leads_out_of_the_folder(serving, folder, path):
    (folder / "leads-out").symlink_to(folder.parent / "secret")
    (folder / "holds-a-link").mkdir()
    (folder / "holds-a-link" / "affetto.json").symlink_to("/etc/passwd")
    answer = add(serving, "b", path)
    assert refused(answer) == (403, "path_not_allowed") and str(folder) not in answer.text
    assert not serving.load.models and names(serving) == ["a"]


def test_models_of_the_hub_need_a_word_and_a_revision():
    load = Loader()
    serving = Serving({"a": Stub()}, Limits(admin_token=ADMIN), changes=Changes(allows_hub=True), load=load)
    with serving as url:
        serving.url = url
        for path in ("owner/name", "owner/name@", "../owner/name@v1", "/owner/name@v1"):
            assert refused(add(serving, "b", path)) == (403, "path_not_allowed")
        assert add(serving, "b", "owner/name@v1").status_code == 201


def test_only_an_admin_changes_the_models(folder, tmp_path):
    for limits, code in (
        (Limits(), "admin_only"),
        (Limits(token=TOKEN), "admin_only"),
        (Limits(token=TOKEN, admin_token=ADMIN), "admin_only"),
    ):
        serving = Serving({"a": Stub()}, limits, changes=Changes(folder=folder), load=Loader())
        with serving as url:
            serving.url = url
            assert refused(add(serving, "b", "first", TOKEN)) == (403, code)
            assert refused(add(serving, "b", "first", "wrong-token"))[0] == (401 if limits.token else 403)
    (tmp_path / "admins").write_text(f"ann {ADMIN}\n")
    limits = Limits(token=TOKEN, admin_token_file=tmp_path / "admins")
    serving = Serving({"a": Stub()}, limits, changes=Changes(folder=folder), load=Loader())
    with serving as url:
        serving.url = url
        assert add(serving, "b", "first").status_code == 201
        elsewhere = {"Authorization": f"Bearer {ADMIN}"}
        assert httpx.get(f"{url}/v1/models", headers=elsewhere).status_code == 200, "it opens all else too"
        cross = elsewhere | {"Sec-Fetch-Site": "cross-site"}
        assert refused(httpx.delete(f"{url}/v1/models/b", headers=cross)) == (403, "cross_site")
        for content in ({"name": "b"}, {"name": "../b", "path": "first"}, {"name": "b", "path": "first", "more": 1}):
            answer = httpx.post(f"{url}/v1/models", json=content, headers=elsewhere)
            assert refused(answer) == (422, "invalid_parameter")
    with pytest.raises(UserError, match="empty"):
        admin_token({"AFFETTO_ADMIN_TOKEN": ""})
    with pytest.raises(UserError, match="choose one"):
        Limits(admin_token=ADMIN, admin_token_file=tmp_path / "admins")


# -- a file -------------------------------------------------------------------------------------------------------


def test_a_file_that_is_read_again_serves_what_it_lists(folder, caplog):
    file = folder / "list"
    file.write_text(f"# models\n\nx={folder}/first\n{folder}/second\n")
    load = Loader()
    serving = Serving({"a": Stub()}, changes=Changes(file=file), load=load)
    with serving as url, caplog.at_level(logging.INFO, logger="affetto.server"):
        serving.url = url
        serving.roster.reload()
        assert names(serving) == ["x", "second"]
        (folder / "second" / "weights").write_text("new")
        file.write_text(f"{folder}/second\nx={folder}/first\n")
        serving.roster.reload()
        assert names(serving) == ["second", "x"]
        assert [record.facts["loaded"] for record in caplog.records if record.message == "models_read"] == [
            ["second", "x"],
            ["second"],
        ], "what has not changed stays in memory"
        for content in ("", f"x={folder}/broken\n", "x=a\nx=b\n"):
            file.write_text(content)
            serving.roster.reload()
            assert names(serving) == ["second", "x"]
        file.unlink()
        serving.roster.reload()
        assert names(serving) == ["second", "x"] and caplog.messages.count("models_unreadable") == 4
    with pytest.raises(UserError, match="--models-file"):
        read_models(file)


def test_a_model_that_a_request_has_replaced_is_the_file_s_again_once_that_is_read(folder):
    file = folder / "list"
    file.write_text(f"x={folder}/first\n")
    limits = Limits(admin_token=ADMIN)
    serving = Serving({"a": Stub()}, limits, changes=Changes(folder=folder, file=file), load=Loader())
    with serving as url:
        serving.url = url
        serving.roster.reload()
        assert add(serving, "x", "second").status_code == 200
        of_request = serving.service.catalogue.models["x"]
        serving.roster.reload()
        assert serving.service.catalogue.models["x"] is not of_request
        of_file = serving.service.catalogue.models["x"]
        serving.roster.reload()
        assert serving.service.catalogue.models["x"] is of_file, "it is unchanged now"


def test_a_hangup_reads_the_file_and_ends_the_server_without_one():
    class Server:
        should_exit = False
        hung_up = threading.Event()

        def run(self, sockets: object) -> None:
            os.kill(os.getpid(), signal.SIGHUP)

    before = signal.getsignal(signal.SIGHUP)
    server = Server()
    process.run(server, None, server.hung_up.set)
    assert server.hung_up.wait(60) and not server.should_exit
    process.run(server, None)
    assert server.should_exit and signal.getsignal(signal.SIGHUP) == before


@pytest.mark.slow
def test_a_running_server_takes_a_new_model_from_its_file(tmp_path):
    write_model(tmp_path / "lora", "lora")
    file = tmp_path / "models"
    file.write_text(f"{tmp_path}/lora\n")
    command = [sys.executable, "-m", "affetto", "serve", "--models-file", str(file), "--port", "0", "--no-page"]
    with subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().decode().split()[3]
        write_model(tmp_path / "frozen", "frozen")
        file.write_text(f"{tmp_path}/lora\nother={tmp_path}/frozen\n")
        server.send_signal(signal.SIGHUP)
        until(lambda: len(httpx.get(f"{url}/v1/models").json()["models"]) == 2)
        assert post(url, wav(CLIP), params={"model": "other"}).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0
        events = [json.loads(line)["event"] for line in server.stderr.read().splitlines()]
    assert "models_read" in events and events[-1] == "ended"
