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

    def download(_: str, local_files_only: bool = False, allow_patterns: list[str] | None = None) -> str:
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
