"""nEMO, emotional speech in Polish: nine actors, ninety sentences, six states.

Four women and five men of 23 to 28 years say up to 90 sentences in six emotional states, disgust not among them: 4,481
clips, 3.1 hours, at 24 kHz (Christop, "nEMO: Dataset of Emotional Speech in Polish", LREC-COLING 2024; counts:
computed from data.tsv of github.com/amu-cai/nEMO).

    samples/EB0_anger_1.wav      speaker EB0, anger, sentence 1
    data.tsv                     file_id, emotion, raw_text, normalized_text, speaker_id, gender, age

The words of a sentence come from data.tsv, where it lies beside samples/.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from affetto.corpora.named_files import Naming, named_corpus

SPEAKERS = dict.fromkeys(("EB0", "IC0", "KD0", "MK0"), "female") | dict.fromkeys(
    ("KS0", "MP0", "SM0", "TP0", "WR0"), "male"
)


def words(file: Path, parts: Mapping[str, str]) -> str | None:
    """The words of a clip by data.tsv; None where the table or the clip's line is missing."""
    return _texts(file.parent.parent / "data.tsv").get(file.name.casefold())


@lru_cache(maxsize=1)
def _texts(table: Path) -> dict[str, str]:
    """The text of each file, by its name in lower case; {} without the table."""
    if not table.is_file():
        return {}
    with open(table, encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {(row.get("file_id") or "").casefold(): row.get("raw_text") or "" for row in rows}


NAMING = Naming(
    pattern=rf"(?P<speaker>{'|'.join(SPEAKERS)})_(?P<emotion>anger|fear|happiness|neutral|sadness|surprised)"
    r"_(?P<prompt>\d+)\.wav",
    shape="<speaker>_<emotion>_<sentence>.wav",
    example="samples/EB0_anger_1.wav",
    emotions={
        "anger": "anger",
        "fear": "fear",
        "happiness": "joy",
        "neutral": "neutrality",
        "sadness": "sadness",
        "surprised": "surprise",
    },
    speakers=SPEAKERS,
    words=words,
)

CORPUS = named_corpus(
    NAMING,
    name="nemo",
    title="nEMO",
    licence="CC BY-NC-SA 4.0",
    speech="acted",
    collection="Actors say up to 90 sentences in six emotional states.",
    source="github.com/amu-cai/nEMO",
    citation='Christop, "nEMO: Dataset of Emotional Speech in Polish", LREC-COLING 2024',
    language="Polish",
    official={"anger": 749, "fear": 736, "joy": 749, "neutrality": 809, "sadness": 769, "surprise": 669},
    protocol="loso",
    protocol_reason="leave one of the nine speakers out; the corpus has no parts of its own",
)
