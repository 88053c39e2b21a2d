"""Hidden states of all layers → one sequence of frames: the paper's "average pooling of all encoder hidden states"."""

from __future__ import annotations

import torch
from torch import Tensor, nn

POOLINGS = ("mean", "without_embedding", "weighted", "layer")
STATE_NORMS = ("none", "layer")


class StatePooling(nn.Module):
    """A weighted sum over L+1 states, each (batch, frames, width), possibly layer-normalised first.

    `mean` weighs all L+1 alike (the paper, in our reading); `without_embedding` leaves state 0 out
    (PEFT-SER); `layer` takes one; `weighted` learns softmax weights (PEFT-SER). With `state_norm`
    `layer` each frame of each state is normalised (no affine): the states of pre-LN models differ in
    scale by orders, so that a plain mean is ruled by a few of them.
    """

    def __init__(self, depth: int, width: int, kind: str = "mean", layer: int | None = None, state_norm: str = "none"):
        super().__init__()
        self.depth, self.width, self.kind, self.layer, self.state_norm = depth, width, kind, layer, state_norm
        self.weights = nn.Parameter(torch.zeros(depth + 1)) if kind == "weighted" else None

    @property
    def last(self) -> int:
        """The last state that is used: no block above it has to run."""
        return self.layer if self.kind == "layer" and self.layer is not None else self.depth

    def fixed(self) -> list[float]:
        """L+1 weights that sum to one, of every kind but `weighted`."""
        states = range(self.depth + 1)
        if self.kind == "layer":
            return [float(i == self.last) for i in states]
        if self.kind == "without_embedding":
            return [1.0 / self.depth if i else 0.0 for i in states]
        return [1.0 / (self.depth + 1) for _ in states]

    def coefficients(self) -> Tensor:
        """(L+1,) weights that sum to one."""
        return torch.tensor(self.fixed()) if self.weights is None else torch.softmax(self.weights, 0)

    def mix(self, states: Tensor) -> Tensor:
        """(batch, frames, L+1, width) → their weighted sum, (batch, frames, width)."""
        return torch.einsum("btnw,n->btw", states, self.coefficients().to(states.device))

    def normalise(self, state: Tensor) -> Tensor:
        return nn.functional.layer_norm(state, (self.width,)) if self.state_norm == "layer" else state

    def identity(self) -> tuple[str | int | None, ...]:
        """Settings that a stored pooled state depends on. With learned weights the states are stored one by one."""
        return (self.kind, self.layer, self.state_norm)
