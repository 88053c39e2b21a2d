"""BAVED, the basic Arabic vocal emotions dataset: seven words at three levels of expression.

1,935 clips at 16 kHz (README and files of github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset, from which the counts
are computed). The README speaks of 61 speakers (45 men, 16 women); the files name 60. All 21 recordings of speaker 53
have the same samples as those of speaker 46: here they are one person, which leaves 59 (43 men, 16 women).

    0/100-f-6-0-2-2.wav      word (the folder) / speaker - gender - age - word - level - number

Level 0 is how a tired person speaks, 1 is a person's everyday speech, 2 a strong emotion, positive or negative. So the
classes are levels and no emotions: low, normal and high, which no other corpus has.
"""

from __future__ import annotations

from affetto.corpora.named_files import Naming, named_corpus

LEVELS = {"0": "low", "1": "normal", "2": "high"}
WORDS = {"0": "اعجبني", "1": "لم يعجبني", "2": "هذا", "3": "الفيلم", "4": "رائع", "5": "مقول", "6": "سيئ"}

NAMING = Naming(
    pattern=r"(?P<speaker>\d+)-(?P<gender>[mf])-(?P<age>\d+)-(?P<prompt>[0-6])-(?P<emotion>[0-2])-\d+\.wav",
    shape="<speaker>-<gender>-<age>-<word>-<level>-<number>.wav",
    example="0/100-f-6-0-2-2.wav",
    emotions=LEVELS,
    genders={"f": "female", "m": "male"},
    misspelt={"53": "46"},
)

CORPUS = named_corpus(
    NAMING,
    name="baved",
    title="BAVED",
    licence="not stated",
    speech="acted",
    collection="Speakers say seven words at three levels of expression.",
    source="github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset",
    citation="Basic Arabic Vocal Emotions Dataset, github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset",
    language="Arabic",
    official={"low": 585, "normal": 672, "high": 678},
    genders={"female": 16, "male": 43},
    other_labels={level: level for level in LEVELS.values()},
    other_labels_reason="the classes are levels of expression, none of them one of the seven emotions",
    protocol="kfold:5",
    protocol_reason="five folds of whole speakers",
    sentences=WORDS,
)
