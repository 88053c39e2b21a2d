"""A hub that cannot be reached, and a cache that has what is needed, or half of it. No test needs a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from affetto.backbones import hub
from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.inference import loading

ADVICE = ("--backbone DIR", "HF_HOME", "--random-weights")

ASK = """
import sys, time
from affetto.errors import UserError
from affetto.backbones.hub import snapshot
import huggingface_hub, torch
started = time.monotonic()
try:
    snapshot("facebook/wav2vec2-base")
except UserError as problem:
    print(time.monotonic() - started, problem)
"""


def test_offline_it_says_what_to_do() -> None:
    started = time.monotonic()
    with pytest.raises(UserError) as told:
        load_backbone("nobody/no-such-model")
    assert time.monotonic() - started < 10
    assert all(advice in str(told.value) for advice in ADVICE)


@pytest.mark.parametrize("endpoint", ["http://10.255.255.1:9", "http://no-such-host.invalid"])
def test_an_unreachable_hub_is_told_within_ten_seconds(endpoint: str, tmp_path: Path) -> None:
    """The one swallows packets, or has no route to it; of the other there is no address."""
    environment = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "NO_PROXY": "*", "no_proxy": "*"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    seconds, _, told = done.stdout.partition(" ")
    assert float(seconds) < 10
    assert all(advice in told for advice in ADVICE)


def cached(root: Path, **files: str) -> Path:
    """A hub cache with one commit of owner/model, of these files (`__` for the dot)."""
    repo = root / "models--owner--model"
    commit = repo / "snapshots" / ("0" * 40)
    commit.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0" * 40)
    for name, content in files.items():
        (commit / name.replace("__", ".")).write_text(content)
    return commit


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_what_is_cached_is_taken_without_asking(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cached(hub_cache, config__json="{}", preprocessor_config__json="{}", model__safetensors="x")
    monkeypatch.setattr(hub, "_listing", lambda _: pytest.fail("the hub was asked"))
    assert hub.snapshot("owner/model").resolve() == folder.resolve()


INDEX = json.dumps({"weight_map": {"a": "model-1__safetensors".replace("__", ".")}})


@pytest.mark.parametrize(
    "files",
    [
        {"config__json": "{}", "model__safetensors": "x"},
        {"config__json": "{}", "preprocessor_config__json": "{}"},
        {"config__json": "{}", "preprocessor_config__json": "{}", "model__safetensors__index__json": INDEX},
        {"config__json": "{}", "preprocessor_config__json": "{}", "model__safetensors__index__json": "["},
    ],
)
def test_half_a_download_is_no_checkpoint(hub_cache: Path, files: dict[str, str]) -> None:
    cached(hub_cache, **files)
    with pytest.raises(UserError, match="cannot be reached"):
        hub.snapshot("owner/model")


def test_pickled_weights_are_fetched_only_where_there_are_no_others(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[list[str]] = []

    def download(
        _: str, local_files_only: bool = False, allow_patterns: list[str] | None = None, revision: None = None
    ) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not there")
        asked.append(allow_patterns or [])
        return str(hub_cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    for listed, pickled in ((["model.safetensors", "pytorch_model.bin"], False), (["pytorch_model.bin"], True)):
        monkeypatch.setattr(hub, "_listing", lambda _, listed=listed: listed)
        hub.snapshot("owner/model")
        assert ("pytorch_model*.bin" in asked.pop()) == pickled


def test_a_download_that_breaks_off_can_be_taken_up(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_listing", lambda _: ["model.safetensors"])
    with pytest.raises(UserError, match=r"broke off .*run again"):
        hub.snapshot("owner/model")


def test_an_id_that_is_none() -> None:
    with pytest.raises(UserError, match="no open model 'owner/mo--del'"):
        hub.snapshot("owner/mo--del")


def test_a_model_at_a_revision_is_that_revision(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = cached(hub_cache, affetto__json="new")
    first = newest.parent / ("1" * 40)
    first.mkdir()
    (first / "affetto.json").write_text("old")
    (hub_cache / "models--owner--model/refs/v1").write_text("1" * 40)
    for revision, content in (("", "new"), ("@main", "new"), ("@v1", "old"), ("@" + "1" * 40, "old")):
        folder = hub.model_snapshot(f"owner/model{revision}")
        assert (folder / "affetto.json").read_text() == content, revision
    with pytest.raises(UserError, match="cannot be reached"):
        hub.model_snapshot("owner/model@v2")

    asked = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        return str(first)

    monkeypatch.setattr(hub, "_listing", lambda name, revision: asked.append((name, revision)) or [])
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert hub.model_snapshot("owner/model@v1") == first and asked == [("owner/model", "v1")] * 2


def test_a_model_to_load_may_have_a_revision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr(loading, "model_snapshot", lambda name: asked.append(name) or tmp_path)
    for name in ("owner/model", "owner/model@v1.0", "owner/model@refs/pr/1"):
        assert loading._local_path(name) == tmp_path
    for name in ("owner/model@", "model@v1", "owner/model@v1@v2", "../owner/model@v1"):
        assert loading._local_path(name) == Path(name)
    assert asked == ["owner/model", "owner/model@v1.0", "owner/model@refs/pr/1"]


def test_a_revision_that_is_not_there(monkeypatch: pytest.MonkeyPatch, hub_cache: Path) -> None:
    import huggingface_hub

    class RevisionNotFoundError(Exception):
        pass

    def absent(*_: object, revision: str, **__: object) -> None:
        raise RevisionNotFoundError(revision)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", absent)
    with pytest.raises(UserError, match="no revision 'v3' of 'owner/model'"):
        hub.model_snapshot("owner/model@v3")
