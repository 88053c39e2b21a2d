"""MESD, the Mexican emotional speech database: single words, six emotions, three kinds of voice.

Three women, two men and six children say words in six emotions, surprise not among them: 48 for each emotion and kind
of voice, 864 clips (Duville, Alonso-Valerdi and Ibarra-Zarate, Data 6(12), 2021, doi 10.3390/data6120130; Mendeley
Data cy34mh68j9; EmoBox's copy lacks two, of the children's anger and neutrality). Half of the words (A) are the same
in all emotions, the others (B) belong to an emotion.

    Anger_F_A_abajo.wav      kind of voice F (woman), M (man) or C (child), set of words A, the word

The names tell the kind of voice, not the person. So the voices of a kind count as one speaker here: whoever is tested
has not been trained on, but women, men and children test one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from affetto.corpora.named_files import Naming, named_corpus


def words(file: Path, parts: Mapping[str, str]) -> str:
    """The word that the file's name ends with: `basta_ya` is `basta ya`."""
    return parts["prompt"].replace("_", " ")


NAMING = Naming(
    pattern=r"(?P<emotion>Anger|Disgust|Fear|Happiness|Neutral|Sadness)_(?P<speaker>[FMC])_(?P<set>[AB])"
    r"_(?P<prompt>[^/]+)\.wav",
    shape="<Emotion>_<voice>_<set>_<word>.wav",
    example="Anger_F_A_abajo.wav",
    emotions={
        "anger": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "happiness": "joy",
        "neutral": "neutrality",
        "sadness": "sadness",
    },
    speakers={"C": None, "F": "female", "M": "male"},
    values={"set": {"a": "common", "b": "emotional"}},
    words=words,
)

CORPUS = named_corpus(
    NAMING,
    name="mesd",
    title="MESD",
    licence="CC BY 4.0",
    speech="acted",
    collection="Women, men and children say single words in six emotions.",
    source="data.mendeley.com/datasets/cy34mh68j9",
    citation="Duville, Alonso-Valerdi and Ibarra-Zarate, Data 6(12), 2021, doi 10.3390/data6120130",
    language="Spanish",
    official=dict.fromkeys(("anger", "disgust", "fear", "joy", "neutrality", "sadness"), 144),
    genders={"female": 3, "male": 2, "unknown": 6},
    protocol="kfold:3",
    protocol_reason="leave one kind of voice out (women, men, children): the names do not tell the persons",
)
