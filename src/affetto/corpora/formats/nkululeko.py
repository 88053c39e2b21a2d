"""nkululeko's CSV (Burkhardt et al., LREC 2022): a table like any other, under a name for those who look for it.

Its columns are `file,emotion,speaker,gender,language`; an export of audformat's also has `start,end` in the form of
pandas (`0 days 00:00:01.5`, `NaT`). A path is read as a table unless this name is given.
"""

from __future__ import annotations

from pathlib import Path

from affetto.corpora.corpus import Corpus
from affetto.corpora.formats import tables


def matches(path: Path) -> bool:
    """False: a table is recognised under its own name."""
    return False


CORPUS = Corpus(
    name="nkululeko",
    title="nkululeko (CSV)",
    matches=matches,
    read=tables.read,
    options=tables.OPTIONS,
    source="github.com/felixbur/nkululeko",
    protocol_reason="`column` where the table names each clip's part, else `paper`",
    is_format=True,
    rank=4,
)
