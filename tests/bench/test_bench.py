"""The benchmark: both sides at work on a small backbone, and what is shown of a result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.autograd.profiler_util import Interval

from affetto.bench import compare, counts, figure, report, run
from affetto.bench.clips import lengths_seconds, waves
from affetto.bench.grid_time import Speed, grid_time, shapes_of, speeds
from affetto.bench.ours import Ours
from affetto.bench.sides import Side, Task, Workers
from affetto.errors import UserError
from affetto.experiments.grid import read
from affetto.experiments.named import grid_file
from affetto.experiments.work import passes
from affetto.models.device import KINDS


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
        "epoch_parts": {"step": 0.020, "steps": 0.9, "outside": 0.1},
        "counts": {"dispatched": 700},
        "prepare_phases": {"decode": 0.001, "front end": 0.1, "frozen blocks": 0.0, "store": 0.002},
    }
    rows = [
        row("same", "frozen", 38.0, three_seeds=three),
        row("same", "lora", 1.9, stacked={"6": row("same", "lora", 6.0)}, **step),
        row("defaults", "int8", 3),
    ]
    return {"results": rows, "provenance": {"device": "cpu (a machine)"}}


def test_the_same_clips_come_to_both_sides_and_their_lengths_are_those_of_speech():
    first, again = waves(40, 4.0), waves(40, 4.0)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert max(map(len, first)) == 64_000 and min(map(len, first)) >= 0.8 * 16_000
    seconds = lengths_seconds(20_000)
    assert seconds.mean() == pytest.approx(3.2, abs=0.05) and seconds.std() == pytest.approx(1.2, abs=0.05)


def test_ratios_are_medians_over_rounds_and_above_one_where_ours_is_faster():
    pairs = [(10.0, 5.0), (12.0, 4.0), (9.0, 9.0)]
    ratios = compare._result(pairs, clips=20)
    assert (ratios["ratio"], ratios["ratio_lowest"], ratios["ratio_highest"]) == (2.0, 1.0, 3.0)
    assert ratios["yardstick_clips_per_second"] == 2.0 and ratios["our_clips_per_second"] == 4.0


@pytest.mark.slow
def test_both_sides_train_and_classify():
    ours = Task(side="ours", backbone="whisper-mini", method="lora", clips=16, batch_size=4, precision="bfloat16")
    ours = replace(ours, stack=(2,))
    reference = replace(ours, side="yardstick", precision="float32")
    result = compare.training(ours, reference, 1, lambda _: None)
    assert result["ratio"] > 0 and result["our_peak_bytes"] > 1e8
    assert set(result["phases"]) == {"read", "forward", "backward", "optimiser"}
    assert set(result["prepare_phases"]) == {"decode", "front end", "frozen blocks", "store"}
    assert result["stacked"].keys() == {"2"} and result["stacked"]["2"]["ratio"] > 0
    # Four steps in an epoch, of which the first is not timed.
    epoch, measured = result["epoch_parts"], result["counts"]
    assert epoch["steps"] == pytest.approx(4 * epoch["step"]) and epoch["outside"] >= 0
    # A step of four clips: forward, and backward through activations alone; both sides of 4 operations count.
    assert measured["operations"]["step"] > measured["operations"]["prefix"] > 0
    assert measured["dispatched"] > 100 and "launches" not in measured


def test_preparing_is_measured_alone_or_in_a_batch(tmp_path, monkeypatch):
    cpu = torch.device("cpu")
    computing = {"device": cpu, "batch_size": 4, "precision": "bfloat16"}
    ours = Ours("whisper-mini", "lora", waves(9, 1.0), folder=tmp_path, **computing)
    ours.prepare()
    sizes = []
    prefixes = ours.classifier.prefixes
    monkeypatch.setattr(ours.classifier, "prefixes", lambda batch: sizes.append(len(batch)) or prefixes(batch))
    alone = ours.prepare_phases()
    assert sizes == []
    monkeypatch.setitem(KINDS, "cpu", replace(KINDS["cpu"], clips_side_by_side=False))
    batched = ours.prepare_phases()
    assert sizes == [4, 4] and alone.keys() == batched.keys()
    assert all(phases["front end"] > 0 and phases["store"] > 0 for phases in (alone, batched))


@pytest.mark.slow
def test_workers_serve_one_comparison_after_another():
    task = Task(side="our pipeline", backbone="whisper-mini", method="lora", clips=9, batch_size=4, precision="float32")
    with Workers(keep=True) as workers:
        result = compare.inference(task, replace(task, precision="bfloat16"), 1, lambda _: None, workers.start)
        assert result["our_clips_per_second"] > 0
        with workers.start(task) as first, workers.start(replace(task, clips=10)) as second:
            assert first._worker is second._worker and second("pass_over") > 0
        with pytest.raises(UserError, match="stopped"):
            workers.start(replace(task, backbone="no-such-backbone"))
        assert first._worker.is_closed


def test_only_the_requested_comparisons_are_measured(monkeypatch):
    tasks = []
    monkeypatch.setitem(run.MEASURES, "frozen", lambda ours, reference, *_: tasks.append((ours, reference)) or {})
    monkeypatch.setattr(run.devices, "peak_operations_per_second", lambda *_: 1.0)
    results = []
    result = run.run(
        ("whisper-mini", "wavlm-mini"), ("frozen",), device="cpu", comparisons=("same",), on_result=results.append
    )
    pairs = [(row["backbone"], row["comparison"]) for row in result["results"]]
    assert pairs == [("whisper-mini", "same"), ("wavlm-mini", "same")] and results == result["results"]
    (ours, reference), _ = tasks
    assert (ours.precision, ours.device, reference.device, reference.pad_seconds) == ("float32", "cpu", "cpu", 4.0)
    with pytest.raises(UserError, match="unknown comparison 'sane': did you mean 'same'"):
        run.run(("whisper-mini", "wavlm-mini"), ("frozen",), comparisons=("sane",))
    with pytest.raises(UserError, match="nothing is left to measure"):
        run.run(("whisper-mini",), ("int8",), comparisons=("same",))


def test_a_side_that_breaks_gives_the_reason():
    with pytest.raises(UserError, match=r"the benchmark of ours stopped: .*no-such-backbone"):
        Side(Task(side="ours", backbone="no-such-backbone", method="lora", clips=9, batch_size=4, precision="float32"))


class Event:
    """An event of a profile: a call of the host, or a kernel of `microseconds`."""

    def __init__(self, name, microseconds=None, is_user_annotation=False):
        kinds = torch.autograd.DeviceType
        self.name, self.is_user_annotation = name, is_user_annotation
        self.device_type = kinds.CPU if microseconds is None else kinds.CUDA
        self.time_range = Interval(0, microseconds or 0)


def test_a_profile_is_counted_a_step():
    host = [Event(name) for name in ("aten::mm", "cudaLaunchKernelExC", "cudaGraphLaunch", "cudaStreamSynchronize")]
    kernels = [Event("gemm", 300), Event("gemm", 300), Event("copy", 200), Event("Optimizer.step", 900, True)]
    summary = counts.summarise(2 * [*host, *kernels], steps=2, seconds=0.002)
    assert (summary["launches"], summary["kernels"]) == (2, 3)
    assert summary["device_seconds"] == pytest.approx(800e-6) and summary["device_share"] == pytest.approx(0.8)
    first, second = summary["top_kernels"]
    assert (first["name"], first["calls"], first["share"]) == ("gemm", 2, pytest.approx(0.75))
    assert second["name"] == "copy"


def test_a_grid_takes_the_time_of_its_measured_steps():
    frozen = row("same", "frozen", 30.0) | {"backbone": "xlsr-53", "clips": 10, "prepare_seconds": 1.0}
    frozen |= {"epoch_seconds": 0.1}
    lora = frozen | {"method": "lora", "prepare_seconds": 0.5, "epoch_seconds": 10.0}
    lora |= {"phases": {"read": 0.0, "forward": 1.0, "backward": 2.9, "optimiser": 0.1}}
    slower = lora | {"comparison": "defaults", "epoch_seconds": 99.0}
    measured = speeds([lora, frozen, slower])
    assert measured["xlsr-53", "lora"] == Speed(prepare=0.05, train=1.0, judge=0.25)
    grid = read(grid_file(Path("paper")))
    only = grid.only({"backbone": ["xlsr-53-it"], "corpus": ["emovo"], "method": ["lora"]})
    # 588 clips, prepared once for three seeds: four parts of six train for 30 epochs, one validates, one tests.
    (work,) = {passes(run, 588) for run in only.runs}
    total = grid_time(only.runs, measured)
    assert (total.runs, total.prepare) == (3, pytest.approx(29.4))
    assert total.train == pytest.approx(3 * work.trained) and total.judge == pytest.approx(0.75 * work.judged)
    assert total.seconds == pytest.approx(total.prepare + total.train + total.judge)
    total = grid_time(grid.runs, measured)
    assert total.seconds is None and ("wav2vec2-large", "lora") in total.missing and total.runs == 216
    assert shapes_of("wav2vec2-large-it") == shapes_of("xlsr-53-it") == "xlsr-53" != shapes_of("wav2vec2-large")


def test_the_table_fits_a_terminal_and_shows_the_spread(capsys):
    from rich.console import Console

    console = Console(width=80)
    console.print(report.table(result()))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "1.90 (1.71–2.09)" in text and "three seeds" in text and "… 6 stacked" in text and "decode 1.0 ms" in text
    assert "frozen blocks" not in text
    assert "20.0 ms and 700 operations; 10 % of an epoch lie outside" in " ".join(text.split())
    second = row("same", "lora", 2.5) | {"backbone": "whisper-small"}
    console.print(report.table(result() | {"results": [*result()["results"], second]}))
    text = capsys.readouterr().out
    assert "│ whisper-small" in text and "wav2vec2-base, whisper-small, random weights" in " ".join(text.split())


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_is_drawn_with_and_without_training_rows(tmp_path, suffix):
    full, bare = result(), result() | {"results": [row("defaults", "int8", 3)]}
    first = figure.ratios(full, tmp_path / f"a{suffix}")
    assert first.read_bytes() == figure.ratios(full, tmp_path / f"b{suffix}").read_bytes()
    assert figure.ratios(bare, tmp_path / f"c{suffix}").stat().st_size > 1000
