"""Loading of several models of any kind that share memory, and the size of what they share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from affetto.inference.backends.shared import load_folders
from affetto.inference.loading import kind_of, load, model_folder
from affetto.inference.outside.predictor import relabel
from affetto.inference.predictor import Predictor


def load_together(
    models: Mapping[str, str | Path],
    *,
    device: str = "auto",
    backbone: str | None = None,
    precision: str = "auto",
    label_map: Mapping[str, str] | None = None,
) -> dict[str, Predictor]:
    """Names and folders of models → predictors by name, as `load` makes them. Raises UserError as `load` does.

    An entry of `label_map` holds for the outside models that have its label, and for one of them at least.
    """
    folders = {name: model_folder(Path(model)) for name, model in models.items() if _is_trained(model)}
    loaded: dict[str, Predictor] = {}
    loaded |= load_folders(folders, device=device, backbone=backbone, precision=precision)
    loaded |= {
        name: load(model, device=device, backbone=backbone, precision=precision)
        for name, model in models.items()
        if name not in folders
    }
    return relabel({name: loaded[name] for name in models}, label_map or {})


def weights(predictor: Predictor) -> dict[int, int]:
    """Memory of a predictor's weights: address → bytes. Empty for models that are not torch's."""
    members = getattr(predictor, "members", None)
    if members is not None:
        return {address: size for member in members for address, size in weights(member).items()}
    classifier = getattr(predictor, "classifier", None)
    if classifier is None:
        return {}
    tensors = [*classifier.parameters(), *classifier.buffers()]
    return {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors if t.numel()}


def shared_bytes(first: Predictor, second: Predictor) -> int:
    """Bytes of weights that two predictors have in common."""
    addresses = weights(first)
    return sum(size for address, size in weights(second).items() if address in addresses)


def _is_trained(model: str | Path) -> bool:
    """True for a folder of a run or model of ours; `load` knows the other kinds."""
    folder = Path(model)
    return folder.is_dir() and kind_of(folder) == "trained"
