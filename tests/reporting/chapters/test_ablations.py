"""One changed setting beside the recipe, with the sizes of the hidden states."""

from __future__ import annotations

import json

import pytest

from affetto.reporting.chapters.ablations import effect_table
from affetto.reporting.chapters.layers import state_table
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.training.runs import METRICS, RunFolder
from reporting.folders import write_grid
from reporting.tables import cell


def test_ablations_stand_beside_the_unchanged_recipe_with_the_sizes_of_their_states(tmp_path):
    swap = {"settings": {"model.state_norm": "layer"}}
    runs = [({"seed": s}, {"skill": 0.4}) for s in (0, 1)] + [(swap | {"seed": s}, {"skill": 0.8}) for s in (0, 1)]
    grid = write_grid(tmp_path / "out", runs)
    for file in grid.glob(f"runs/*/{METRICS}"):
        metrics = json.loads(file.read_text()) | {"states": {"rms": [1.0, 20.0], "share": [0.1, 0.9], "clips": 8}}
        RunFolder(file.parent).write(METRICS, metrics)
    evidence = Evidence(collect(grid))
    (made,) = contrasts.contrasts(evidence, ["settings"])
    sheet = effect_table(evidence, [made])
    row = {"changed": "model.state_norm layer", "method": "frozen"}
    before, after = (cell(sheet, name, **row).key for name in ("unchanged", "with the change"))
    assert cell(sheet, "difference", **row).key == pytest.approx(after - before) and after > before
    assert "model.state_norm: Is" in sheet.notes[0]
    sizes = state_table(evidence)
    assert sizes is not None and cell(sizes, "1", changed="unchanged").text == "20"
    assert "probe" not in {word for row in sizes.rows for word in row[0].text.split(", ")}
    assert [one.kind for one in contrasts.contrasts(evidence) if one.kind != "settings"] == ["method"]
    assert "ablations" in [chapter.name for chapter in build_sections(evidence)]


def test_an_ablation_with_fewer_seeds_stands_beside_the_same_seeds(tmp_path):
    runs = [({"seed": seed}, {"skill": 0.2 + 0.3 * seed}) for seed in (0, 1)]
    runs += [({"seed": 0, "settings": {"model.state_norm": "layer"}}, {"skill": 0.8})]
    evidence = Evidence(collect(write_grid(tmp_path / "out", runs)))
    (made,) = contrasts.contrasts(evidence, ["settings"])
    (row,) = effect_table(evidence, [made]).rows
    before, after, difference = (row[at].key for at in (5, 6, 7))
    assert after - before == pytest.approx(difference)


def test_what_all_runs_of_a_method_share_is_no_ablation_of_one(tmp_path):
    fewer, swap = {"training.epochs": "5"}, {"model.state_norm": "layer"}
    runs = [({"settings": fewer}, {"skill": 0.4}), ({"settings": fewer | swap}, {"skill": 0.8})]
    runs += [({"method": "lora"}, {"skill": 0.6})]
    evidence = Evidence(collect(write_grid(tmp_path / "out", runs)))
    (made,) = contrasts.contrasts(evidence, ["settings"])
    assert {made.first, made.second} == {"unchanged", "model.state_norm layer"}
    sheet = effect_table(evidence, [made])
    assert [row[0].text for row in sheet.rows] == ["model.state_norm layer"]
    assert sheet.notes[-1] == "frozen: all runs with training.epochs 5"
    # LoRA with all its epochs is not held against a frozen backbone with fewer.
    pairs = [(one.first, one.second) for one in contrasts.contrasts(evidence, ["method"])]
    assert ("LoRA", "frozen") not in pairs and pairs


def test_probes_alone_have_their_changed_settings_compared_and_beside_trained_methods_they_have_not(tmp_path):
    probe = {"method": "probe", "recipe": "recommended"}
    change = {"settings": {"augment.copies": '["pitch:-2"]'}}
    alone = [(probe, {"skill": 0.4}), (probe | change, {"skill": 0.8})]
    (made,) = contrasts.contrasts(Evidence(collect(write_grid(tmp_path / "alone", alone))), ["settings"])
    assert {made.first, made.second} == {"unchanged", 'augment.copies ["pitch:-2"]'}
    assert made.comparison.difference != 0
    mixed = write_grid(tmp_path / "mixed", [*alone, ({"recipe": "recommended"}, {"skill": 0.6})])
    assert not contrasts.contrasts(Evidence(collect(mixed)), ["settings"])
