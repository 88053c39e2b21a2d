"""The demo goes the whole road, shows what it does, and goes on where it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from affetto import demo
from affetto.errors import UserError

pytest.importorskip("espeakng_loader")
pytest.importorskip("matplotlib")


@pytest.mark.slow
def test_the_whole_road(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    made = demo.run(out, speakers=8, clips=112, epochs=1)
    shown = capsys.readouterr().out
    assert list(made) == ["probe", "frozen", "adapter", "lora"]
    for method, metrics in made.items():
        assert metrics["synthetic"] is True and metrics["test"]["n"] == 112
        assert re.search(rf"{method} .*{100 * metrics['test']['macro_f1']:.1f} \(", shown)
    assert "SYNTHETIC SPEECH" in shown and "chance" in shown
    for name in demo.PICTURES:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    # Each step can be done by hand: the commands in the notes are those that the demo showed.
    assert "affetto predict" in (out / "results.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}
    again = demo.run(out, speakers=8, clips=112, epochs=1)
    assert json.dumps(again) == json.dumps(made)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"mine\.txt.*--out"):
        demo.run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
