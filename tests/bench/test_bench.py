"""The benchmark: both sides at work on a small backbone, and what is shown of a result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from affetto.bench import compare, figure, report, run
from affetto.bench.clips import lengths_seconds, waves
from affetto.bench.compare import Task
from affetto.errors import UserError


def row(comparison, method, ratio, **more):
    return {
        "comparison": comparison,
        "backbone": "wav2vec2-base",
        "method": method,
        "clips": 32,
        "batch_size": 8,
        "our_precision": "float32",
        "yardstick_precision": "float32",
        "ratio": ratio,
        "ratio_lowest": 0.9 * ratio,
        "ratio_highest": 1.1 * ratio,
        "yardstick_seconds": 10.0,
        "our_seconds": 10.0 / ratio,
        "rounds": 3,
        "yardstick_clips_per_second": 3.2,
        "our_clips_per_second": 3.2 * ratio,
        "memory_ratio": 0.5,
        **more,
    }


def result():
    three = row("same", "frozen", 77.0)
    step = {
        "phases": {"read": 0.01, "forward": 1.0, "backward": 1.2, "optimiser": 0.01},
        "share_of_peak": 0.7,
        "prepare_phases": {"decode": 0.001, "front end": 0.1, "frozen blocks": 0.0, "store": 0.002},
    }
    rows = [
        row("same", "frozen", 38.0, three_seeds=three),
        row("same", "lora", 1.9, **step),
        row("defaults", "int8", 3),
    ]
    rows.append(row("defaults", "int8", 3))
    return {"results": rows, "provenance": {"device": "cpu (a machine)"}}


def test_the_same_clips_come_to_both_sides_and_their_lengths_are_those_of_speech():
    first, again = waves(40, 4.0), waves(40, 4.0)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert max(map(len, first)) == 64_000 and min(map(len, first)) >= 0.8 * 16_000
    seconds = lengths_seconds(20_000)
    assert seconds.mean() == pytest.approx(3.2, abs=0.05) and seconds.std() == pytest.approx(1.2, abs=0.05)


def test_ratios_are_medians_over_rounds_and_above_one_where_ours_is_faster():
    pairs = [(10.0, 5.0), (12.0, 4.0), (9.0, 9.0)]
    told = compare._result(pairs, clips=20)
    assert (told["ratio"], told["ratio_lowest"], told["ratio_highest"]) == (2.0, 1.0, 3.0)
    assert told["yardstick_clips_per_second"] == 2.0 and told["our_clips_per_second"] == 4.0


@pytest.mark.slow
def test_both_sides_train_and_classify():
    ours = Task(side="ours", backbone="whisper-mini", method="lora", clips=16, batch_size=4, precision="float32")
    theirs = Task(side="yardstick", backbone="whisper-mini", method="lora", clips=16, batch_size=4, precision="float32")
    told = compare.training(replace(ours, precision="bfloat16"), theirs, 1, lambda _: None)
    assert told["ratio"] > 0 and told["our_peak_bytes"] > 1e8
    assert set(told["phases"]) == {"read", "forward", "backward", "optimiser"}
    assert set(told["prepare_phases"]) == {"decode", "front end", "frozen blocks", "store"}
    # A step of four clips: forward, and backward through activations alone; both sides of 4 operations count.
    assert told["operations"]["step"] > told["operations"]["prefix"] > 0
    told = compare.inference(ours, theirs, 1, lambda _: None)
    assert told["our_clips_per_second"] > 0


def test_only_the_comparison_that_is_asked_for_is_made(monkeypatch):
    made = []
    monkeypatch.setitem(run.MEASURES, "frozen", lambda ours, theirs, *_: made.append((ours, theirs)) or {})
    monkeypatch.setattr(run.devices, "peak_operations_per_second", lambda *_: 1.0)
    told = run.run("whisper-mini", ("frozen",), comparisons=("same",))
    assert [row["comparison"] for row in told["results"]] == ["same"]
    assert [(one.precision, other.pad_seconds) for one, other in made] == [("float32", 4.0)]
    with pytest.raises(UserError, match="unknown comparison 'sane': did you mean 'same'"):
        run.run("whisper-mini", ("frozen",), comparisons=("sane",))
    with pytest.raises(UserError, match="nothing is left to measure"):
        run.run("whisper-mini", ("int8",), comparisons=("same",))


def test_a_side_that_breaks_says_why():
    with pytest.raises(UserError, match="the benchmark of ours stopped: "):
        compare.Side(
            Task(side="ours", backbone="no-such-backbone", method="lora", clips=8, batch_size=4, precision="float32")
        )


def test_the_table_fits_a_terminal_and_tells_the_spread(capsys):
    from rich.console import Console

    console = Console(width=80)
    console.print(report.table(result()))
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "1.90 (1.71–2.09)" in shown and "three seeds" in shown and "decode 1.0 ms" in shown
    assert "frozen blocks" not in shown


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_is_drawn_with_and_without_training_rows(tmp_path, suffix):
    whole, bare = result(), result() | {"results": [row("defaults", "int8", 3)]}
    first = figure.ratios(whole, tmp_path / f"a{suffix}")
    assert first.read_bytes() == figure.ratios(whole, tmp_path / f"b{suffix}").read_bytes()
    assert figure.ratios(bare, tmp_path / f"c{suffix}").stat().st_size > 1000
