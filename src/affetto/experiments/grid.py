"""Grid files, and the runs that they describe.

    name: paper
    axes:                        # every combination is a run; a single value needs no list
      backbone: [wav2vec2-base, wavlm-base-plus]
      corpus: [emovo, demos]     # names, whose paths --corpus or `corpora` gives; a+b trains on both
      method: [frozen, lora]
      seed: [0, 1, 2]
      split: paper
      recipe: paper
      auxiliary: [[], [ravdess, emodb]]   # corpora that join the training of the tested one; as a+b too
      lora.alpha: [1, 8]         # any of `affetto settings`; left out of runs where it has no effect
    exclude:                     # runs that match all of an entry are left out
      - {backbone: wavlm-base-plus, lora.alpha: 8}
    overrides:                   # settings for the runs that match `when`
      - {when: {backbone: wavlm-base-plus}, set: {training.batch_size: 8}}
    variants:                    # beside each run that matches `when` (left out: each run) one with these settings
      - {name: doubled, when: {method: adapter}, set: {adapter.placement: peft_ser}}
    record_states: true          # metrics.json says how large each hidden state is
    allow_duplicates: true       # copies of one recording are left out of the test part, instead of an error
    keep_other: true             # labels beside the seven emotions are classes of their own
    labels: {fear: drop, "demos:guilt": sadness}   # as `--label` of `affetto train`
    options: {demos: {keep_guilt: true}}   # of corpora's readers, as `--option`
    resources: {cpus: 2, gpus: 0.5}   # of a run, for --engine ray; an override may say `resources` too
    corpora: {emovo: /data/EMOVO}

Expansion needs neither corpora nor weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from affetto.errors import UserError, unknown
from affetto.experiments.expansion import Expansion
from affetto.experiments.planned import PlannedRun

PARTS = (
    "name",
    "axes",
    "exclude",
    "overrides",
    "variants",
    "record_states",
    "allow_duplicates",
    "keep_other",
    "labels",
    "options",
    "resources",
    "corpora",
)


@dataclass(frozen=True)
class Grid:
    """Runs of a grid file, in the order of the axes in AXES: runs that share stored states follow one another."""

    name: str
    runs: tuple[PlannedRun, ...]
    corpora: Mapping[str, str] = field(default_factory=dict)

    def only(self, selection: Mapping[str, Sequence[str]]) -> Grid:
        """The runs that have, for each axis of {axis: texts}, one of its texts; `variant` counts as an axis.

        Raises UserError for an axis or a text of no run, and where no run fits all axes.
        """
        runs = self.runs
        for axis, values in selection.items():
            existing = {run.selectors[axis] for run in self.runs if axis in run.selectors}
            if not existing:
                raise unknown("axis of this grid", axis, sorted({name for run in self.runs for name in run.selectors}))
            for value in values:
                if value not in existing:
                    raise unknown(f"{axis} in this grid", value, sorted(existing))
            runs = tuple(run for run in runs if run.selectors.get(axis) in values)
        if not runs:
            raise UserError("no run of the grid matches all of --only; leave one of them out")
        return Grid(self.name, runs, self.corpora)


def read(file: Path) -> Grid:
    """Read a grid from a YAML file. Raises UserError, which names file and entry, where it is not a grid."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserError(f"{file}: the grid cannot be read ({problem.strerror}); check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise UserError(f"{file}: no YAML ({str(problem).splitlines()[0]}); mend it there") from None
    if not isinstance(content, dict) or not isinstance(content.get("axes"), dict):
        raise UserError(f"{file}: a grid is a mapping with `axes:`; see grids/paper.yaml for one")
    for part in content:
        if part not in PARTS:
            raise unknown(f"part of {file}", str(part), PARTS)
    corpora = content.get("corpora") or {}
    if not isinstance(corpora, dict):
        raise UserError(f"{file}: `corpora` is a mapping of names to folders")
    runs = Expansion(file, content).runs()
    return Grid(str(content.get("name") or file.stem), runs, {str(k): str(v) for k, v in corpora.items()})
