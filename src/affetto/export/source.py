"""Source of an export: a trained model of affetto's own, on the CPU, in float32."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.inference.loading import kind_of, load


def trained_predictor(model: str | Path, backbone: str | None = None) -> Any:
    """Load the predictor. Raises UserError for an exported model and for an ensemble."""
    check_single(model)
    if kind_of(Path(model)) != "trained":
        raise UserError(f"{model} was exported already, or is a model of others: give the folder of a run")
    return load(model, device="cpu", backbone=backbone, precision="float32")


def check_single(model: str | Path) -> None:
    """Raise UserError for an ensemble that holds several models."""
    if kind_of(Path(model)) == "ensemble":
        raise UserError(
            f"{model} holds several models side by side, and an export is one: export its members, or average their "
            "weights (affetto ensemble --how weights)"
        )


def without_paths(card: dict[str, Any]) -> dict[str, Any]:
    """Copy a card without this machine's paths: a backbone that is a folder goes by the folder's name."""
    public = copy.deepcopy(card)
    if Path(public["backbone"]["name"]).is_absolute():
        public["backbone"]["name"] = Path(public["backbone"]["name"]).name
    return public
