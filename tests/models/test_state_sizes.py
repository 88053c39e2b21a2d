"""How large states are: by hand on made-up states, and on a real classifier against its own pooled state."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from affetto.models import state_sizes
from affetto.models.pooling import StatePooling
from models.systems import classifier, clips


class _Made:
    """Three states of two frames and two features."""

    STATES = torch.tensor(
        [
            [[3.0, 4.0], [0.0, 0.0]],
            [[0.0, 0.0], [0.0, 2.0]],
            [[0.0, 1.0], [0.0, 1.0]],
        ]
    )

    def __init__(self, kind: str, state_norm: str = "none") -> None:
        self.pooling = StatePooling(2, 2, kind, state_norm=state_norm)
        self.backbone = SimpleNamespace(depth=2)

    def states(self, wave: np.ndarray) -> torch.Tensor:
        return self.STATES * float(wave[0])


def test_sizes_and_shares_by_hand() -> None:
    found = state_sizes.measure(_Made("mean"), [np.ones(1, np.float32)])  # type: ignore[arg-type]
    # Mean squares over two frames: (12.5 + 0) / 2, (0 + 2) / 2, (0.5 + 0.5) / 2.
    assert found["rms"] == pytest.approx([2.5, 1.0, 0.5**0.5], rel=1e-5)
    # Three times the pooled frames: (3, 5) and (0, 3), of squares 34 and 9 together 43.
    assert found["share"] == pytest.approx([29 / 43, 6 / 43, (5 + 3) / 43], abs=1e-6)
    assert (found["clips"], found["frames"]) == (1, 2)


def test_a_state_that_is_left_out_has_no_share_and_sizes_pool_over_frames() -> None:
    found = state_sizes.measure(_Made("without_embedding"), [np.ones(1), 2 * np.ones(1)])  # type: ignore[arg-type]
    assert found["share"][0] == 0.0 and sum(found["share"]) == pytest.approx(1)
    assert found["rms"] == pytest.approx([2.5 * 2.5**0.5, 2.5**0.5, 1.25**0.5], rel=1e-5)


@pytest.mark.parametrize("key", ["xlsr-mini", "whisper-mini"])
@pytest.mark.parametrize("method", ["frozen", "adapter"])
def test_the_states_measured_are_those_that_are_pooled(key: str, method: str) -> None:
    made = classifier(key, method)
    (wave,) = clips(1.2)
    prefix = {name: tensor[None] for name, tensor in made.prefix(wave).items()}
    frames, _ = made.pooled(prefix, torch.tensor([next(iter(prefix.values())).shape[1]]))
    assert torch.allclose(made.states(wave).mean(0), frames[0], atol=2e-6)


def test_normalised_states_have_one_size_and_yet_are_told_as_they_come() -> None:
    (wave,) = clips(1.0)
    plain, normed = (
        state_sizes.measure(classifier("xlsr-mini", "frozen", state_norm=norm), [wave]) for norm in ("none", "layer")
    )
    assert plain["rms"] == normed["rms"] and plain["share"] != normed["share"]


def test_no_waves_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no waves"):
        state_sizes.measure(classifier("whisper-mini", "frozen"), [])
