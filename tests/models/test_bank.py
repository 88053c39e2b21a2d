"""Packed prefixes: the batches of the store, under any width, and in widths that pad little."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from affetto.backbones.backbone import frame_mask
from affetto.models import bank as banks
from affetto.models.bank import Bank, bucket_widths, fits, width_of
from affetto.models.classifier import Prefix
from affetto.models.device import KINDS, Capabilities
from affetto.models.prefix import collate
from models.systems import FAMILIES, classifier, clips
from models.test_store import data

CPU, META = torch.device("cpu"), torch.device("meta")


class Stored(dict[str, Prefix]):
    """Prefixes in memory, as `PrefixData` has them."""

    @property
    def frames(self) -> dict[str, int]:
        return {clip_id: len(next(iter(prefix.values()))) for clip_id, prefix in self.items()}


def stored(*lengths: int, dtype: torch.dtype = torch.float16) -> Stored:
    torch.manual_seed(0)
    shapes = {"state": (3,), "states": (2, 3)}
    return Stored(
        (str(n), {name: torch.randn(length, *shape).to(dtype) for name, shape in shapes.items()})
        for n, length in enumerate(lengths)
    )


def bank_of(prefixes: Any, device: torch.device = CPU) -> Bank:
    return Bank(prefixes, tuple(prefixes), device)


@pytest.mark.parametrize("chunk", [1, 2**26])
def test_a_batch_of_a_bank_is_that_of_the_store(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banks, "CHUNK_BYTES", chunk)
    prefixes = stored(5, 1, 7, 4)
    prefixes["2"]["state"] = prefixes["2"]["state"].float() + 1e5  # would overflow in float16
    bank = bank_of(prefixes)
    for ids in (["0"], ["3", "1"], ["2", "0", "2"], ["1", "2", "3", "0"]):
        expected, lengths = collate([prefixes[i] for i in ids], CPU)
        batch, found = bank.gather(bank.index(ids), int(lengths.max()))
        assert found.tolist() == lengths.tolist() and batch.keys() == expected.keys()
        for name, tensor in batch.items():
            assert tensor.dtype == torch.float32 and torch.equal(tensor, expected[name])
        wide, _ = bank.gather(bank.index(ids), 9)
        for name, tensor in wide.items():
            assert tensor.shape[1] == 9 and not tensor[:, expected[name].shape[1] :].any()
            assert torch.equal(tensor[:, : expected[name].shape[1]], expected[name])


def test_a_bank_on_a_device_is_asked_without_the_cpu() -> None:
    bank = bank_of(stored(5, 1), META)
    batch, lengths = bank.gather(torch.zeros(3, dtype=torch.long, device=META), 8)
    assert {tensor.device.type for tensor in (*batch.values(), lengths)} == {"meta"}
    assert batch["states"].shape == (3, 8, 2, 3)


def test_stored_clips_are_packed_once_where_the_device_gains_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes = data(tmp_path)
    prefixes.prepare()
    expected, lengths = prefixes.batch(["3", "0"], CPU)
    assert prefixes.bank(CPU) is None
    monkeypatch.setitem(KINDS, "meta", Capabilities(banked=True))
    bank = prefixes.bank(META)
    assert bank is not None and prefixes.bank(META) is bank
    monkeypatch.setitem(KINDS, "cpu", Capabilities(banked=True))
    prefixes.bank(META)
    batch, counted = prefixes.batch(["3", "0"], CPU)
    assert prefixes.bank(CPU) is not None and counted.tolist() == lengths.tolist()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in batch.items())


def test_a_bank_leaves_memory_to_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "meta", Capabilities(banked=True))
    prefixes, size = stored(10, 20), 30 * (3 + 6) * 2
    for free, expected in ((None, True), (size / banks.FREE_SHARE, True), (size / banks.FREE_SHARE - 1, False)):
        monkeypatch.setattr(banks, "free_memory_bytes", lambda _, free=free: free)
        assert fits(prefixes, META) is expected
    assert not fits(prefixes, CPU) and not fits(SimpleNamespace(frames={}), META)  # type: ignore[arg-type]


def test_widths_hold_all_clips_with_the_least_padding() -> None:
    frames = [3, 8, 9, 40, 41, 90, 100, 100, 200]
    rounded = sorted({-(-n // 8) * 8 for n in frames})
    for count in (1, 2, 3, 9):
        widths = bucket_widths(frames, count)
        padded = sum(width_of(n, widths) for n in frames)
        choices = [choice for k in range(1, count + 1) for choice in itertools.combinations(rounded, k)]
        best = min(sum(width_of(n, c) for n in frames) for c in choices if c[-1] == rounded[-1])
        assert padded == best and list(widths) == sorted(set(widths)) and len(widths) <= count
        assert all(width % 8 == 0 and width_of(n, widths) >= n for width in widths for n in frames)
    assert bucket_widths([13]) == (16,)


def test_lengths_on_a_device_make_a_mask_without_a_look_at_them() -> None:
    meta = torch.tensor([4, 4], device=META)
    mask = frame_mask(meta, 4, META)
    assert mask is not None and (mask.shape, mask.device) == ((2, 4), META)

    class OnDevice(torch.Tensor):
        is_cpu = False

    lengths = torch.tensor([2, 4]).as_subclass(OnDevice)
    found = frame_mask(lengths, 4, CPU)
    assert found is not None and found.tolist() == [[True, True, False, False], [True] * 4]


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize(("method", "pooling"), [("lora", "mean"), ("adapter", "weighted"), ("full", "layer")])
def test_padding_to_a_width_changes_no_number(key: str, method: str, pooling: str) -> None:
    """Logits and gradients of clips that are as long as the batch, and of ones that are not."""
    made = classifier(key, method, pooling=pooling)
    prefixes = Stored(zip("ab", map(made.prefix, clips(0.9, 0.6)), strict=True))
    bank, results = bank_of(prefixes), []
    for width in (max(prefixes.frames.values()), 64):
        made.zero_grad()
        logits = made(*bank.gather(bank.index(["a", "b"]), width))
        logits.square().sum().backward()
        results.append([logits.detach(), *[p.grad for p in made.trainable().values() if p.grad is not None]])
    for narrow, wide in zip(*results, strict=True):
        torch.testing.assert_close(wide, narrow, rtol=1e-4, atol=1e-6)
