"""The recipes: each program parses, and those that need no service of others run against a real server."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.inference import timeline
from conftest import PROJECT
from models.systems import clips
from serving.served import Serving, Stub, wav

PROGRAMS = re.findall(
    r"^```python\n(.*?)^```$", (PROJECT / "docs" / "recipes.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Serving({"first": Stub(seconds=0.5)}) as url:
        yield url


def program(word: str, url: str = "") -> dict[str, Any]:
    """Names that the program with this word defines, run with the server's address in place of the usual one."""
    (text,) = (text for text in PROGRAMS if word in text)
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(text.replace("http://127.0.0.1:8000", url), names)
    return names


@pytest.mark.parametrize("text", PROGRAMS)
def test_each_program_parses(text: str) -> None:
    assert ast.parse(text).body and max(map(len, text.splitlines())) <= 120


def test_a_stream_gives_segments_and_says_what_is_wrong(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
    sound = (20_000 * np.sin(np.arange(32_000))).astype("<i2").tobytes() + bytes(32_000)

    async def frames() -> AsyncIterator[bytes]:
        for start in range(0, len(sound), 6_400):
            yield sound[start : start + 6_400]

    async def follow(rate_hz: int) -> list[dict[str, Any]]:
        emotions = program("async def emotions")["emotions"]
        address = url.replace("http://", "ws://") + "/v1/stream"
        return [segment async for segment in emotions(frames(), rate_hz, address)]

    segments = asyncio.run(follow(16_000))
    assert segments and {segment["emotion"] for segment in segments} == {"joy"}
    with pytest.raises(RuntimeError, match="sample_rate"):
        asyncio.run(follow(1))


def test_openai_s_client(url: str, tmp_path: Path) -> None:
    pytest.importorskip("openai")
    (tmp_path / "clip.wav").write_bytes(wav(clips(1.0)[0]))
    assert program("import OpenAI", url)["emotion_of"](str(tmp_path / "clip.wav")) == "joy"


def test_the_tool_for_agents(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers for files of its folder, and for no others."""
    pytest.importorskip("mcp.server.mcpserver")
    (tmp_path / "here").mkdir()
    for name in ("here/clip.wav", "elsewhere.wav"):
        (tmp_path / name).write_bytes(wav(clips(1.0)[0]))
    monkeypatch.setenv("AFFETTO_FOLDER", str(tmp_path / "here"))
    names = program("MCPServer", url)
    assert [tool.name for tool in asyncio.run(names["server"].list_tools())] == ["recognise_emotion"]
    assert names["recognise_emotion"]("clip.wav")["emotion"] == "joy"
    for path in ("../elsewhere.wav", str(tmp_path / "elsewhere.wav"), "none.wav"):
        with pytest.raises(ValueError, match="no file"):
            names["recognise_emotion"](path)
