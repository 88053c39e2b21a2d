"""Folders of audonnx: the graph's values by hand, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from affetto.errors import UserError
from affetto.inference.loading import load
from bombs import bomb

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
WEIGHTS = np.array([[1.0, 2.0, 4.0]], np.float32)


def write_folder(
    folder: Path, labels: object, output: str = "logits", shape: tuple = (1, "time"), **fields: object
) -> Path:
    """Write a folder whose outputs are `hidden_states`, the mean of |wave|, and that mean times WEIGHTS."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Abs", ["signal"], ["size"]),
            helper.make_node("ReduceMean", ["size"], ["hidden_states"], keepdims=1, axes=[1]),
            helper.make_node("MatMul", ["hidden_states", "weights"], [output]),
        ],
        "toy",
        [helper.make_tensor_value_info("signal", number, shape)],
        [
            helper.make_tensor_value_info("hidden_states", number, [1, 1]),
            helper.make_tensor_value_info(output, number, [1, 3]),
        ],
        [onnx.numpy_helper.from_array(WEIGHTS, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    facts = {"path": "model.onnx", "labels": labels, "transform": None} | fields
    (folder / "model.yaml").write_text(yaml.safe_dump({"$audonnx.core.model.Model==1.2.0": facts}, sort_keys=False))
    return folder


WAVE = np.tile(np.array([0.1, -0.3], np.float32), 8_000)
"""The mean of its sizes is 0.2."""


def test_dimensions_are_the_graphs_values_within_0_and_1(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"logits": ["arousal", "dominance", "valence"]})
    answer = load(folder)(WAVE)
    assert answer.dimensions == pytest.approx({"arousal": 0.2, "dominance": 0.4, "valence": 0.8}, abs=1e-4)
    assert load(folder)(2 * WAVE).dimensions["valence"] == 1.0


def test_other_labels_are_classes_of_logits_or_of_probabilities(tmp_path: Path) -> None:
    labels = ["happy", "sad", "angry"]
    shares = np.exp([0.8, 0.2, 0.4])
    answer = load(write_folder(tmp_path, {"logits": labels}))(WAVE).probabilities
    assert list(answer.values()) == pytest.approx(shares / shares.sum(), abs=1e-4)
    answer = load(write_folder(tmp_path, {"probabilities": labels}, "probabilities"))(WAVE).probabilities
    assert answer == pytest.approx({"anger": 4 / 7, "joy": 1 / 7, "sadness": 2 / 7}, abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"transform": {"$audonnx.core.function.Function": {"func": "lambda x, sr: x"}}}, "affetto runs no code"),
        ({"labels": None}, "labels of no output"),
        ({"labels": {"logits": ["arousal", "valence"]}}, "logits has 3 values, and model.yaml 2 labels"),
        ({"path": "../../etc/model.onnx"}, None),
    ],
)
def test_what_needs_code_or_does_not_fit_is_refused(fields: dict, words: str | None, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, **{"labels": {"logits": ["arousal", "dominance", "valence"]}} | fields)
    if words is None:
        assert load(folder)(WAVE).dimensions["arousal"] == pytest.approx(
            0.2, abs=1e-4
        )  # the folder's own file, by its name
        return
    with pytest.raises(UserError, match=words):
        load(folder)(WAVE)


def test_a_table_made_to_fill_the_memory_and_labels_that_are_lists_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"logits": [["arousal"], "dominance", "valence"]})
    with pytest.raises(UserError, match="the labels of logits are no list of texts"):
        load(folder)
    (folder / "model.yaml").write_text(f"$audonnx.core.model.Model==1.2.0: {{}}\n{bomb()}")
    with pytest.raises(UserError, match=r"model\.yaml: cannot be read \(more than .* aliases"):
        load(folder)


def test_an_input_of_free_batches_takes_a_clip_and_one_of_fixed_length_is_refused(tmp_path: Path) -> None:
    labels = {"logits": ["arousal", "dominance", "valence"]}
    assert load(write_folder(tmp_path, labels, shape=("batch", "time")))(WAVE).dimensions["arousal"] == pytest.approx(
        0.2, abs=1e-4
    )
    with pytest.raises(UserError, match=r"shape \[1, 8000\], and clips have any length"):
        load(write_folder(tmp_path, labels, shape=(1, 8000)))
