"""ASED, the Amharic speech emotion dataset: 65 speakers of four dialects, five emotions.

25 women and 40 men say two sentences in all five emotions and five more for each emotion, twice; eight judges kept
2,474 of the 4,550 recordings, of 2 to 4 seconds at 16 kHz (Retta et al., "A New Amharic Speech Emotion Dataset and
Classification Benchmark", ACM TALLIP 2022, doi 10.1145/3529759; github.com/Ethio2021/ASED_V1; counts: EmoBox's
metadata, which agree with the authors' total).

    05Angry/a5-03-01-02-50.wav      anger, sentence 3, first repetition, man (02; a woman is 01), speaker 50

Five names state another gender than all other clips of their speaker; the speaker's gender is that of the others.
Sentences 3 to 7 belong to the emotion, so that its code is part of the prompt. Judging by their numbers of clips 1 and
2 are the ones spoken in all emotions, but the authors do not say so, and the prompts of these too are told apart.

62 recordings stand there twice: 56 as both repetitions of a sentence, one as another sentence, four under another
speaker (25 and 23 twice, 45 and 39, 45 and 52), one as fear and as anger (f2-02-02-02-28, a5-01-02-02-28).
"""

from __future__ import annotations

from affetto.corpora.named_files import Naming, named_corpus

WOMEN = frozenset((*range(1, 39, 2), 43, 47, 48, 49, 58, 62))

NAMING = Naming(
    pattern=r"(?P<prompt>(?P<emotion>[nfhsa])\d-\d\d)-\d\d-0[12]-(?P<speaker>\d\d)\.wav",
    shape="<emotion><folder>-<sentence>-<repetition>-<gender>-<speaker>.wav",
    example="05Angry/a5-03-01-02-50.wav",
    emotions={"a": "anger", "f": "fear", "h": "joy", "n": "neutrality", "s": "sadness"},
    speakers={f"{number:02}": "female" if number in WOMEN else "male" for number in range(1, 66)},
)

CORPUS = named_corpus(
    NAMING,
    name="ased",
    title="ASED",
    licence="not stated; free for research",
    speech="acted",
    collection="Speakers of four dialects say two sentences in all emotions and five for each; judges chose the clips.",
    source="github.com/Ethio2021/ASED_V1",
    citation='Retta et al., "A New Amharic Speech Emotion Dataset and Classification Benchmark", ACM Transactions on '
    "Asian and Low-Resource Language Information Processing 22(1), 2023",
    language="Amharic",
    official={"anger": 486, "fear": 510, "joy": 486, "neutrality": 522, "sadness": 470},
    protocol="kfold:5",
    protocol_reason="five folds of thirteen speakers",
)
