"""A grid file and what it means, without corpora and weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from affetto.backbones.catalogue import BACKBONES
from affetto.errors import UserError
from affetto.experiments import grid
from affetto.experiments.miniature import miniature
from affetto.experiments.planned import PlannedRun
from affetto.training.spec import settings

GRIDS = Path(__file__).parents[2] / "grids"
ADAPTERS = {"adapter_houlsby": "houlsby", "adapter_parallel": "parallel", "adapter_peft_ser": "peft_ser"}
"""The placement that a variant of the Adapter's stands for."""
NOISY = "adapter_peft_ser_noise"
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
    runs = grid.read(
        written(
            tmp_path,
            SMALL
            + """
  lora.alpha: [1, 8.5]
exclude:
  - {backbone: whisper-mini, lora.alpha: 8.5}
overrides:
  - {when: {backbone: whisper-mini, method: lora}, set: {training.batch_size: 4}}
""",
        )
    ).runs
    assert len(runs) == (1 + 1) * 2 + (1 + 2) * 2
    for run in runs:
        small = run["backbone"] == "whisper-mini" and run["method"] == "lora"
        assert run.settings.training.batch_size == (4 if small else 32)
        named = run.to_json()["settings"]
        if run["method"] == "lora":
            assert run.settings.lora.alpha == run["lora.alpha"] == named["lora.alpha"]
        else:
            assert not named


def test_every_axis_reaches_the_run_and_its_identity(tmp_path):
    axes = {"split": "kfold:3", "split_seed": 4, "weights_seed": 5, "recipe": "paper", "seed": 6}
    base = "axes:\n  backbone: whisper-mini\n  corpus: table\n  method: lora\n  random_weights: true\n"

    def planned(text: str) -> PlannedRun:
        (run,) = grid.read(written(tmp_path, base + text)).runs
        return run

    plain, corpora = planned(""), {"table": "clips.csv"}
    for axis, value in axes.items():
        run = planned(f"  {axis}: {value}\n")
        assert run.identity != plain.identity
        assert getattr(run.spec(corpora), axis) == value
        assert run.spec(corpora).identity({}) != plain.spec(corpora).identity({})


def test_a_setting_reaches_the_runs_that_it_has_an_effect_on(tmp_path):
    """The probe is one and the same whatever the epochs of others; the others are told apart by them."""
    text = SMALL.replace("[frozen, lora]", "[probe, frozen, lora]").replace(
        "[whisper-mini, wav2vec2-mini]", "xlsr-mini"
    )
    plain = grid.read(written(tmp_path, text)).runs
    runs = grid.read(written(tmp_path, text + "  training.epochs: [3, 5]\n  lora.rank: [2, 4]\n")).runs
    by_method = {name: [run for run in runs if run["method"] == name] for name in ("probe", "frozen", "lora")}
    assert {name: len(some) for name, some in by_method.items()} == {"probe": 2, "frozen": 4, "lora": 8}
    assert {run.name for run in by_method["probe"]} == {run.name for run in plain if run["method"] == "probe"}
    assert {run.settings.training.epochs for run in by_method["probe"]} == {0}
    few = grid.read(written(tmp_path, text + "  training.epochs: [3, 5]\n")).only({"training.epochs": ["3"]})
    assert {run["method"] for run in few.runs} == {"frozen", "lora"}


def test_runs_on_the_same_statistics_share_them_whatever_they_take_of_them(tmp_path):
    text = SMALL.replace("[frozen, lora]", "[probe, frozen, lora]").replace(
        "[whisper-mini, wav2vec2-mini]", "xlsr-mini"
    )
    runs = grid.read(written(tmp_path, text + "  model.states: [1, 2]\n  training.first_block: 1\n")).runs
    shared = {name: {run.shares for run in runs if run["method"] == name} for name in ("probe", "frozen", "lora")}
    assert len(shared["probe"] | shared["frozen"]) == 1 and len(shared["lora"]) == 2
    other = grid.read(written(tmp_path, text + "  model.state_norm: layer\n")).only({"method": ["frozen"]})
    assert not shared["frozen"] & {run.shares for run in other.runs}


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


