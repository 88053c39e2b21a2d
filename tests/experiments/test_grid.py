"""A grid file and what it means, without corpora and weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.experiments import grid
from affetto.experiments.miniature import miniature
from affetto.models.keys import BACKBONES

GRIDS = Path(__file__).parents[2] / "grids"
SMALL = """
axes:
  backbone: [whisper-mini, wav2vec2-mini]
  corpus: table
  method: [frozen, lora]
  seed: [0, 1]
  random_weights: true
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "grid.yaml").write_text(text)
    return tmp_path / "grid.yaml"


def test_the_paper_s_grid_is_216_distinct_runs():
    paper = grid.read(GRIDS / "paper.yaml")
    assert len(paper.runs) == len({run.identity for run in paper.runs}) == len({run.name for run in paper.runs}) == 216
    assert {run["seed"] for run in paper.runs} == {0, 1, 2}
    assert len({(run["backbone"], run["corpus"], run["method"]) for run in paper.runs}) == 72
    assert {run.settings.training.epochs for run in paper.runs} == {30}


def test_emovo_s_grid_has_the_probe_once_and_both_recipes():
    runs = grid.read(GRIDS / "emovo-loso.yaml").runs
    assert len(runs) == 3 + 2 * 3 * 3
    assert {run["recipe"] for run in runs if run["method"] == "probe"} == {"recommended"}


def test_every_grid_of_the_repository_can_be_read():
    assert sorted(GRIDS.glob("*.yaml"))
    for file in GRIDS.glob("*.yaml"):
        assert grid.read(file).name == file.stem


def test_axes_excludes_and_overrides(tmp_path):
    runs = grid.read(written(tmp_path, SMALL + """
  lora.alpha: [1, 8.5]
exclude:
  - {method: frozen, lora.alpha: 8.5}
overrides:
  - {when: {backbone: whisper-mini, method: lora}, set: {training.batch_size: 4}}
""")).runs  # fmt: skip
    assert len(runs) == 2 * (1 + 2) * 2
    for run in runs:
        small = run["backbone"] == "whisper-mini" and run["method"] == "lora"
        assert run.settings.training.batch_size == (4 if small else 32)
        assert run.settings.lora.alpha == run["lora.alpha"]
        assert run.told()["settings"]["lora.alpha"] == run["lora.alpha"]


def test_a_run_keeps_its_name_when_the_grid_grows_and_changes_it_with_its_settings(tmp_path):
    before = {run.name for run in grid.read(written(tmp_path, SMALL)).runs}
    more = {run.name for run in grid.read(written(tmp_path, SMALL.replace("[0, 1]", "[0, 1, 2]"))).runs}
    other = {run.name for run in grid.read(written(tmp_path, SMALL + "  training.epochs: 3\n")).runs}
    assert before < more and not before & other


def test_only_takes_the_runs_that_have_one_of_the_values(tmp_path):
    whole = grid.read(written(tmp_path, SMALL))
    assert len(whole.only({"method": ["lora"], "seed": ["0", "1"]}).runs) == 4
    assert len(whole.only({"random_weights": ["true"]}).runs) == 8
    with pytest.raises(UserError, match=r"unknown axis of this grid 'sead': did you mean 'seed'"):
        whole.only({"sead": ["0"]})
    with pytest.raises(UserError, match=r"unknown method in this grid 'adapter'"):
        whole.only({"method": ["adapter"]})
    with pytest.raises(UserError, match="no run of the grid matches all of --only"):
        grid.read(written(tmp_path, SMALL + "exclude:\n  - {method: lora, seed: 1}\n")).only(
            {"method": ["lora"], "seed": ["1"]}
        )


def test_a_corpus_needs_a_place_when_a_run_is_made(tmp_path):
    first = grid.read(written(tmp_path, SMALL.replace("corpus: table", "corpus: emovo+demos"))).runs[0]
    with pytest.raises(UserError, match=r"corpus 'demos' has no place: give --corpus demos=PATH"):
        first.spec({"emovo": "a"})
    spec = first.spec({"emovo": "a", "demos": "b"})
    assert [(corpus.name, corpus.path) for corpus in spec.corpora] == [("emovo", "a"), ("demos", "b")]
    assert spec.random_weights and spec.backbone == "whisper-mini" and not spec.final


