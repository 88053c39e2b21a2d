"""Cost against the score."""

from __future__ import annotations

from affetto.models.methods.registry import METHODS
from affetto.reporting.chapters.cost import Point, cost_pictures, cost_table, draw_cost, pareto_front
from affetto.reporting.render.canvas import MARKS
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from reporting.chapters.drawings import BACKBONES, DRAWINGS
from reporting.drawing import texts
from reporting.folders import write_run
from reporting.tables import cell


def test_each_method_and_backbone_is_drawn_and_told_apart_a_strange_one_too(tmp_path, figures):
    DRAWINGS["cost"](tmp_path / "a.svg", "")
    marks = [line for line in figures[0].axes[0].get_lines() if line.get_marker() != "None"]
    assert {line.get_label() for line in marks} == {f"{m}, {b}" for m in ("LoRA", "dora") for b in BACKBONES}
    assert len({(line.get_color(), line.get_marker()) for line in marks}) == len(marks) == 6
    across = {line.get_label(): line.get_ydata()[0] for line in figures[0].axes[0].get_lines() if line not in marks}
    steps = across.pop("best up to the cost", None)
    assert steps is not None
    assert across == {f"probe, {name}": 44.0 + n for n, name in enumerate(BACKBONES)}
    words = " ".join(text.get_text() for text in texts(figures[0]))
    assert "95 % interval over 14 clips" in words.replace("\n", " ")


def test_the_front_is_what_nothing_cheaper_reaches():
    costs = {"probe": (1, 50.0), "dear": (9, 55.0), "worse": (4, 52.0), "better": (4, 60.0), "cheap": (2, 50.0)}
    points = [
        Point(method=name, backbone="b", score=score, low=0.0, high=99.0, trained=trained, seconds=10.0 - trained)
        for name, (trained, score) in costs.items()
    ]
    assert [point.method for point in pareto_front(points, "trained")] == ["probe", "better"]
    assert [point.method for point in pareto_front(points, "seconds")] == ["dear", "better"]


def test_every_method_has_a_look_and_a_title_of_its_own(tmp_path, figures):
    titles = [method.title for method in METHODS.values()]
    assert len(set(titles)) == len(titles) > len(MARKS)
    points = [
        Point(method=title, backbone="Whisper Base", score=50.0, low=40.0, high=60.0, trained=10**n, seconds=60.0 + n)
        for n, title in enumerate(titles)
    ]
    draw_cost(points, tmp_path / "a.svg", "Cost")
    marks = [line for line in figures[0].axes[0].get_lines() if line.get_marker() != "None"]
    assert {line.get_label() for line in marks} == set(titles)
    assert len({(line.get_color(), line.get_marker()) for line in marks}) == len(titles)


def test_size_on_disk_and_the_time_of_all_seeds(tmp_path):
    """Runs of seed 0 and 1 take 60 and 61 seconds; the model of one of them was kept."""
    folders = [write_run(tmp_path / f"lora-{seed}", method="lora", seed=seed) for seed in (0, 1)]
    (folders[1] / "model" / "method").mkdir(parents=True)
    (folders[1] / "model" / "head.safetensors").write_bytes(b"0" * 2**20)
    (folders[1] / "model" / "method" / "adapter_model.safetensors").write_bytes(b"0" * 2**19)
    write_run(tmp_path / "frozen")
    table = cost_table(Evidence(collect(tmp_path)))
    trained, seconds = (cell(table, name, method="LoRA") for name in ("trained", "time a run"))
    assert (trained.under, seconds.text, seconds.under) == ("1.5 MiB", "1 min 00 s", "in all 2 min 01 s")
    assert cell(table, "trained", method="frozen").under == "" and "took 3 min 01 s" in table.caption


def test_marks_that_would_hide_each_other_stand_side_by_side_and_keep_their_values(tmp_path, figures):
    points = [
        Point(method=name, backbone="b", score=score, low=40.0, high=60.0, trained=trained, seconds=seconds)
        for name, score, trained, seconds in (
            ("a", 50.0, 1000, 10.0),
            ("b", 50.2, 1001, 200.0),
            ("c", 50.1, 1002, 4000.0),
            ("d", 80.0, 1000, 10.0),
            ("e", 50.0, 10**6, 900.0),
        )
    ]
    draw_cost(points, tmp_path / "a.svg", "Cost")
    near, far = ([line for line in axes.get_lines() if line.get_marker() != "None"] for axes in figures[0].axes[:2])
    for lines, apart in ((near, True), (far, False)):
        centres = [line.get_transform().transform(line.get_xydata())[0] for line in lines]
        plain = [line.axes.transData.transform(line.get_xydata())[0] for line in lines]
        moved = [bool(abs(a - b).max() > 1e-6) for a, b in zip(centres, plain, strict=True)]
        assert moved == [apart, False, apart, False, False]  # the middle one of three stays, and so does the one above
        reach = 6.9 * figures[0].dpi / 72
        assert all(abs(a - b).max() >= reach for n, a in enumerate(centres) for b in centres[:n])
    assert [line.get_ydata()[0] for line in near] == [50.0, 50.2, 50.1, 80.0, 50.0]


def test_recipes_and_settings_of_a_method_are_told_apart(tmp_path):
    for recipe in ("paper", "recommended"):
        write_run(tmp_path / recipe, method="frozen", recipe=recipe)
    (picture,) = cost_pictures(Evidence(collect(tmp_path)))
    assert [point.method for point in picture.draw.args[0]] == ["frozen, paper", "frozen, recommended"]
