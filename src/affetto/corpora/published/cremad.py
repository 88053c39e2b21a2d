"""CREMA-D, the crowd-sourced emotional multimodal actors dataset: 91 actors, twelve sentences, 2,443 raters.

43 women and 48 men of 20 to 74 years say twelve sentences in six emotions (no surprise): 7,442 clips, 5.3 hours at
16 kHz (Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Transactions on Affective
Computing 5(4), 2014; README, demographics, votes and names of github.com/CheyneyComputerScience/CREMA-D, from which the
counts are computed). The first sentence is said at three intensities, the others at an unspecified one.

    AudioWAV/1001_DFA_ANG_XX.wav             actor, sentence, emotion, intensity (LO, MD, HI, XX)
    VideoDemographics.csv                    ActorID,Age,Sex,Race,Ethnicity
    processedResults/tabulatedVotes.csv      ,A,D,F,H,N,S,fileName,…; a clip has three rows

Each clip was rated by its voice, by its face and by both: the first digit of a row's number tells (1 is the voice). The
answers to the voice alone are the clip's ratings: 68,568 for all clips, 4 to 12 a clip, of raters without names. They
name the intended emotion in 40.7 % (mean over the six). `1076_MTI_SAD_XX.wav` is silent:
`affetto corpora inspect` says so. The repository holds audio by Git LFS: a plain download has pointers in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from affetto.corpora import ratings
from affetto.corpora.annotations import Rating
from affetto.corpora.delimited import named_rows
from affetto.corpora.labelling import Labelling
from affetto.corpora.manifest import Clip
from affetto.corpora.named_files import Naming, named_corpus
from affetto.errors import UserError

VOTES = "processedResults/tabulatedVotes.csv"
DEMOGRAPHICS = "VideoDemographics.csv"
LETTERS = {"A": "anger", "D": "disgust", "F": "fear", "H": "joy", "N": "neutrality", "S": "sadness"}
CODES = dict(zip(("ang", "dis", "fea", "hap", "neu", "sad"), LETTERS.values(), strict=True))
VOICE = "1"
"""First digit of the number of a row whose raters heard the voice alone."""
WOMEN = frozenset(
    (2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 18, 20, 21, 24, 25, 28, 29, 30, 37, 43, 46, 47, 49, 52, 53, 54, 55, 56, 58, 60)
) | {61, 63, 72, 73, 74, 75, 76, 78, 79, 82, 84, 89, 91}
"""Numbers, from 1 on, of the actors who are women by the demographics."""
SENTENCES = {
    "dfa": "Don't forget a jacket",
    "ieo": "It's eleven o'clock",
    "iom": "I'm on my way to the meeting",
    "ith": "I think I have a doctor's appointment",
    "its": "I think I've seen this before",
    "iwl": "I would like a new alarm clock",
    "iww": "I wonder what this is about",
    "mti": "Maybe tomorrow it will be cold",
    "tai": "The airplane is almost full",
    "tie": "That is exactly what happened",
    "tsi": "The surface is slick",
    "wsi": "We'll stop in a couple of minutes",
}
NAMING = Naming(
    pattern=rf"(?P<speaker>\d{{4}})_(?P<prompt>{'|'.join(SENTENCES)})_(?P<emotion>{'|'.join(CODES)})"
    r"_(?P<intensity>LO|MD|HI|XX?)\.wav",
    shape="<actor>_<sentence>_<emotion>_<intensity>.wav",
    example="AudioWAV/1001_DFA_ANG_XX.wav",
    emotions=CODES,
    speakers={str(1000 + number): "female" if number in WOMEN else "male" for number in range(1, 92)},
    values={"intensity": {"lo": "low", "md": "medium", "hi": "high"}},
)


def annotate(root: Path, clips: tuple[Clip, ...], labelling: Labelling) -> tuple[tuple[Clip, ...], tuple[str, ...]]:
    """The clips with their raters' answers to the voice alone, and with what the demographics say of their actors."""
    votes = dict(read_votes(_table(root, VOTES)))
    facts = _demographics(_table(root, DEMOGRAPHICS))
    annotated = tuple(_annotated(clip, votes, facts, labelling) for clip in clips)
    if votes:
        return annotated, ()
    return annotated, (f"{VOTES} is not beside the audio: the raters are not known",)


def read_votes(table: Path | None) -> Iterator[tuple[str, dict[str, int]]]:
    """Name of each clip (`1001_DFA_ANG_XX`) with the votes per emotion of those who heard the voice alone."""
    if table is None:
        return
    for line, row in named_rows(table, ("", *LETTERS, "fileName")):
        if row[""].startswith(VOICE):
            yield row["fileName"].casefold(), {label: _votes(row, key, line) for key, label in LETTERS.items()}


def _votes(row: Mapping[str, str], key: str, line: int) -> int:
    if not row[key].isdecimal():
        raise UserError(f"tabulatedVotes.csv line {line}: {key} is {row[key]!r}, no number; get the table again")
    return int(row[key])


def _annotated(
    clip: Clip,
    votes: Mapping[str, Mapping[str, int]],
    facts: Mapping[str, tuple[tuple[str, str], ...]],
    labelling: Labelling,
) -> Clip:
    name = Path(clip.file).stem.casefold()
    counts = votes.get(name, {})
    answers = [label for label, number in counts.items() for _ in range(number)]
    intended = CODES[name.split("_")[2]]
    extra = (*clip.extra, *facts.get(clip.speaker, ()), *ratings.extra(answers, intended))
    counted = ((Rating(labels=(label,)), counts[code]) for code in counts if (label := labelling.target(code)))
    return replace(
        clip,
        extra=tuple(sorted(extra)),
        ratings=tuple(rating for rating, number in counted for _ in range(number)),
    )


def _demographics(table: Path | None) -> dict[str, tuple[tuple[str, str], ...]]:
    """Age, race and ethnicity of each actor; {} without the table."""
    if table is None:
        return {}
    columns = {"Age": "age", "Race": "race", "Ethnicity": "ethnicity"}
    rows = named_rows(table, ("ActorID", *columns))
    return {row["ActorID"]: tuple((name, row[column]) for column, name in columns.items()) for _, row in rows}


def _table(root: Path, name: str) -> Path | None:
    """The table in the folder of the audio or the one around it; None where there is none."""
    return next((folder / name for folder in (root, root.parent) if (folder / name).is_file()), None)


CORPUS = named_corpus(
    NAMING,
    annotate=annotate,
    name="cremad",
    title="CREMA-D",
    licence="Open Database License 1.0 (ODbL)",
    speech="acted",
    collection="Actors say twelve sentences in six emotions; raters judged voice, face and both.",
    source="github.com/CheyneyComputerScience/CREMA-D",
    citation='Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Transactions on Affective '
    "Computing 5(4), 2014, doi 10.1109/TAFFC.2014.2336244",
    language="English",
    official=dict.fromkeys(LETTERS.values(), 1271) | {"neutrality": 1087},
    protocol="kfold:5",
    protocol_reason="five folds of whole actors, as EMO-SUPERB has; EmoBox's fold shares all 91 actors",
    sentences=SENTENCES,
)
