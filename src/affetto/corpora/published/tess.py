"""TESS, the Toronto emotional speech set: two actresses, one word in one carrier phrase.

Two women of Toronto (YAF was 26 years old, OAF 64) say "Say the word …" with 200 words in seven emotions: 2,800 clips,
400 an emotion, at 24.4 kHz (Pichora-Fuller and Dupuis, University of Toronto 2010, doi 10.5683/SP2/E8H2MF; counts:
the dataset's own page and EmoBox's metadata). With two speakers no part of it can test a model that the other parts
have not heard, unless three are there: use it to train beside other corpora, or to test across corpora.

    OAF_angry/OAF_back_angry.wav      older actress, "Say the word back", anger; `ps` is pleasant surprise

The folders do not matter: copies are flat, or have one folder for each actress and emotion; a common mirror holds the
whole set a second time inside. One file lacks a letter in most copies (`OA_bite_neutral.wav`).
"""

from __future__ import annotations

from affetto.corpora.labels import EMOTIONS
from affetto.corpora.named_files import Naming, named_corpus

NAMING = Naming(
    pattern=r"(?P<speaker>OAF?|YAF)_(?P<prompt>[a-z]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)\.wav",
    shape="<OAF or YAF>_<word>_<emotion>.wav",
    example="OAF_back_angry.wav",
    emotions=dict(zip(("angry", "disgust", "fear", "happy", "neutral", "sad", "ps"), EMOTIONS, strict=True)),
    speakers={"OAF": "female", "YAF": "female"},
    misspelt={"oa": "OAF"},
    words=lambda file, parts: f"Say the word {parts['prompt']}",
)

CORPUS = named_corpus(
    NAMING,
    name="tess",
    title="TESS",
    licence="CC BY-NC-ND 4.0",
    speech="acted",
    collection="Two actresses say one carrier phrase with 200 words in seven emotions.",
    source="doi.org/10.5683/SP2/E8H2MF",
    citation='Pichora-Fuller and Dupuis, "Toronto emotional speech set (TESS)", University of Toronto 2010',
    language="English",
    official=dict.fromkeys(EMOTIONS, 400),
    protocol="paper",
    protocol_reason="no speaker-independent split of two speakers has three parts: train on it beside other corpora",
)
