"""Cards of strangers' models: each mistake is one line, and what is well is let through."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.inference.loading import load
from affetto.inference.shared_weights import load_together
from affetto.models.saved import original_backbone, read_card
from inference.saved import saved_model

BROKEN_SETS: list[dict[str, Any]] = [
    {"levels": [0.9], "limits": {"lac": limits}} for limits in ([], [0.5, 0.6], [1.5], ["x"], {"joy": [0.5]})
] + [{"levels": [0.9], "limits": {"lac-by-class": limits}} for limits in ([0.5], {"joy": [0.5]})]
WRONG: dict[str, Any] = {
    "confidence.temperature": [-1, 0, 0.01, 1e9, float("nan"), float("inf"), "x", None],
    "confidence.thresholds": [None, [], {}, {"joy": 0.5}, {"joy": "x"}, {"joy": 2.0}],
    "confidence.conformal": [None, {}, {"level": 0.9, "dimensions": {"arousal": {"half_width": -1.0}}}],
    "confidence.sets": [[], {}, *BROKEN_SETS],
    "blueprint.labels": [["joy", "joy"], ["joy"], [], ["joy", 5], "joy", ["joy", ""]],
    "blueprint.pooling.layer": [-3, 1.5, "2"],
    "blueprint.pooling.kind": ["meen"],
    "blueprint.method.first_block": [-1],
    "blueprint.method": [None, []],
    "blueprint.head.width": [0],
    "audio": [None, [], {}],
    "audio.seconds": [-4, 0, 1e-9, "4", float("nan")],
    "precision": [None, "float8", 32],
    "backbone": [None, {}],
    "backbone.name": [5],
    "backbone.digest": ["abc"],
    "synthetic": ["yes"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory.mktemp("models") / "frozen", "whisper-mini", "frozen")


def write(folder: Path, content: str, tmp_path: Path) -> Path:
    (tmp_path / "affetto.json").write_text(content)
    return tmp_path


def changed(card: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    card = copy.deepcopy(card)
    *path, last = field.split(".")
    place = card
    for name in path:
        place = place[name]
    place[last] = value
    return card


@pytest.mark.parametrize("field", WRONG)
def test_a_card_that_cannot_be_is_refused_in_a_line_that_names_the_field(
    field: str, folder: Path, tmp_path: Path
) -> None:
    card = json.loads((folder / "affetto.json").read_text())
    for value in WRONG[field]:
        write(folder, json.dumps(changed(card, field, value)), tmp_path)
        with pytest.raises(UserError, match=rf"affetto\.json: {field}") as raised:
            load(tmp_path)
        assert str(raised.value).isprintable() and len(str(raised.value)) < 500


@pytest.mark.parametrize("field", ["audio", "precision", "blueprint", "backbone", "synthetic", "backbone.digest"])
def test_a_card_that_lacks_something_is_refused(field: str, folder: Path, tmp_path: Path) -> None:
    card = json.loads((folder / "affetto.json").read_text())
    place = card["backbone"] if "." in field else card
    del place[field.rpartition(".")[2]]
    with pytest.raises(UserError, match=f"{field}: field required"):
        load(write(folder, json.dumps(card), tmp_path))


@pytest.mark.parametrize(
    "content", ["", "null", "[" * 100_000, '{"a":' * 100_000, '{"format": 2}', "\ud800", "1" * 5000]
)
def test_what_is_no_card_at_all(content: str, tmp_path: Path) -> None:
    (tmp_path / "affetto.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"affetto\.json"):
        load(tmp_path)


def test_a_card_of_an_early_model_and_one_of_a_later_version_are_read(folder: Path, tmp_path: Path) -> None:
    card = json.loads((folder / "affetto.json").read_text())
    assert read_card(folder) == card
    for name in ("confidence", "affetto", "run", "corpus", "licence"):
        del card[name]
    del card["backbone"]["preprocessing"]
    write(folder, json.dumps(card | {"later": {"than": "this"}}), tmp_path)
    read = read_card(tmp_path)
    assert read["run"] == "" and read["later"] == {"than": "this"}
    original_backbone(tmp_path, read)


def checkpoint(root: Path, key: str, **preprocessor: Any) -> Path:
    """A key's random weights as a checkpoint's folder."""
    from transformers import Wav2Vec2FeatureExtractor

    load_backbone(key, random_weights=True).model.save_pretrained(root)
    Wav2Vec2FeatureExtractor(**preprocessor).save_pretrained(root)
    return root


def test_a_backbone_that_prepares_waves_otherwise_is_refused_wherever_it_is_joined(tmp_path: Path) -> None:
    same = checkpoint(tmp_path / "same", "wav2vec2-mini", do_normalize=True)
    other = checkpoint(tmp_path / "other", "wav2vec2-mini", do_normalize=False)
    models = {name: saved_model(tmp_path / name, "wav2vec2-mini", "frozen") for name in ("one", "two")}
    assert load(models["one"], backbone=str(same)).labels
    for join in (
        lambda: load(models["one"], backbone=str(other)),
        lambda: load_together(models, backbone=str(other)),
    ):
        with pytest.raises(UserError, match=r"prepares the sound otherwise \(normalize False instead of True\)"):
            join()


def test_a_backbone_with_other_weights_is_refused(tmp_path: Path) -> None:
    other = checkpoint(tmp_path / "other", "wav2vec2-mini", do_normalize=True)
    weights = load_file(other / "model.safetensors")
    name = next(name for name in weights if name.endswith("layers.0.feed_forward.output_dense.bias"))
    save_file(weights | {name: weights[name] + 1e-3}, other / "model.safetensors", {"format": "pt"})
    model = saved_model(tmp_path / "one", "wav2vec2-mini", "frozen")
    with pytest.raises(UserError, match=r"holds other weights than those that .* was trained on"):
        load(model, backbone=str(other))