def test_only_takes_the_runs_of_a_variant_or_of_none(tmp_path):
    entry = "variants:\n  - {name: faster, when: {method: lora}, set: {training.lr: 0.01}}\n"
    whole = grid.read(written(tmp_path, SMALL + entry))
    faster, plain = whole.only({"variant": ["faster"]}).runs, whole.only({"variant": ["none"]}).runs
    assert {run.variant for run in faster} == {"faster"} and {run["method"] for run in faster} == {"lora"}
    assert plain == grid.read(written(tmp_path, SMALL)).runs
    assert len(whole.only({"variant": ["none", "faster"]}).runs) == len(whole.runs) == len(faster) + len(plain)
    with pytest.raises(UserError, match=r"unknown variant in this grid 'fastest': did you mean 'faster'"):
        whole.only({"variant": ["fastest"]})
    with pytest.raises(UserError, match=r"`none` names the runs that are no variant; give .* another name"):
        grid.read(written(tmp_path, SMALL + entry.replace("faster", "none")))


def test_a_corpus_needs_a_place_when_a_run_is_made(tmp_path):
    first = grid.read(written(tmp_path, SMALL.replace("corpus: table", "corpus: emovo+demos"))).runs[0]
    with pytest.raises(UserError, match=r"corpus 'demos' has no place: give --corpus demos=PATH"):
        first.spec({"emovo": "a"})
    spec = first.spec({"emovo": "a", "demos": "b"})
    assert [(corpus.name, corpus.path) for corpus in spec.corpora] == [("emovo", "a"), ("demos", "b")]
    assert spec.random_weights and spec.backbone == "whisper-mini" and not spec.final


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("  seed", "  sede"), r"unknown axis in .*grid.yaml 'sede': did you mean 'seed'"),
        (("[frozen, lora]", "[frozen, lorra]"), r"\.yaml: unknown method 'lorra': did you mean 'lora'"),
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
        (("  seed", "  split: losso\n  seed"), r"unknown split protocol 'losso': did you mean 'loso'"),
        (("  seed", "  split: kfold:0\n  seed"), r"kfold:0: the number of folds must be 3 or more"),
        (("  seed", "  split: 'kfold:²'\n  seed"), r"kfold:²: the number of folds"),
        (("  seed", "  recipe: 3\n  seed"), r"axis 'recipe' has 3; its values are names"),
        (("[0, 1]", "[-1]"), r"whole numbers from 0 to 2147483647"),
        (("[0, 1]", "[2147483648]"), r"whole numbers from 0 to 2147483647"),
        (("axes:", "exclude: 3\naxes:"), r"`exclude` is a list of entries"),
        (("axes:", "overrides: 3\naxes:"), r"`overrides` is a list of entries"),
        (("axes:", "variants: {a: 3}\naxes:"), r"`variants` is a list of entries"),
        (("  seed", "  training.epochs: many\n  seed"), r"setting training.epochs='many'"),
        (("[frozen, lora]", "probe\n  recipe: [recommended, paper]"), r"two runs would be the same, .*recipe paper"),
        (("  seed", "  adapter.scale: 1\n  seed"), r"adapter.scale has no effect on any run"),
        (("axes:", "exclude:\n  - {method: [frozen, lora]}\naxes:"), r"an empty grid"),
        (("axes:", "exclude:\n  - {method: full}\naxes:"), r"unknown method under `exclude` in .* 'full'"),
        (("axes:", "exclude:\n  - frozen\naxes:"), r"an entry of `exclude` is a mapping"),
        (("axes:", "overrides:\n  - {when: {seed: 0}}\naxes:"), r"an entry of `overrides` is"),
        (("axes:", "overrides:\n  - {when: {seed: 0}, set: {lora.alfa: 1}}\naxes:"), r"unknown setting .* 'lora.alfa'"),
    ],
)
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
        assert run.to_json()["backbone"] == run["backbone"]


def test_a_miniature_of_what_is_no_key_or_corpus_of_the_paper_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"unknown backbone key 'openai/whisper-tiny.en'.*shapes of keys only"):
        miniature(grid.read(GRIDS / "emovo-loso.yaml"))
    with pytest.raises(UserError, match=r"unknown corpus 'table'.*can make these"):
        miniature(grid.read(written(tmp_path, SMALL)))


