"""Hidden states of all layers → one sequence of frames: the paper's "average pooling of all encoder hidden states"."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

POOLINGS = ("mean", "without_embedding", "weighted", "layer")
STATE_NORMS = ("none", "layer")


class StateSpan(NamedTuple):
    """States that a pooling takes: the highest of them (None: the last one), and their number."""

    layer: int | None = None
    states: int = 1


LAST_STATE = StateSpan()


def side_by_side(statistics: Tensor) -> Tensor:
    """Statistics of each state (batch, states, 2 width) → (batch, 2 · states · width): all means, all deviations."""
    return statistics.unflatten(2, (2, -1)).transpose(1, 2).flatten(1)


class StatePooling(nn.Module):
    """A weighted sum over L+1 states, each (batch, frames, width), possibly layer-normalised first.

    `mean` weighs all L+1 alike (the paper, in our reading); `without_embedding` leaves state 0 out
    (PEFT-SER); `layer` takes one; `weighted` learns softmax weights (PEFT-SER). With `state_norm`
    `layer` each frame of each state is normalised (no affine): the states of pre-LN models differ in
    scale by orders, so that a plain mean is ruled by a few of them.

    `layer` with `states` over 1 puts so many neighbouring states side by side, `layer` being the highest: frames are
    then (batch, frames, states · width).
    """

    def __init__(
        self,
        depth: int,
        width: int,
        kind: str = "mean",
        layer: int | None = None,
        state_norm: str = "none",
        states: int = 1,
    ) -> None:
        super().__init__()
        self.depth, self.width, self.kind, self.layer, self.state_norm = depth, width, kind, layer, state_norm
        self.states = states
        self.weights = nn.Parameter(torch.zeros(depth + 1)) if kind == "weighted" else None

    @property
    def last(self) -> int:
        """The last state that is used: no block above it has to run."""
        return self.layer if self.kind == "layer" and self.layer is not None else self.depth

    @property
    def lowest(self) -> int:
        """The lowest state that `layer` takes; below 0 where there are not so many states."""
        return self.last - self.states + 1

    @property
    def out_width(self) -> int:
        """Width of the pooled frames."""
        return self.states * self.width

    @property
    def keeps_states(self) -> bool:
        """True if the states are needed one by one, under learned weights or side by side."""
        return self.weights is not None or self.states > 1

    def takes(self, state: int) -> bool:
        """True if the state has a part in what is pooled."""
        return self.weights is not None or self.fixed()[state] != 0.0

    def fixed(self) -> list[float]:
        """L+1 weights that sum to one, of every kind but `weighted`; alike for states side by side."""
        states = range(self.depth + 1)
        if self.kind == "layer":
            return [float(self.lowest <= i <= self.last) / self.states for i in states]
        if self.kind == "without_embedding":
            return [1.0 / self.depth if i else 0.0 for i in states]
        return [1.0 / (self.depth + 1) for _ in states]

    def coefficients(self) -> Tensor:
        """(L+1,) weights that sum to one."""
        return torch.tensor(self.fixed()) if self.weights is None else torch.softmax(self.weights, 0)

    def mix(self, states: Tensor) -> Tensor:
        """(batch, frames, states, width) → their weighted sum, or all side by side, (batch, frames, out_width)."""
        if self.states > 1:
            return states.flatten(-2)
        return torch.einsum("btnw,n->btw", states, self.coefficients().to(states.device))

    def statistics_of(self, statistics: Tensor) -> Tensor:
        """Statistics of all states (batch, L+1, 2 width) → those of the states taken, (batch, 2 out_width).

        All means come first, then all deviations, as in the statistics of states side by side.
        """
        return side_by_side(statistics[:, self.lowest : self.last + 1])

    def normalise(self, state: Tensor) -> Tensor:
        return nn.functional.layer_norm(state, (self.width,)) if self.state_norm == "layer" else state

    def identity(self) -> tuple[str | int | None, ...]:
        """Settings that a stored pooled state depends on. With learned weights the states are stored one by one."""
        side_by_side = (self.states,) if self.states > 1 else ()
        return (self.kind, self.layer, self.state_norm, *side_by_side)