@pytest.mark.parametrize(("change", "told"), [
    (("  seed", "  sede"), r"unknown axis in .*grid.yaml 'sede': did you mean 'seed'"),
    (("[frozen, lora]", "[frozen, lorra]"), r"unknown method in .* 'lorra': did you mean 'lora'"),
    (("wav2vec2-mini", "wav2vec2-mni"), r"unknown backbone key 'wav2vec2-mni': did you mean 'wav2vec2-mini'"),
    (("[0, 1]", "[0, 0]"), r"axis 'seed' has 0 twice"),
    (("[0, 1]", "[]"), r"axis 'seed' has no values"),
    (("[0, 1]", "[0.5]"), r"whole numbers"),
    (("[0, 1]", "[true]"), r"whole numbers"),
    (("corpus: table", "corpus: [3]"), r"its values are names"),
    (("random_weights: true", "random_weights: 1"), r"true and false"),
    (("  corpus: table\n", ""), r"no axis 'corpus'"),
    (("axes:", "axis:"), r"a mapping with `axes:`"),
    (("axes:", "exlude: []\naxes:"), r"unknown part of .* 'exlude': did you mean 'exclude'"),
    (("axes:", "axes: ["), r"no YAML"),
    (("  seed", "  recipe: papr\n  seed"), r"unknown recipe 'papr'"),
    (("  seed", "  split: losso\n  seed"), r"unknown split in .* 'losso': did you mean 'loso'"),
    (("  seed", "  training.epochs: many\n  seed"), r"setting training.epochs='many'"),
    (("  seed", "  lora.alpha: [1, 2]\n  seed"), r"two runs would be the same, .*lora.alpha 1.*lora.alpha 2"),
    (("axes:", "exclude:\n  - {method: [frozen, lora]}\naxes:"), r"an empty grid"),
    (("axes:", "exclude:\n  - {method: full}\naxes:"), r"unknown method under `exclude` in .* 'full'"),
    (("axes:", "exclude:\n  - frozen\naxes:"), r"an entry of `exclude` is a mapping"),
    (("axes:", "overrides:\n  - {when: {seed: 0}}\naxes:"), r"an entry of `overrides` is"),
    (("axes:", "overrides:\n  - {when: {seed: 0}, set: {lora.alfa: 1}}\naxes:"), r"unknown setting .* 'lora.alfa'"),
])  # fmt: skip
def test_what_makes_no_grid_is_told_in_one_line(change, told, tmp_path):
    with pytest.raises(UserError, match=told):
        grid.read(written(tmp_path, SMALL.replace(*change)))


def test_an_entry_that_matches_nothing_is_a_mistake(tmp_path):
    text = SMALL + "exclude:\n  - {method: lora}\n  - {method: lora, seed: 0}\n"
    grid.read(written(tmp_path, text))  # both match combinations, though one would do
    text = SMALL + "exclude:\n  - {method: lora}\noverrides:\n  - {when: {method: lora}, set: {lora.alpha: 2}}\n"
    with pytest.raises(UserError, match="matches no run"):
        grid.read(written(tmp_path, text))


def test_no_file_is_told(tmp_path):
    with pytest.raises(UserError, match="the grid cannot be read"):
        grid.read(tmp_path / "none.yaml")


# Miniatures --------------------------------------------------------------------------------------


def test_the_paper_s_grid_in_small_keeps_its_runs_and_the_shape_of_each_backbone():
    paper = grid.read(GRIDS / "paper.yaml")
    small = miniature(paper)
    assert len({run.identity for run in small.runs}) == 216
    assert not {run.name for run in small.runs} & {run.name for run in paper.runs}
    assert [run["backbone"] for run in small.runs] == [run["backbone"] for run in paper.runs]
    stand_ins = {run["backbone"]: (run.stand_in, run["weights_seed"]) for run in small.runs}
    assert len(set(stand_ins.values())) == 8  # none shares another's weights
    for key, (stand_in, _) in stand_ins.items():
        own, small_one = BACKBONES[key], BACKBONES[stand_in]
        assert own.family == small_one.family and own.normalize == small_one.normalize
        for name in ("do_stable_layer_norm", "feat_extract_norm"):
            assert own.config.get(name) == small_one.config.get(name), (key, name)
    for run in small.runs:
        spec = run.spec({"emovo": "a", "emozionalmente": "b", "demos": "c"})
        assert spec.random_weights and spec.backbone == run.stand_in and spec.settings.training.epochs == 2
        assert run.told()["backbone"] == run["backbone"]


def test_a_miniature_of_what_is_no_key_or_corpus_of_the_paper_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"unknown backbone key 'openai/whisper-tiny.en'.*shapes of keys only"):
        miniature(grid.read(GRIDS / "emovo-loso.yaml"))
    with pytest.raises(UserError, match=r"unknown corpus 'table'.*can make these"):
        miniature(grid.read(written(tmp_path, SMALL)))
