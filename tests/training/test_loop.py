"""The parts of the loop: batches, checkpoints, augmentation, selection, settings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from affetto.corpora.labels import EMOTIONS
from affetto.targets.classes import Classes
from affetto.training import augment, checkpoint
from affetto.training.batches import by_length, draw_evenly, plan
from affetto.training.selection import Choice, Probe, choose, whole_speakers
from affetto.training.train import train
from training.corpora import spec, write_table

ABC = Classes(("a", "b", "c"))

# Batches -----------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_has_each_clip_once_and_depends_on_seed_and_epoch_alone(
    clips: int, size: int, window: int, seed: int, epoch: int
) -> None:
    ids = [f"c{i}" for i in range(clips)]
    frames = {clip: (i * 37) % 101 for i, clip in enumerate(ids)}
    batches = plan(ids, frames, size, window, seed, epoch)
    assert Counter(clip for batch in batches for clip in batch) == Counter(ids)
    assert max(len(batch) for batch in batches) <= size and len(batches) == -(-clips // size)
    assert plan(ids, frames, size, window, seed, epoch) == batches


def test_batches_are_of_like_length_and_change_from_epoch_to_epoch() -> None:
    ids = [f"c{i}" for i in range(256)]
    frames = dict(zip(ids, np.random.default_rng(0).integers(50, 200, 256).tolist(), strict=True))

    def padded(window: int) -> float:
        batches = plan(ids, frames, 8, window, 0, 0)
        return sum(max(frames[c] for c in batch) * len(batch) for batch in batches) / sum(frames.values())

    assert padded(4) < 1.15 < 1.3 < padded(1)
    assert plan(ids, frames, 8, 4, 0, 0) != plan(ids, frames, 8, 4, 0, 1) != plan(ids, frames, 8, 4, 1, 1)


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_balanced_epoch_has_as_many_clips_of_every_group(epoch: int) -> None:
    sizes = {"a": 50, "b": 17, "c": 3, "d": 30}
    groups = {f"{name}{i}": name for name, size in sizes.items() for i in range(size)}
    drawn = draw_evenly(list(groups), groups, 7, epoch)
    times = Counter(drawn)
    assert len(drawn) == 100 and Counter(groups[clip] for clip in drawn) == dict.fromkeys(sizes, 25)
    for name, size in sizes.items():
        counts = [times[clip] for clip in groups if groups[clip] == name]
        assert {25 // size, -(-25 // size)} >= set(counts), "each clip as often as every other, up to once"
    assert drawn == draw_evenly(list(groups), groups, 7, epoch)
    assert drawn != draw_evenly(list(groups), groups, 7, epoch + 1)
    assert drawn != draw_evenly(list(groups), groups, 8, epoch)


def test_what_a_balanced_epoch_has_over_goes_to_other_groups_in_other_epochs() -> None:
    groups = {str(i): "abc"[i % 3] for i in range(20)}
    largest = set()
    for epoch in range(12):
        counts = Counter(groups[clip] for clip in draw_evenly(list(groups), groups, 0, epoch))
        assert sorted(counts.values()) == [6, 7, 7]
        largest.add(min(counts, key=counts.__getitem__))
    assert largest == {"a", "b", "c"}


def test_evaluation_batches_do_not_depend_on_the_order_given() -> None:
    frames = {"a": 3, "b": 1, "c": 2, "d": 1}
    assert by_length(list("abcd"), frames, 3) == by_length(list("dcba"), frames, 3) == [["b", "d", "c"], ["a"]]


# Checkpoints -------------------------------------------------------------------------------------


def test_a_checkpoint_brings_back_an_optimiser_that_goes_on_alike(tmp_path: Path) -> None:
    def fresh() -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
        parameter = torch.nn.Parameter(torch.arange(4.0))
        return parameter, torch.optim.AdamW([parameter], lr=0.1)

    def step(parameter: torch.nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        parameter.grad = torch.sin(parameter.detach() * 3)
        optimizer.step()

    straight, one = fresh()
    for _ in range(6):
        step(straight, one)
    halved, two = fresh()
    for _ in range(3):
        step(halved, two)
    file = tmp_path / "a" / "checkpoint.safetensors"
    checkpoint.write(file, {"p": halved} | checkpoint.pack_optimizer(two), '{"identity": "me", "epoch": 3}')
    assert checkpoint.read(file, "someone else") is None
    saved = checkpoint.read(file, "me")
    assert saved is not None and saved[1]["epoch"] == 3
    back, three = fresh()
    back.data.copy_(saved[0]["p"])
    checkpoint.unpack_optimizer(three, saved[0])
    for _ in range(3):
        step(back, three)
    assert torch.equal(back, straight)
    file.write_bytes(file.read_bytes()[:-4])
    assert checkpoint.read(file, "me") is None


# Augmentation ------------------------------------------------------------------------------------


def test_masks_stay_within_a_clip_s_frames_and_depend_on_seed_epoch_and_clip_alone() -> None:
    prefix = {"state": torch.ones(3, 50, 20), "below": torch.ones(3, 50, 20)}
    lengths = torch.tensor([50, 10, 30])

    def masked(ids: list[str], epoch: int = 0) -> dict[str, torch.Tensor]:
        drawn = augment.stretches(ids, lengths.tolist(), 20, 0, epoch, time_mask=0.5, feature_mask=0.5)
        return augment.masked(prefix, drawn)

    out = masked(["a", "b", "c"])
    assert torch.equal(prefix["state"], torch.ones(3, 50, 20)), "the stored tensors must not change"
    assert torch.equal(out["state"], out["below"])
    assert torch.equal(masked(["a", "b", "c"])["state"], out["state"])
    assert not torch.equal(masked(["a", "b", "c"], epoch=1)["state"], out["state"])
    assert torch.equal(masked(["x", "b", "y"])["state"][1], out["state"][1]), "batch mates do not matter"
    for row, frames in enumerate(lengths.tolist()):
        blank_frames = (out["state"][row] == 0).all(1)
        assert int(blank_frames.sum()) <= frames // 2
        assert not blank_frames[frames:].any()
        assert int((out["state"][row] == 0).all(0).sum()) <= 10


def test_a_run_trains_with_augmentation_and_is_another_run(tmp_path: Path) -> None:
    waves = {"augment.noise_snr_db": "10", "augment.speed": "0.1"}
    overrides = waves | {"augment.time_mask": "0.3", "augment.feature_mask": "0.3"}
    table = write_table(tmp_path / "corpus", speakers=4)
    plain = spec(table, "lora", "paper", probe=False)
    changed = spec(table, "lora", "paper", overrides=overrides, probe=False)
    assert plain.identity({}) != changed.identity({})
    one, two = train(plain, tmp_path / "plain"), train(changed, tmp_path / "changed")
    again = train(changed, tmp_path / "again")
    losses = [fold["validation"]["per_class"] for fold in (one, two, again)]
    assert losses[1] == losses[2]
    log, other = ((tmp_path / name / "log.jsonl").read_text() for name in ("plain", "changed"))
    assert log.split('"loss": ')[1][:12] != other.split('"loss": ')[1][:12]


# The probe's choice ------------------------------------------------------------------------------


def spread_out(random: np.random.Generator, target: np.ndarray, signal: float) -> np.ndarray:
    x = random.standard_normal((len(target), 12))
    x[:, :3] += signal * np.eye(3)[target % 3]
    return x


def test_the_state_that_tells_classes_across_speakers_is_chosen() -> None:
    random = np.random.default_rng(0)
    target, speakers = np.tile(np.arange(3), 40), [f"s{i // 20}" for i in range(120)]
    layers = [spread_out(random, target, signal) for signal in (0.0, 3.0, 0.5)]
    # State 3 tells the speaker, and within a speaker the class: useless for others.
    of = np.array([int(name[1:]) for name in speakers])
    layers.append(np.eye(18)[of * 3 + target] * 5 + random.standard_normal((120, 18)) * 0.1)
    choice = choose(lambda layer: layers[layer], target, speakers, range(4), (0.01, 0.1, 1.0), 5, target=ABC)
    assert choice.layer == 1 and choice.score > 0.85
    assert choose(lambda layer: layers[layer], target, speakers, range(4), (0.01, 0.1, 1.0), 5, target=ABC) == choice


def test_noise_is_chosen_at_chance() -> None:
    """As many features as clips can tell any clips apart that were fitted on; those held out they cannot."""
    random = np.random.default_rng(0)
    target, speakers = random.integers(0, 4, 240), [f"s{i // 20}" for i in range(240)]
    noise = random.standard_normal((240, 240))
    choice = choose(lambda _: noise, target, speakers, [0], (0.01, 0.1, 1.0), 5, target=Classes(tuple("abcd")))
    assert choice.score == pytest.approx(0.25, abs=0.08)


def test_a_rare_class_counts_as_much_as_another_in_the_choice() -> None:
    """Whoever always names the frequent class has nine clips of ten right, and half of the recall."""
    target, speakers = np.array([0] * 9 + [1]).repeat(6), [f"s{i % 6}" for i in range(60)]
    nothing = np.zeros((60, 2))
    assert choose(
        lambda _: nothing, target, speakers, [0], (1.0,), 3, target=Classes(("a", "b")), balanced=False
    ) == Choice(0, 1.0, 0.5)


def test_on_a_tie_the_lower_state_and_the_smaller_strength_win() -> None:
    target, speakers = np.tile(np.arange(3), 8), [f"s{i // 6}" for i in range(24)]
    x = np.eye(3)[target] * 10 + np.random.default_rng(0).standard_normal((24, 3)) * 0.01
    found = choose(lambda _: x, target, speakers, range(3), (0.1, 1.0, 10.0), 4, target=ABC)
    assert found == Choice(0, 0.1, 1.0)


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_a_probe_never_names_a_class_that_it_has_not_seen(classes: int) -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, classes, 60)
    x = random.standard_normal((60, 4)) + target[:, None]
    kind = Classes(EMOTIONS)
    probe = Probe.fit(x, target, 1.0, target=kind)
    probabilities = probe.values(x, kind)
    assert probabilities.shape == (60, 7) and np.allclose(probabilities.sum(1), 1)
    assert probabilities[:, classes:].max() < 1e-6
    assert np.array_equal(probabilities.argmax(1), probe.outputs(x).argmax(1))
    assert classes == 1 or (probabilities.argmax(1) == target).mean() > 0.5


def test_balanced_weights_count_a_rare_class_as_much() -> None:
    random = np.random.default_rng(0)
    target = np.repeat([0, 1], [190, 10])
    x = random.standard_normal((200, 3)) + 0.7 * target[:, None]
    probes = [Probe.fit(x, target, 1.0, target=Classes(("a", "b")), balanced=balanced) for balanced in (False, True)]
    recall = [(probe.outputs(x).argmax(1)[target == 1] == 1).mean() for probe in probes]
    assert recall[0] < 0.5 < recall[1]


def test_whole_speakers_are_drawn() -> None:
    speakers = [f"s{i % 10}" for i in range(1000)]
    some = whole_speakers(speakers, 350)
    names = Counter(speakers[i] for i in some)
    assert len(some) <= 350 and set(names.values()) == {100} and len(names) == 3
    assert np.array_equal(whole_speakers(speakers, 1000), np.arange(1000))
