"""Standardisation of auxiliary clips by their own corpus, in front of a statistics head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from affetto.models.head_layers import StatisticsHead

TESTED = 0
"""Row of the clips whose corpus is tested: the constants of the head are theirs."""


@dataclass(frozen=True)
class CorpusScales:
    """Maps of statistics x → x · factor + offset, one a corpus, after which the head's constants standardise them.

    A recording room or a language moves the statistics of a whole corpus. The head subtracts the mean and divides by
    the deviation of the tested corpus; with these maps in front it does so by those of each clip's own corpus. The map
    of the tested corpus changes nothing, so that validation, test and use need none.
    """

    rows: Mapping[str, int]
    """Row of each auxiliary clip; all other clips have the row TESTED."""
    factor: Tensor
    """(corpora, features)."""
    offset: Tensor
    """(corpora, features)."""

    @classmethod
    def fitted(cls, head: StatisticsHead, statistics: Mapping[str, Tensor], corpora: Mapping[str, str]) -> CorpusScales:
        """The maps in front of a head that has the constants of the tested corpus.

        `corpora` names the corpus of each auxiliary clip; the maps are fitted on those that have `statistics`
        (features,).
        """
        factor, offset = [torch.ones_like(head.scale)], [torch.zeros_like(head.centre)]
        names = sorted(set(corpora.values()))
        for name in names:
            clips = torch.stack(
                [statistics[clip] for clip, corpus in corpora.items() if corpus == name and clip in statistics]
            )
            centre, scale = StatisticsHead.constants(clips)
            factor.append(head.scale / scale)
            offset.append(head.centre - centre * factor[-1])
        rows = {clip: 1 + names.index(corpus) for clip, corpus in corpora.items()}
        return cls(rows, torch.stack(factor), torch.stack(offset))

    def rows_of(self, clips: Sequence[str]) -> Tensor:
        """Row of each clip, (clips,), on the CPU."""
        return torch.tensor([self.rows.get(clip, TESTED) for clip in clips])

    def state(self) -> dict[str, Tensor]:
        """Tensors of the maps, for a checkpoint."""
        return {"factor": self.factor, "offset": self.offset}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take the maps that `state` gave, in place: whoever holds these has them too."""
        self.factor.copy_(state["factor"])
        self.offset.copy_(state["offset"])

    def apply(self, statistics: Tensor, rows: Tensor) -> Tensor:
        """Statistics (clips, features) of clips with these rows (clips,), moved."""
        return statistics * self.factor[rows] + self.offset[rows]
