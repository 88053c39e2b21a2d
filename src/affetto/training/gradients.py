"""Check, before the first step of a run, that every trainable parameter trains and no other does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from affetto.errors import UserError
from affetto.models.classifier import Classifier, Prefix


def check_gradients(classifier: Classifier, batch: Prefix, lengths: Tensor) -> None:
    """Raise UserError for a trainable parameter that gets no gradient, in one backward pass; nothing is changed.

    Parameters that start at zero (LoRA's B, the Adapter's up-projection, a linear head) hide the gradient
    of what lies behind them: they get small random values for the check. Key biases are exempt, since a
    softmax over keys does not see them.
    """
    trainable = classifier.trainable()
    before = classifier.snapshot()
    grads = {parameter: parameter.grad for parameter in classifier.parameters()}
    mode = classifier.training
    state = torch.get_rng_state()
    try:
        classifier.zero_grad(set_to_none=True)
        _wake(trainable)
        classifier.train(False)  # no dropout: a unit that happens to be dropped is not dead
        outputs = classifier(batch, lengths)
        # No loss: the least of some would hide a gradient, as the CCC of a single clip does.
        loss = (outputs * torch.linspace(0.5, 1.5, outputs.shape[1], device=outputs.device)).sum()
        loss.backward()
        grads_of = {name: p.grad for name, p in trainable.items() if p.grad is not None}
        moves = dict(zip(grads_of, _look([grad.abs().max() > 0 for grad in grads_of.values()]), strict=True))
        dead = [name for name in trainable if not name.endswith("k_proj.bias") and not moves.get(name)]
        leaking = [name for name, p in classifier.named_parameters() if not p.requires_grad and p.grad is not None]
    finally:
        for parameter, grad in grads.items():
            parameter.grad = grad
        classifier.restore(before)
        classifier.train(mode)
        torch.set_rng_state(state)
    assert not leaking, f"frozen parameters got a gradient: {leaking[:3]}"
    if dead:
        raise UserError(
            f"{len(dead)} of {len(trainable)} trainable parameters would never train (no gradient), {dead[0]!r} first: "
            "choose another method, targets or layer"
        )


@torch.no_grad()
def _wake(trainable: dict[str, nn.Parameter]) -> None:
    generator = torch.Generator().manual_seed(0)
    zeros = _look([~parameter.any() for parameter in trainable.values()])
    for parameter, is_zero in zip(trainable.values(), zeros, strict=True):
        if is_zero:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise.to(parameter.device, parameter.dtype) * 0.02)


def _look(statements: Sequence[Tensor]) -> list[bool]:
    """Values of boolean tensors (), by a single wait for their device."""
    values: list[bool] = torch.stack(list(statements)).tolist() if statements else []
    return values


def check_reached(parameters: Mapping[str, nn.Parameter]) -> None:
    """Raise UserError for a parameter that the backward pass, which has been run, has not reached."""
    dead = [name for name, parameter in parameters.items() if parameter.grad is None]
    if dead:
        raise UserError(
            f"{len(dead)} weights that should train get no gradient, {dead[0]} first: a defect of affetto's with "
            "this backbone, please report it"
        )