# Variants ----------------------------------------------------------------------------------------

VARIANTS = """
variants:
  - {name: louder, when: {method: lora}, set: {lora.alpha: 8}}
  - {name: normed, set: {model.state_norm: layer}}
"""


def test_variants_stand_beside_the_runs_that_they_vary(tmp_path):
    text = SMALL.replace("random_weights: true", "random_weights: true\n  recipe: paper")
    plain = grid.read(written(tmp_path, text)).runs
    runs = grid.read(written(tmp_path, text + VARIANTS + "record_states: true\n")).runs
    assert len(runs) == 2 * 2 * (2 + 3)  # backbones × seeds × (frozen: itself, normed; lora: itself and both)
    assert {run.name for run in plain} == {run.name for run in runs if run.variant is None}
    for run in runs:
        assert run.settings.lora.alpha == (8 if run.variant == "louder" else 1)
        assert run.settings.model.state_norm == ("layer" if run.variant == "normed" else "none")
        assert run.to_json().get("variant") == run.variant
        assert (f"_{run.variant}_" in run.name) == (run.variant is not None)
        assert run.spec({"table": "a"}).record_states
    assert len({run.identity for run in runs}) == len({run.name for run in runs}) == len(runs)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("when: {method: lora}, ", ""), r"two runs would be the same, .*variant louder\).*by `when`"),
        (("name: louder, ", ""), r"an entry of `variants` is"),
        (("set: {lora.alpha: 8}", "set: {}"), r"an entry of `variants` is"),
        (("lora.alpha: 8", "lora.alfa: 8"), r"unknown setting under `variants` in .* 'lora.alfa'"),
        (("method: lora", "method: full"), r"unknown method under `variants` in .* 'full'"),
        (("method: lora", "method: lora, seed: 0"), None),
    ],
)
def test_a_variant_that_cannot_be_is_told(change, told, tmp_path):
    text = written(tmp_path, SMALL + "  recipe: paper\n" + VARIANTS.replace(*change))
    if told is None:
        assert sum(run.variant == "louder" for run in grid.read(text).runs) == 2
        return
    with pytest.raises(UserError, match=told):
        grid.read(text)


def test_a_variant_that_matches_nothing_or_states_that_are_no_switch_are_mistakes(tmp_path):
    with pytest.raises(UserError, match="matches no run"):
        grid.read(written(tmp_path, SMALL + "exclude:\n  - {method: lora}\n" + VARIANTS))
    with pytest.raises(UserError, match="record_states is 1; it is true or false"):
        grid.read(written(tmp_path, SMALL + "record_states: 1\n"))
    with pytest.raises(UserError, match="allow_duplicates is 'no'; it is true or false"):
        grid.read(written(tmp_path, SMALL + "allow_duplicates: 'no'\n"))
    runs = grid.read(written(tmp_path, SMALL + "allow_duplicates: true\n")).runs
    plain = grid.read(written(tmp_path, SMALL)).runs
    assert all(run.spec({"table": "clips.csv"}).allow_duplicates for run in runs)
    assert [run.name for run in runs] == [run.name for run in plain]


def test_the_short_ablations_change_an_adapter_and_a_lora_of_ten_epochs():
    runs = grid.read(GRIDS / "emovo-ablations-short.yaml").runs
    assert {(run["method"], run.variant) for run in runs} == {
        ("adapter", None),
        *(("adapter", variant) for variant in ADAPTERS),
        ("lora", None),
        ("lora", "alpha_8"),
    }
    assert len(runs) == 6 and {run.settings.training.epochs for run in runs} == {10}


