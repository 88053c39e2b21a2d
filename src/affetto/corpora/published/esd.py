"""ESD, the emotional speech dataset for synthesis and conversion: ten speakers of English and ten of Mandarin.

350 utterances in each of five states by each speaker: 35,000 clips, 29.1 hours, 16 kHz (Zhou, Sisman, Liu and Li,
"Seen and Unseen Emotional Style Transfer for Voice Conversion with a New Emotional Speech Dataset", ICASSP 2021;
github.com/HLTSingapore/Emotional-Speech-Data; counts and numbers: EmoBox's metadata; genders: the archive's ReadMe).
Access needs a signed licence.

    0011/Angry/train/0011_000351.wav      speaker / emotion / part (train, evaluation, test) / speaker_utterance
    0011/Angry/0011_000351.wav            the same in copies without parts

Utterances 1 to 350 are neutral, 351 to 700 angry, 701 to 1050 happy, 1051 to 1400 sad and 1401 to 1750 surprised; each
block has the same 350 texts, so that the prompt is the language and the number within the block. Speakers 0001 to 0010
speak Mandarin. The official parts are made by utterance for synthesis and share all speakers; recognition needs a split
by speakers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from affetto.corpora.corpus import Option
from affetto.corpora.labelling import Labelling
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.named_files import Naming, named_corpus, read_named

ENGLISH, MANDARIN, BOTH = "english", "mandarin", "both"
TEXTS = 350
"""Utterances of a speaker in each state."""
WOMEN = (1, 2, 3, 7, 9, 15, 16, 17, 18, 19)
FIRST_ENGLISH = 11

NAMING = Naming(
    pattern=r"(?P<emotion>Angry|Happy|Neutral|Sad|Surprise)/(?:(?P<part>train|evaluation|test)/)?"
    r"(?P<speaker>\d{4})_(?P<prompt>\d{6})\.wav",
    shape="<emotion>/<part>/<speaker>_<utterance>.wav",
    example="0011/Angry/train/0011_000351.wav",
    emotions={
        "angry": "anger",
        "happy": "joy",
        "neutral": "neutrality",
        "sad": "sadness",
        "surprise": "surprise",
    },
    speakers={f"{number:04}": "female" if number in WOMEN else "male" for number in range(1, 21)},
)


def annotate(root: Path, clips: tuple[Clip, ...], labelling: Labelling) -> tuple[tuple[Clip, ...], tuple[str, ...]]:
    """The clips with their language, and with a prompt that is the same in all five states."""
    return tuple(_annotated(clip) for clip in clips), ()


def _annotated(clip: Clip) -> Clip:
    language = language_of(clip)
    number = (int(clip.prompt or 0) - 1) % TEXTS + 1
    return replace(clip, prompt=f"{language}-{number:03}", extra=(("language", language),))


def language_of(clip: Clip) -> str:
    return ENGLISH if int(clip.speaker) >= FIRST_ENGLISH else MANDARIN


def language_option(text: str) -> str:
    """A language's name in lower case; ValueError for a language that the corpus does not have."""
    if text.casefold() not in (ENGLISH, MANDARIN, BOTH):
        raise ValueError(f"must be {ENGLISH}, {MANDARIN} or {BOTH}")
    return text.casefold()


def read(
    path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False, language: str = BOTH
) -> Manifest:
    """The clips of both languages, or of one."""
    manifest = read_named(CORPUS, NAMING, path, annotate=annotate, label_map=label_map, strict=strict)
    return manifest if language == BOTH else manifest.only(lambda clip: language_of(clip) == language)


CORPUS = named_corpus(
    NAMING,
    read=read,
    options={"language": Option("english or mandarin reads the ten speakers of one language alone", language_option)},
    name="esd",
    title="ESD",
    licence="research only, after a signed licence",
    commercial_use=False,
    speech="acted",
    collection="Speakers read 350 texts in each of five states, for synthesis and voice conversion.",
    source="github.com/HLTSingapore/Emotional-Speech-Data",
    citation='Zhou, Sisman, Liu and Li, "Seen and Unseen Emotional Style Transfer for Voice Conversion with a New '
    'Emotional Speech Dataset", ICASSP 2021',
    language="English, Mandarin",
    official=dict.fromkeys(("anger", "joy", "neutrality", "sadness", "surprise"), 7000),
    protocol="kfold:5",
    protocol_reason="five folds of whole speakers, as many as EmoBox has; the official parts share all speakers",
)
