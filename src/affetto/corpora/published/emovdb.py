"""EmoV-DB, the emotional voices database: four speakers, made for synthesis.

Two women and two men read sentences of CMU Arctic in five styles: 7,000 clips, josh neither angry nor disgusted
(Adigwe et al., "The Emotional Voices Database", arXiv:1806.09514; counts: the database's README. EmoBox counts 6,887,
since it names clips by speaker, style and sentence, and some sentences were read twice). Amused and sleepy clips hold
laughter and yawns.

    bea_Amused/amused_1-15_0001.wav      speaker, style; range of an annotation file, sentence of CMU Arctic
    bea/Amused/amused_1-15_0001.wav      the same in the sorted archive

The speaker stands in the folder's name alone, so that the files of different speakers must not be put together.
"""

from __future__ import annotations

from affetto.corpora.labels import DROP
from affetto.corpora.named_files import Naming, named_corpus

NAMING = Naming(
    pattern=r"(?P<speaker>bea|jenie|josh|sam)[/_ ][a-z]+/(?P<emotion>amused|anger|disgust|neutral|sleepiness)"
    r"_\d+[-_]\d+_(?P<prompt>\d{4})\.wav",
    shape="<speaker>_<Style>/<style>_<range>_<sentence>.wav",
    example="bea_Amused/amused_1-15_0001.wav",
    emotions={
        "amused": "amusement",
        "anger": "anger",
        "disgust": "disgust",
        "neutral": "neutrality",
        "sleepiness": "sleepiness",
    },
    speakers={"bea": "female", "jenie": "female", "josh": "male", "sam": "male"},
)

CORPUS = named_corpus(
    NAMING,
    name="emovdb",
    title="EmoV-DB",
    licence="non-commercial (research, teaching, personal)",
    commercial_use=False,
    speech="acted",
    collection="Speakers read sentences of CMU Arctic in five styles, for speech synthesis.",
    source="openslr.org/115, github.com/numediart/EmoV-DB",
    citation='Adigwe et al., "The Emotional Voices Database: Towards Controlling the Emotion Dimension in Voice '
    'Generation Systems", arXiv:1806.09514, 2018',
    language="English",
    official={"anger": 1308, "disgust": 1033, "neutrality": 1585, "amusement": 1330, "sleepiness": 1744},
    other_labels={"amusement": "joy", "sleepiness": DROP},
    other_labels_reason="amusement is the only joyful style, sleepiness is none of the seven emotions",
    protocol="loso",
    protocol_reason="leave one of the four speakers out; josh has neither anger nor disgust",
)
