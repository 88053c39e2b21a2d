"""`affetto serve` as a process: what it prints, how it ends, and how it stands a crowd."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from models.systems import clips
from serving.served import wav, write_model

TOKEN = "correct-horse-battery"
PROJECT = Path(__file__).resolve().parents[2]


def test_what_it_prints_works_and_a_signal_ends_it(tmp_path):
    pytest.importorskip("gradio")
    models = [str(write_model(tmp_path / name, name)) for name in ("lora", "frozen")]
    (tmp_path / "clip.wav").write_bytes(wav(clips(0.5)[0]))
    (tmp_path / "uploads").mkdir()
    command = [sys.executable, "-m", "affetto", "serve", *models, "--port", "0", "--device", "cpu"]
    environment = os.environ | {"AFFETTO_TOKEN": TOKEN, "TMPDIR": str(tmp_path / "uploads")}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **options) as server:
        assert server.stdout is not None and server.stderr is not None
        said = ""
        while "/v1/predict" not in said:
            line = server.stdout.readline()
            assert line, said + server.stderr.read()
            said += line
        assert "no --context is given" in server.stdout.readline()
        assert "model lora: lora on whisper-mini" in said and "one backbone with frozen" in said
        assert "SYNTHETIC" in said and "warning" not in said and TOKEN not in said
        if shutil.which("curl"):
            (line,) = [line for line in said.splitlines() if "curl" in line]
            tried = subprocess.run(
                line.partition("try")[2],
                shell=True,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            )
            assert json.loads(tried.stdout)["model"] == "lora"
        url = said.split()[3]
        with httpx.Client(base_url=url, auth=("me", TOKEN)) as browser:
            assert "gradio" in browser.get("/en/").text
            assert browser.post("/en/gradio_api/upload", files={"files": wav(clips(0.5)[0])}).status_code == 200
            assert len(list((tmp_path / "uploads").glob("affetto-page-*/*.wav"))) == 1
            assert httpx.get(f"{url}/en/").status_code == 401
            server.send_signal(signal.SIGHUP)  # as a closed terminal does
            assert server.wait(120) == 0
        logged = server.stderr.read()
    events = [json.loads(line) for line in logged.splitlines()]
    assert events[-1]["event"] == "ended" and "traceback" not in logged.lower() and TOKEN not in logged
    assert [event["path"] for event in events if event.get("status") == 401] == ["/en/"]
    assert not list((tmp_path / "uploads").glob("affetto-*")), "nothing is left behind"


@pytest.mark.slow
def test_a_crowd_gets_right_answers_and_a_signal_loses_none_of_them():
    """The benchmark in small; in full it sends 10,000 requests."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("silero_vad")
    command = [sys.executable, "benchmarks/load.py", "--quick"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    kinds = {"predict", "timeline", "batch", "stream", "transcription"}
    assert all(figures["answers"][kind]["200"] for kind in kinds) and figures["answers"]["hostile"]
    assert figures["changes"] and sum(figures["sigterm"]["answers"]["predict"].values())
