"""ShEMO, the Sharif emotional speech database: semi-natural Persian speech from radio plays.

31 women and 56 men, 3,000 utterances of 3 hours and 25 minutes, labelled by the majority of twelve annotators
(Mohamad Nezami, Jamshid Lou and Karami, "ShEMO: a large-scale validated database for Persian speech emotion detection",
Language Resources and Evaluation 53, 2019; github.com/pariajm/sharif-emotional-speech-dataset). The counts per emotion
are computed from its shemo.json; EmoBox found 2,838 of the files. No disgust, and little fear.

    female/F21N37.wav, male/M36S02.wav      gender, speaker, emotion, number
    shemo.json                              {"F21N37": {"transcript": …, "emotion": …}}

    A anger  F fear  H happiness  N neutral  S sadness  W surprise

The words come from shemo.json, where it lies in the folder of the audio or the one around it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from affetto.corpora.named_files import Naming, named_corpus


def words(file: Path, parts: Mapping[str, str]) -> str | None:
    """The words of a clip by shemo.json; None where the file or the clip's entry is missing."""
    for folder in list(file.parents)[:3]:
        texts = _texts(folder / "shemo.json")
        if texts:
            return texts.get(file.stem.casefold())
    return None


@lru_cache(maxsize=4)
def _texts(file: Path) -> dict[str, str]:
    """The transcript of each clip, by its name in lower case; {} for a file that is absent or no such JSON."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {name.casefold(): str(facts["transcript"]) for name, facts in content.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}


NAMING = Naming(
    pattern=r"(?P<speaker>[FM]\d\d)(?P<emotion>[AFHNSW])\d\d\d?\.wav",
    shape="<gender><speaker><emotion><number>.wav",
    example="female/F21N37.wav",
    emotions={
        "a": "anger",
        "f": "fear",
        "h": "joy",
        "n": "neutrality",
        "s": "sadness",
        "w": "surprise",
    },
    speakers={f"F{number:02}": "female" for number in range(1, 32)}
    | {f"M{number:02}": "male" for number in range(1, 57)},
    words=words,
)

CORPUS = named_corpus(
    NAMING,
    name="shemo",
    title="ShEMO",
    licence="academic use; the authors' copy at Hugging Face says Apache 2.0",
    speech="acted",
    collection="Utterances of radio plays, which the authors call semi-natural; twelve annotators labelled them.",
    source="github.com/pariajm/sharif-emotional-speech-dataset",
    citation='Mohamad Nezami, Jamshid Lou and Karami, "ShEMO: a large-scale validated database for Persian speech '
    'emotion detection", Language Resources and Evaluation 53, 2019',
    language="Persian",
    official={"anger": 1042, "fear": 32, "joy": 203, "neutrality": 1160, "sadness": 362, "surprise": 201},
    protocol="kfold:5",
    protocol_reason="five folds of whole speakers; EmoBox's fold shares all of its 83 test speakers",
)
