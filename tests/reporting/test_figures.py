"""Figures: whole, deterministic, nothing clipped or overprinted, synthetic speech always said."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.measures.scores import scores
from affetto.reporting import curves, figures, tables
from affetto.reporting.render import canvas
from reporting.drawing import assert_clean, texts

LABELS = ["anger", "disgust", "fear", "joy", "neutrality", "sadness", "surprise"]


def scored(labels=LABELS, n=300, seed=0):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, len(labels), n)
    probabilities = generator.random((n, len(labels))) + 0.4 * np.eye(len(labels))[true]
    speakers = [f"s{index}" for index in generator.integers(0, 6, n)]
    return scores([labels[index] for index in true], probabilities, labels, speakers)


def log(epochs, rise=0.01):
    return [
        {"epoch": epoch, "loss": 2 / epoch, "validation": {"macro_f1": 0.2 + rise * epoch, "uar": 0.2}}
        for epoch in range(1, epochs + 1)
    ]


def warm_log(epochs):
    """A log as runs write it: a warm start, the stage that validation judges, then a refit."""
    start = {"epoch": 0, "loss": 0.3, "lr": 0.0, "seconds": 0.0, "validation": {"macro_f1": 0.5, "uar": 0.5}}
    rest = [{"stage": "refit", "epoch": epoch, "loss": 0.1, "lr": 1e-4} for epoch in range(3)]
    return [{"stage": "select", **record} for record in (start, *log(epochs))] + rest


def rows():
    names = ["frozen", "LoRA $r_8$", "full fine-tuning of every block, in two stages, slowly"]
    return [tables.summary_row(name, scored(seed=seed)) for seed, name in enumerate(names)]


def draw_confusion(path, **options):
    return figures.confusion_matrix(scored(), path, "EMOVO, leave one speaker out", **options)


def draw_curves(path, **options):
    logs = {f"fold {index}": log(10 + index) for index in range(6)}
    return figures.learning_curves(logs, path, "Learning curves", chance=1 / 7, **options)


def draw_by_method(path, **options):
    logs = {f"fold {index}": warm_log(6 + index) for index in range(4)}
    methods = dict.fromkeys(("frozen", "adapter", "lora", "full"), logs)
    return figures.curves_by_method(methods, path, "Learning curves by method", chance=1 / 7, **options)


def draw_methods(path, **options):
    return figures.method_bars(rows(), path, "Methods, under a title so long that it has to be broken " * 3, **options)


DRAWINGS = [draw_confusion, draw_curves, draw_by_method, draw_methods]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, kept for inspection."""
    kept = []
    save = canvas.save
    for module in (figures, curves):
        monkeypatch.setattr(module, "save", lambda figure, path: (kept.append(figure), save(figure, path))[1])
    return kept


@pytest.mark.parametrize(("draw", "suffix"), [*((draw, ".svg") for draw in DRAWINGS), (draw_confusion, ".png")])
def test_same_data_same_bytes_and_no_leftovers(draw, suffix, tmp_path):
    first = draw(tmp_path / "sub" / f"a{suffix}")
    again = draw(tmp_path / "sub" / f"b{suffix}")
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert sorted(path.name for path in first.parent.iterdir()) == [f"a{suffix}", f"b{suffix}"]


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize("synthetic", [False, True])
def test_nothing_is_clipped_or_overprinted_and_synthetic_speech_alone_is_stamped(draw, synthetic, tmp_path, drawn):
    draw(tmp_path / "figure.png", synthetic=synthetic)
    assert_clean(drawn[0])
    words = [text.get_text() for text in texts(drawn[0])]
    assert ("SYNTHETIC SPEECH" in words) == synthetic == any("SYNTHETIC" in text for text in words)


def test_a_mixed_comparison_says_which_rows_are_synthetic(tmp_path, drawn):
    mixed = rows()
    mixed[0]["synthetic"] = True
    figures.method_bars(mixed, tmp_path / "a.png")
    words = [text.get_text() for text in texts(drawn[0])]
    assert "PARTLY SYNTHETIC SPEECH" in words and "frozen (synthetic speech)" in words


def test_confusion_shows_percent_of_the_row_counts_and_a_dash_for_labels_never_true(tmp_path, drawn):
    labels = ["a", "b", "c"]
    result = scores(["a"] * 4 + ["b"], np.eye(3)[[0, 0, 0, 1, 1]], labels, ["s"] * 5)
    figures.confusion_matrix(result, tmp_path / "a.svg", "t")
    cells = [text.get_text() for text in drawn[0].axes[0].texts]
    assert cells == ["75", "3", "25", "1", "0", "0", "0", "0", "100", "1", "0", "0", "–", "–", "–", "  F1"]
    assert [tick.get_text() for tick in drawn[0].axes[0].get_yticklabels()] == ["a (4)", "b (1)", "c (0)"]
    beside = drawn[0].axes[0].child_axes[0].get_yticklabels()
    assert [tick.get_text() for tick in beside] == ["85.7", "66.7", "–"]


