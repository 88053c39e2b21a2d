"""Registry of perturbations: this package's and those of installed plug-ins."""

from __future__ import annotations

from collections.abc import Iterable

from affetto.errors import UserError, unknown
from affetto.evaluation.stress.perturbation import Perturbation
from affetto.registry import Registry

PERTURBATIONS: Registry[Perturbation] = Registry(
    "perturbation",
    Perturbation,
    ["affetto.evaluation.stress.perturbations"],
    "affetto.perturbations",
    order=lambda record: (record.order, record.name),
)


def select(names: Iterable[str] | None) -> tuple[Perturbation, ...]:
    """The perturbations of these names or families, in the order of tables; None: all.

    Raises UserError for a name that is neither, and for no name.
    """
    records = tuple(PERTURBATIONS.values())
    if names is None:
        return records
    selection = set(names)
    if not selection:
        raise UserError("--only names no perturbation: name one at least, or leave it out for all")
    families = {record.family for record in records}
    for name in selection:
        if name not in PERTURBATIONS and name not in families:
            raise unknown("perturbation or family", name, [*sorted(families), *PERTURBATIONS])
    return tuple(record for record in records if {record.name, record.family} & selection)
