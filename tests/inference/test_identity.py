"""Identity of a saved model: the same for the same content, another for whatever changes its answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import IO

import pytest
import torch
from safetensors.torch import load_file, save_file

from affetto.errors import UserError
from affetto.export.ensemble import build_ensemble
from affetto.export.source import trained_predictor
from affetto.export.transformers_folder import export_hf
from affetto.inference.identity import LENGTH, PIECE_BYTES, PIECES, WHOLE_BYTES, identity_of
from affetto.inference.loading import load
from affetto.inference.outside.entry import ModelEntry, open_entry
from affetto.inference.outside.predictor import OutsidePredictor
from affetto.inference.shared_weights import load_together, shared_bytes
from affetto.models.saved import CARD, HEAD
from inference.outside.checkpoints import write_checkpoint
from inference.saved import saved_model

LARGE = WHOLE_BYTES // 4 + 1
"""Numbers in float32 of a tensor that is not read whole."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory.mktemp("identity") / "model", "whisper-mini", "lora", head="linear")


def of(model: Path) -> str:
    identity = identity_of(load(model, device="cpu").files)
    assert identity is not None and len(identity) == LENGTH
    return identity


def shifted(file: Path, name: str | None = None) -> None:
    """Move one number of a tensor in a file."""
    tensors = load_file(file)
    tensors[name or next(iter(tensors))].view(-1)[0] += 0.25
    save_file(tensors, file)


def test_a_copy_is_the_same_model_and_each_file_counts(folder: Path, tmp_path: Path) -> None:
    identity = of(folder)
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert of(copy) == identity
    (copy / "trained_on.jsonl").write_text("{}\n")  # beside the model: no answer depends on it
    assert of(copy) == identity
    seen = {identity}
    for change in (HEAD, "method/adapter_model.safetensors"):
        shifted(copy / change)
        seen.add(of(copy))
    card = json.loads((copy / CARD).read_text())
    (copy / CARD).write_text(json.dumps(card | {"confidence": {"temperature": 2.5}}))
    seen.add(of(copy))
    assert len(seen) == 4


def test_models_that_share_memory_have_their_own(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    shifted(other / HEAD)
    together = load_together({"a": folder, "b": other}, device="cpu")
    assert shared_bytes(together["a"], together["b"])
    assert [identity_of(model.files) for model in together.values()] == [of(folder), of(other)]


def test_an_ensemble_s_depends_on_each_member(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    shifted(other / HEAD)
    for model in (folder, other):
        row = {"clip": "a.wav", "corpus": "emovo", "speaker": "s", "audio": model.name}
        (model / "trained_on.jsonl").write_text(json.dumps(row) + "\n")
    build_ensemble([folder, other], tmp_path / "both", how="probabilities")
    before = of(tmp_path / "both")
    shifted(tmp_path / "both" / "members" / "2" / HEAD)
    assert of(tmp_path / "both") != before


def test_exports_and_models_of_others_have_one(folder: Path, tmp_path: Path) -> None:
    export_hf(trained_predictor(folder), tmp_path / "hf")
    write_checkpoint(tmp_path / "stock")
    for model in (tmp_path / "hf", tmp_path / "stock"):
        before = of(model)
        shutil.copytree(model, tmp_path / "copy")
        assert of(tmp_path / "copy") == before
        shifted(tmp_path / "copy" / "model.safetensors")
        assert of(tmp_path / "copy") != before
        shutil.rmtree(tmp_path / "copy")
    relabelled = load_together({"a": tmp_path / "stock"}, device="cpu", label_map={"zeal": ""})["a"]
    assert identity_of(relabelled.files) == of(tmp_path / "stock")


def test_a_model_of_another_package_has_none() -> None:
    entry = ModelEntry(name="toy", title="Toy", load=lambda device: lambda wave: [0.5, 0.5], labels=("sad", "joy"))
    model = OutsidePredictor(open_entry(entry, "cpu"), {"source": "toy"})
    assert identity_of(model.files) is None


def test_a_small_tensor_beside_a_large_one_counts_to_its_last_number(tmp_path: Path) -> None:
    """As the head on a frozen backbone, in one file."""
    size = WHOLE_BYTES // 4
    tensors = {"backbone": torch.zeros(8 * LARGE), "head": torch.zeros(size), "rest": torch.zeros(8 * LARGE)}
    save_file(tensors, tmp_path / "a.safetensors")
    before = identity_of([tmp_path / "a.safetensors"])
    for at in (0, size // 5, -1):
        tensors["head"] = torch.zeros(size)
        tensors["head"][at] = 1e-6
        save_file(tensors, tmp_path / "a.safetensors")
        assert identity_of([tmp_path / "a.safetensors"]) != before


def test_a_trained_large_tensor_counts_and_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, read = tmp_path / "a.safetensors", list[int]()
    save_file({"a": torch.zeros(64 * LARGE)}, file)
    before = identity_of([file])
    save_file({"a": torch.full((64 * LARGE,), 1e-6)}, file)
    assert identity_of([file]) != before
    for at in (0, -1):  # its ends are parts that are read
        numbers = torch.zeros(64 * LARGE)
        numbers[at] = 1.0
        save_file({"a": numbers}, file)
        assert identity_of([file]) != before
    whole = file.stat().st_size
    with file.open("rb") as stream:
        monkeypatch.setattr(Path, "open", lambda *_: _Counted(stream, read))
        identity_of([file])
    assert PIECES * PIECE_BYTES < sum(read) < PIECES * PIECE_BYTES + 1000 < whole / 100


class _Counted:
    """A stream that notes how much is read of it."""

    def __init__(self, stream: IO[bytes], read: list[int]) -> None:
        self.stream, self.sizes, self.seek = stream, read, stream.seek

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, size: int) -> bytes:
        content = self.stream.read(size)
        self.sizes.append(len(content))
        return content


def test_a_file_that_is_gone_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0[]")
    for name in ("broken.safetensors", "absent.onnx"):
        with pytest.raises(UserError, match=rf"{name}: cannot be read .* load it again"):
            identity_of([tmp_path / name])
