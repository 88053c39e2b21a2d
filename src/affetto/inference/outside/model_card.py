"""Model cards of the Hugging Face hub: what `README.md` says of a model in its front matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from affetto.errors import UserError
from affetto.files import BoundsError, parse_yaml
from affetto.inference.outside.model import as_object

FILE, FENCE = "README.md", "---"


def card_facts(folder: Path) -> dict[str, Any]:
    """Facts of a folder's card: `datasets`, the data that the model was trained on (None: not stated); `licence`.

    Raises UserError for a card that is made to fill the memory.
    """
    fields = _front_matter(folder / FILE)
    datasets = fields.get("datasets")
    names = [datasets] if isinstance(datasets, str) else datasets if isinstance(datasets, list) else []
    licence = fields.get("license")
    return {
        "datasets": [name for name in names if isinstance(name, str)] or None,
        "licence": licence if isinstance(licence, str) else "",
    }


def _front_matter(file: Path) -> dict[str, Any]:
    """The YAML between the first two fences; {} where there is none."""
    try:
        head, _, rest = file.read_text(encoding="utf-8").partition(f"{FENCE}\n")
        return {} if head.strip() else as_object(parse_yaml(rest.partition(f"\n{FENCE}")[0]))
    except BoundsError as problem:
        raise UserError(f"{file}: its front matter has {problem}; remove the file, or take another model") from None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
