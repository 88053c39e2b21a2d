"""Means of the weights that methods have saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affetto.models.methods.base import ADAPTER_FILE

if TYPE_CHECKING:
    from torch import Tensor


def mean_file(files: Sequence[Path], out: Path) -> None:
    """Write the mean of each tensor of safetensors files to `out`. Raises ValueError where their names differ."""
    from safetensors.torch import load_file, save_file

    total: dict[str, Tensor] = {}
    for file in files:
        tensors = load_file(file)
        _check_same(total or tensors, tensors, file)
        for name, tensor in tensors.items():
            total[name] = total[name] + tensor.double() if name in total else tensor.double()
    kinds = {name: tensor.dtype for name, tensor in tensors.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: (tensor / len(files)).to(kinds[name]).contiguous() for name, tensor in total.items()}, out)


def mean_weights(folders: Sequence[Path], out: Path) -> None:
    """Write the mean of the files that methods have saved in `folders` to `out`."""
    mean_file([folder / ADAPTER_FILE for folder in folders], out / ADAPTER_FILE)


def join_factors(folders: Sequence[Path], out: Path, dimension: Callable[[str], int]) -> None:
    """Write the factors of several low-rank updates, side by side along `dimension` of each name, to `out`."""
    import torch
    from safetensors.torch import load_file, save_file

    states = [load_file(folder / ADAPTER_FILE) for folder in folders]
    for state, folder in zip(states, folders, strict=True):
        _check_same(states[0], state, folder / ADAPTER_FILE)
    out.mkdir(parents=True, exist_ok=True)
    joined = {name: torch.cat([state[name] for state in states], dim=dimension(name)) for name in states[0]}
    save_file(joined, out / ADAPTER_FILE)


def _check_same(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], file: Path) -> None:
    different = sorted(expected.keys() ^ tensors.keys())
    if different:
        raise ValueError(f"{file}: {different[0]} is missing there, or not in the files of the others")
