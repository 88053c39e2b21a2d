"""SUBESCO, the SUST Bangla emotional speech corpus: twenty actors, ten sentences, five takes.

Ten women and ten men, professional actors, say ten sentences five times in seven emotions: 7,000 clips, 1,000 an
emotion, 7 h 40 min (Sultana, Rahman, Selim and Iqbal, PLoS ONE 2021, doi 10.1371/journal.pone.0250173; counts and
naming: the authors' page, huggingface.co/datasets/sustcsenlp/bn_emotion_speech_corpus). 50 raters recognised 71 %.

    F_02_MONIKA_S_1_NEUTRAL_5.wav      woman 02 named Monika, sentence 1, neutral, take 5

Women and men are numbered apart: the speaker is `F_02`. One file has a stray bracket (`…_SURPRISE_3].wav`).
"""

from __future__ import annotations

from affetto.corpora.labels import EMOTIONS
from affetto.corpora.named_files import Naming, named_corpus

NAMING = Naming(
    pattern=r"(?P<speaker>[FM]_\d\d)_[a-z]+_S_(?P<prompt>\d+)"
    r"_(?P<emotion>ANGRY|DISGUST|FEAR|HAPPY|NEUTRAL|SAD|SURPRISE)_\d\]?\.wav",
    shape="<gender>_<number>_<name>_S_<sentence>_<EMOTION>_<take>.wav",
    example="F_02_MONIKA_S_1_NEUTRAL_5.wav",
    emotions=dict(zip(("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"), EMOTIONS, strict=True)),
    speakers={
        f"{letter}_{number:02}": gender
        for letter, gender in (("F", "female"), ("M", "male"))
        for number in range(1, 11)
    },
)

CORPUS = named_corpus(
    NAMING,
    name="subesco",
    title="SUBESCO",
    licence="CC BY 4.0",
    speech="acted",
    collection="Professional actors say ten sentences five times in seven emotions; raters judged them.",
    source="zenodo.org/records/4526477",
    citation="Sultana, Rahman, Selim and Iqbal, PLoS ONE 16(4), 2021, doi 10.1371/journal.pone.0250173",
    language="Bangla",
    official=dict.fromkeys(EMOTIONS, 1000),
    protocol="published",
    protocol_reason="EmoBox's five folds of four actors",
    folds=(
        ("F_03", "M_03", "M_08", "M_09"),
        ("F_01", "F_04", "F_10", "M_07"),
        ("F_06", "F_08", "M_05", "M_06"),
        ("F_05", "F_07", "F_09", "M_04"),
        ("F_02", "M_01", "M_02", "M_10"),
    ),
)