def test_mean_spans_shared_epochs_and_the_first_best_epoch_is_marked(tmp_path, drawn):
    short, long = log(3), log(5, rise=0.03)
    long[4]["validation"]["macro_f1"] = long[3]["validation"]["macro_f1"]
    figures.learning_curves({"a": short, "b": long}, tmp_path / "a.svg", "t")
    lines = {line.get_label(): line.get_xydata() for line in drawn[0].axes[1].get_lines()}
    np.testing.assert_allclose(lines["mean"], [[1, 22], [2, 24], [3, 26]])
    np.testing.assert_allclose(lines["best epoch"], [[3, 23], [4, 32]])


def test_of_a_run_s_log_the_judged_stage_is_drawn_and_epoch_0_has_no_training_loss(tmp_path, drawn):
    figures.learning_curves({"one": warm_log(2)}, tmp_path / "a.svg", "t")
    left, right = drawn[0].axes
    np.testing.assert_allclose(left.get_lines()[0].get_xydata(), [[1, 2], [2, 1]])
    np.testing.assert_allclose(right.get_lines()[0].get_xydata(), [[0, 50], [1, 21], [2, 22]])
    words = " ".join(text.get_text() for text in texts(drawn[0]))
    assert "50.0 at epoch 0" in words and "Epoch 0: the warm start" in words


def test_methods_stand_side_by_side_on_one_scale_and_one_that_never_trained_says_so(tmp_path, drawn):
    methods = {"lora": {"1": warm_log(2), "2": warm_log(3)}, "frozen": {"1": warm_log(0)}}
    figures.curves_by_method(methods, tmp_path / "a.svg", "t")
    above, beside, below, last = drawn[0].axes
    assert [above.get_title(), beside.get_title()] == ["lora", "frozen"]
    assert above.get_ylim() == beside.get_ylim() and below.get_ylim() == last.get_ylim()
    lines = {line.get_label(): line.get_xydata() for line in below.get_lines()}
    np.testing.assert_allclose(lines["mean"], [[0, 50], [1, 21], [2, 22]])
    assert [text.get_text() for text in beside.texts] == ["none"]
    np.testing.assert_allclose(last.get_lines()[-1].get_xydata(), [[0, 50]])


def test_missing_and_nan_values_of_a_log_are_gaps(tmp_path, drawn):
    gaps = log(4)
    gaps[1]["validation"] = None
    gaps[2]["loss"] = float("nan")
    figures.learning_curves({"one": gaps}, tmp_path / "a.svg", "t")
    left, right = drawn[0].axes
    assert left.get_lines()[0].get_xdata().tolist() == [1, 2, 4]
    assert right.get_lines()[0].get_xdata().tolist() == [1, 3, 4]


def test_methods_show_interval_chance_and_speakers(tmp_path, drawn):
    row = rows()[0]
    figures.method_bars([row, {"name": "bare", "macro_f1": 0.4}], tmp_path / "a.svg")
    axes = drawn[0].axes[0]
    whiskers = [line for line in axes.get_lines() if line.get_marker() == "|"]
    assert len(whiskers) == 1
    np.testing.assert_allclose(whiskers[0].get_xdata(), np.multiply(row["interval"]["macro_f1"], 100))
    dots = axes.collections[0].get_offsets()[:, 0]
    np.testing.assert_allclose(
        dots, [100 * row["per_speaker"][name]["macro_f1"] for name in sorted(row["per_speaker"])]
    )
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a speaker", "chance"]


def test_mistakes_are_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"unknown figure format '\.pgn': did you mean '\.png'"):
        draw_confusion(tmp_path / "a.pgn")
    with pytest.raises(UserError, match="no learning curve"):
        figures.learning_curves({"a": []}, tmp_path / "a.png", "t")
    with pytest.raises(UserError, match="no learning curve"):
        figures.learning_curves({"a": [{"stage": "final", "epoch": 1, "loss": 1.0}]}, tmp_path / "a.png", "t")
    with pytest.raises(UserError, match="no methods"):
        figures.curves_by_method({}, tmp_path / "a.png", "t")
    with pytest.raises(UserError, match="no methods"):
        figures.method_bars([], tmp_path / "a.png")


def test_an_old_figure_survives_a_failed_write(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    path = draw_confusion(tmp_path / "a.png")
    before = path.read_bytes()

    def half(self, part, **_):
        part.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        draw_curves(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install 'affetto\[report\]'"):
        draw_confusion(tmp_path / "a.png")


def test_neither_import_nor_drawing_touches_pyplot_or_the_user_s_settings(tmp_path):
    program = f"""
import sys
from affetto.reporting import figures
assert "matplotlib" not in sys.modules
import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["font.size"] = 31
before = dict(matplotlib.rcParams)
figures.method_bars([{{"name": "a", "macro_f1": 0.4}}], {str(tmp_path / "a.png")!r})
assert "matplotlib.pyplot" not in sys.modules
assert dict(matplotlib.rcParams) == before
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
