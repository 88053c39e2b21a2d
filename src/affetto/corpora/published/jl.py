"""JL corpus, New Zealand English: four speakers, five primary and five secondary emotions.

Two women and two men say 15 sentences for each of ten emotions, in two sessions and twice: 2,400 clips, 240 an emotion,
at 44.1 kHz (James, Tian and Watson, "An Open Source Emotional Speech Corpus for Human Robot Interaction Applications",
Interspeech 2018; counts: EmoBox's metadata of the archive). Primary: angry, excited, happy, neutral, sad; secondary:
anxious, apologetic, assertive, concerned, encouraging.

    Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_angry_10a_1.wav      sentence 10, session a, take 1
    …/female1_angry_10a_1.txt                                                          its words

Sentence 13 to 15 have other words in primary and in secondary emotions (seen in single files, not in all).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from affetto.corpora.labels import DROP
from affetto.corpora.named_files import Naming, named_corpus

SECONDARY = ("anxious", "apologetic", "assertive", "concerned", "encouraging")


def words(file: Path, parts: Mapping[str, str]) -> str | None:
    """The words in the text file beside a clip; None without one."""
    text = file.with_suffix(".txt")
    return text.read_text(encoding="utf-8", errors="replace").strip() or None if text.is_file() else None


NAMING = Naming(
    pattern=rf"(?P<speaker>(?:fe)?male[12])_(?P<emotion>angry|excited|happy|neutral|sad|{'|'.join(SECONDARY)})"
    r"_(?P<prompt>\d+)[ab]_[12]\.wav",
    shape="<gender><number>_<emotion>_<sentence><session>_<take>.wav",
    example="female1_angry_10a_1.wav",
    emotions={
        "angry": "anger",
        "excited": "excitement",
        "happy": "joy",
        "neutral": "neutrality",
        "sad": "sadness",
    }
    | {label: label for label in SECONDARY},
    speakers={"female1": "female", "female2": "female", "male1": "male", "male2": "male"},
    words=words,
)

CORPUS = named_corpus(
    NAMING,
    name="jl",
    title="JL corpus",
    licence="CC0",
    speech="acted",
    collection="Speakers say 15 sentences for each of ten emotions, in two sessions.",
    source="kaggle.com/datasets/tli725/jl-corpus",
    citation='James, Tian and Watson, "An Open Source Emotional Speech Corpus for Human Robot Interaction '
    'Applications", Interspeech 2018',
    language="English",
    official=dict.fromkeys(("anger", "joy", "neutrality", "sadness", "excitement", *SECONDARY), 240),
    other_labels={"excitement": "joy"} | dict.fromkeys(SECONDARY, DROP),
    other_labels_reason="excitement is joined to joy as in IEMOCAP, the secondary emotions are none of the seven",
    protocol="loso",
    protocol_reason="leave one of the four speakers out, as EmoBox does",
)
