"""Counted operations are those of a real pass."""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.checkpoints import load_backbone
from affetto.backbones.families.registry import FAMILIES
from models.test_states import own_states, wave

SECONDS = 2.0
SMALL = [key for key, one in BACKBONES.items() if one.scenario == "small"]


@pytest.mark.parametrize("key", SMALL)
def test_as_many_as_a_forward_pass_runs(key):
    backbone = load_backbone(key, random_weights=True)
    with FlopCounterMode(display=False) as counted:
        states = own_states(backbone, wave(SECONDS))
    told = FAMILIES[BACKBONES[key].family].operations(BACKBONES[key].config, SECONDS)
    assert (told.depth + 1, told.frames, told.width) == (len(states), *states[0].shape[-2:])
    # torch does not see the attention's own products on a CPU; WavLM's gates are not counted here, and are small.
    attention = told.depth * 4 * told.frames**2 * told.width
    found = counted.get_total_flops()
    assert any(found == pytest.approx(total, rel=0.005) for total in (told.forward, told.forward - attention))


def test_the_base_shapes_by_hand():
    one = FAMILIES["wav2vec2"].operations({}, 1.0)
    assert one.frames == 49
    assert one.block == 2 * 49 * (4 * 768**2 + 2 * 768 * 3072) + 4 * 49**2 * 768
    lengths = (3199, 1599, 799, 399, 199, 99, 49)
    by_hand = 2 * 512 * (10 * lengths[0] + 512 * (3 * sum(lengths[1:5]) + 2 * sum(lengths[5:])))
    by_hand += 2 * 49 * 512 * 768 + 2 * 50 * 128 * 768 * 48
    assert one.front_end == by_hand and one.forward == by_hand + 12 * one.block