@pytest.mark.parametrize("name", ["ablations", "emovo-ablations"])
def test_the_ablations_change_one_thing_each_and_hold_their_baselines(name):
    runs = grid.read(GRIDS / f"{name}.yaml").runs
    plain = {(r["backbone"], r["corpus"], r["method"], r["seed"]): r for r in runs if r.variant is None}
    assert all(run.settings == settings("paper", method=run["method"]) for run in plain.values())
    for run in runs:
        beside = plain[run["backbone"], run["corpus"], run["method"], run["seed"]]
        one, other = run.settings.model_dump(), beside.settings.model_dump()
        differing = [f"{s}.{f}" for s in one for f in one[s] if one[s][f] != other[s][f]]
        if run.variant in (*ADAPTERS, NOISY):  # a placement brings the scale and dropout that it was published with
            noise = {"augment.noise_snr_db", "augment.time_mask"} if run.variant == NOISY else set()
            placed = ADAPTERS.get(run.variant, "peft_ser")
            assert one["adapter"]["placement"] == placed and beside.settings.adapter.placement == "sequential"
            also = set() if placed == "houlsby" else {"adapter.scale", "adapter.dropout"}
            assert set(differing) == {"adapter.placement"} | also | noise, run.name
            continue
        assert len(differing) == (run.variant is not None), run.name
    kinds = {run.variant for run in runs} - {None}
    shown = {"state_norm", *ADAPTERS, NOISY, "unmasked_mean", "without_embedding", "alpha_8"}
    more = {"layer_norm_swap", "no_class_weights"} if name == "ablations" else {"random_batches"}
    assert kinds == shown | more
    for run in runs:
        if run.variant == "layer_norm_swap":
            assert BACKBONES[run["backbone"]].config.get("do_stable_layer_norm")


def test_other_labels_as_classes_make_another_run(tmp_path):
    plain = grid.read(written(tmp_path, SMALL)).runs
    runs = grid.read(written(tmp_path, SMALL + "keep_other: true\n")).runs
    assert not {run.name for run in plain} & {run.name for run in runs}
    assert [run.spec({"table": "a"}).keep_other for run in (plain[0], runs[0])] == [False, True]


AUXILIARY = """
axes:
  backbone: whisper-mini
  corpus: table
  auxiliary: [[], [ravdess, emodb], nemo]
  method: frozen
  random_weights: true
"""


def test_corpora_that_join_the_training_make_other_runs_and_need_places(tmp_path):
    plain, two, nemo = grid.read(written(tmp_path, AUXILIARY)).runs
    without = AUXILIARY.replace("  auxiliary: [[], [ravdess, emodb], nemo]\n", "")
    (alone,) = grid.read(written(tmp_path, without)).runs
    assert plain.identity == alone.identity and plain.name == alone.name, "earlier grids keep the names of their runs"
    assert two.corpora == ("table", "ravdess", "emodb") and nemo["auxiliary"] == "nemo"
    places = {name: f"/data/{name}" for name in ("table", "ravdess", "emodb")}
    assert [corpus.name for corpus in two.spec(places).corpora] == ["table"]
    assert [corpus.path for corpus in two.spec(places).auxiliary] == ["/data/ravdess", "/data/emodb"]
    assert plain.spec(places).auxiliary == () and "with-ravdess+emodb" in two.name
    with pytest.raises(UserError, match=r"'nemo' has no place: give --corpus nemo=PATH"):
        nemo.spec(places)


def test_settings_of_auxiliary_corpora_reach_the_runs_that_have_some(tmp_path):
    text = AUXILIARY + "  auxiliary.standardise: [pooled, corpus]\n"
    runs = grid.read(written(tmp_path, text)).runs
    assert [(run["auxiliary"], run.settings.auxiliary.standardise) for run in runs] == [
        (None, "pooled"),
        ("ravdess+emodb", "pooled"),
        ("ravdess+emodb", "corpus"),
        ("nemo", "pooled"),
        ("nemo", "corpus"),
    ]


def test_a_corpus_does_not_join_its_own_training(tmp_path):
    text = AUXILIARY.replace("corpus: table", "corpus: [table, nemo]")
    entry = "[{corpus: nemo, auxiliary: nemo}]"
    with pytest.raises(
        UserError, match=re.escape(f"nemo cannot join its own training: leave the run out by `exclude: {entry}")
    ):
        grid.read(written(tmp_path, text))
    assert len(grid.read(written(tmp_path, f"{text}exclude: {entry}\n")).runs) == 5


@pytest.mark.parametrize("value", ["3", "a++b", "[[1, '']]"])
def test_an_auxiliary_corpus_is_a_name(value, tmp_path):
    text = AUXILIARY.replace("[[], [ravdess, emodb], nemo]", value)
    with pytest.raises(UserError, match="axis 'auxiliary' has"):
        grid.read(written(tmp_path, text))
