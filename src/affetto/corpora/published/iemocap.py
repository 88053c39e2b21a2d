"""IEMOCAP, dyadic acted English: ten actors in five sessions, with raters' categories and dimensions.

Each session has a woman and a man, who play scripts and improvise: 10,039 turns of about 12 hours (Busso et al.,
"IEMOCAP: Interactive emotional dyadic motion capture database", Language Resources and Evaluation 42, 2008;
sail.usc.edu/iemocap). Counts: tae898/multimodal-datasets and EmoBox's metadata, which agree. Access needs a signed
agreement.

    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
        [6.2901 - 8.2357]  Ses01F_impro01_F000  neu  [2.5000, 2.5000, 2.5000]    consensus; valence, arousal, dominance
        C-E2:  Neutral;  ()                                                      a rater's categories
        A-E3:  val 3; act 2; dom  2;  ()                                         a rater's dimensions
    Session1/dialog/transcriptions/Ses01F_impro01.txt      Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

The speaker is the session with the letter after the last `_`. The field's usual task has four classes, with excitement
joined to joy: 5,531 turns; `--option classes=6` is the other usual one, with excitement and frustration by themselves.
2,507 turns have no majority (`xxx`) and no label. The consensus is over outside raters (E1, E2, …): the actors' own
answers (F1, M1) are passed over, as their mean in the files does. Dimensions go from 1 to 5. It could not be confirmed
that E3 of the categories and E3 of the dimensions are one person, so that raters keep the whole code (C-E3, A-E3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from affetto.corpora.amounts import amount, verb
from affetto.corpora.annotations import Range, Rating
from affetto.corpora.corpus import Corpus, Option
from affetto.corpora.folders import audio_below, candidates, only_root, subfolders, visible
from affetto.corpora.labelling import Labelling
from affetto.corpora.labels import DROP
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError, unknown

CODES = {
    "ang": "anger",
    "dis": "disgust",
    "exc": "excitement",
    "fea": "fear",
    "fru": "frustration",
    "hap": "joy",
    "neu": "neutrality",
    "oth": "other",
    "sad": "sadness",
    "sur": "surprise",
}
NO_AGREEMENT = "xxx"
DIMENSIONS = {"val": "valence", "act": "arousal", "dom": "dominance"}
"""Dimensions by their abbreviation, in the order of the consensus."""
RANGE = Range(1, 5)
RARE = dict.fromkeys(("disgust", "fear", "surprise", "other"), DROP)
FOUR = {"excitement": "joy", "frustration": DROP} | RARE
SIX = {"excitement": "excitement", "frustration": "frustration"} | RARE
CLASSES = {"4": FOUR, "6": SIX}
GENDERS = {"F": "female", "M": "male"}
_SESSION = re.compile(r"session\d", re.IGNORECASE)
_TURN = re.compile(
    r"\[(?P<start>[\d.]+) - (?P<end>[\d.]+)\]\s+(?P<name>\S+)\s+(?P<code>\w{3})\s+\[(?P<values>[^\]]*)\]"
)
_NAME = re.compile(r"(?P<session>Ses\d\d)[FM]_(?P<scene>\w+)_(?P<letter>[FM])\w+")
_ANSWER = re.compile(r"(?P<rater>[CA]-E\d+):\s*(?P<answer>[^()]*)")
_JUDGEMENT = re.compile(r"(val|act|dom)\s+(\d+)")
_WORDS = re.compile(r"(\S+)\s+\[[\d.\s-]+\]:\s*(.*)")
_LAYOUT = "folders Session1 to Session5 with dialog/EmoEvaluation and sentences/wav"


@dataclass
class Turn:
    """A turn of a dialogue, as its evaluation file has it."""

    name: str
    code: str
    values: tuple[tuple[str, float], ...]
    """Consensus of each dimension, sorted by name."""
    answers: list[tuple[str, str]] = field(default_factory=list)
    """Rater and answer, as they stand in the file."""


def matches(path: Path) -> bool:
    """True if the folder, its parent or a child of it holds sessions with evaluations."""
    return bool(_roots(path))


def read(
    path: Path,
    *,
    label_map: dict[str, str] | None = None,
    strict: bool = False,
    classes: dict[str, str] | None = None,
) -> Manifest:
    """The turns with a majority; `classes` is the rule for labels beside the classes (default: four of them)."""
    root, notes = only_root(path, CORPUS.title, _LAYOUT, _roots(path))
    labelling = CORPUS.labelling(label_map, other_labels=classes)
    clips: list[Clip] = []
    undecided = silent = outside = 0
    for session in filter(_is_inner, subfolders(root)):
        files = {Path(file).stem: Path(file) for file in audio_below(session / "sentences" / "wav")}
        words = _words(session)
        for where, turn in _turns(session):
            if turn.code == NO_AGREEMENT:
                undecided += 1
                continue
            if turn.code not in CODES:
                raise unknown(f"category in {where}", turn.code, (*CODES, NO_AGREEMENT))
            if turn.name not in files:
                silent += 1
                continue
            emotion = labelling.emotion(CODES[turn.code], where, code=turn.code)
            if emotion is not None:
                outside += sum(value not in RANGE for _, value in turn.values)
                file = files[turn.name].relative_to(root).as_posix()
                clip = _clip(turn, emotion, file, where)
                ratings = tuple(_ratings(turn, labelling))
                clips.append(replace(clip, sentence=words.get(turn.name), ratings=ratings))
    if silent and not clips:
        raise UserError(
            f"{root}: none of the {silent:,} evaluated turns has a file; unpack sentences/wav of each session too"
        )
    notes += (*_unlabelled(root), *_notes(undecided, silent, outside))
    return CORPUS.manifest(root, clips, labelling=labelling, notes=notes, strict=strict)


def _unlabelled(root: Path) -> tuple[str, ...]:
    """A note on sessions whose audio is there and whose evaluations are not; () where there are none."""
    sessions = [
        session.name
        for session in subfolders(root)
        if _SESSION.fullmatch(session.name) and not _is_inner(session) and any(audio_below(session))
    ]
    if not sessions:
        return ()
    names = ", ".join(sessions)
    return (f"{names} {verb(len(sessions), 'have')} audio and no dialog/EmoEvaluation, so no labels: unpack it too",)


def _notes(undecided: int, silent: int, outside: int) -> tuple[str, ...]:
    lines = [
        (undecided, "turn", "without a majority (xxx)", "are", "left out for want of a label"),
        (silent, "evaluated turn", "", "have", "no file below sentences/wav"),
        (outside, "value", f"of dimensions outside {RANGE}", "are", "left out"),
    ]
    return tuple(
        " ".join(filter(None, (amount(number, noun), which, verb(number, plural), rest)))
        for number, noun, which, plural, rest in lines
        if number
    )


def _clip(turn: Turn, emotion: str, file: str, where: str) -> Clip:
    fit = _NAME.fullmatch(turn.name)
    if fit is None:
        raise UserError(f"{where}: {turn.name!r} is no turn's name, such as Ses01F_impro01_F000; get the file again")
    return Clip(
        file=file,
        emotion=emotion,
        speaker=fit["session"] + fit["letter"],
        gender=GENDERS[fit["letter"]],
        prompt=fit["scene"],
        dimensions=tuple((name, value) for name, value in turn.values if value in RANGE),
    )


def _ratings(turn: Turn, labelling: Labelling) -> Iterator[Rating]:
    for rater, answer in turn.answers:
        if rater.startswith("A"):
            pairs = ((DIMENSIONS[key], float(value)) for key, value in _JUDGEMENT.findall(answer))
            yield Rating(rater, dimensions=tuple(sorted(pair for pair in pairs if pair[1] in RANGE)))
            continue
        names = (name.strip().casefold().removesuffix(" state") for name in answer.split(";"))
        labels = map(labelling.answer, names)
        yield Rating(rater, tuple(dict.fromkeys(label for label in labels if label is not None)))


def _turns(session: Path) -> Iterator[tuple[str, Turn]]:
    """The turns of a session's evaluation files, each with its place."""
    for file in visible(session / "dialog" / "EmoEvaluation"):
        if file.suffix.casefold() != ".txt" or not file.is_file():
            continue
        turn: Turn | None = None
        where = ""
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if fit := _TURN.match(line):
                if turn:
                    yield where, turn
                where = f"{file.name} line {number}"
                turn = Turn(fit["name"], fit["code"], _consensus(fit["values"], where))
            elif turn and (answer := _ANSWER.match(line)):
                turn.answers.append((answer["rater"], answer["answer"].strip()))
        if turn:
            yield where, turn


def _consensus(text: str, where: str) -> tuple[tuple[str, float], ...]:
    try:
        values = [float(part) for part in text.split(",")]
        return tuple(sorted(zip(DIMENSIONS.values(), values, strict=True)))
    except ValueError:
        raise UserError(f"{where}: [{text}] are not three numbers; get the file again from its source") from None


def _words(session: Path) -> dict[str, str]:
    """The words of each turn; {} without transcriptions."""
    folder = session / "dialog" / "transcriptions"
    texts: dict[str, str] = {}
    for file in visible(folder) if folder.is_dir() else ():
        if file.suffix.casefold() == ".txt":
            fits = map(_WORDS.match, file.read_text(encoding="utf-8", errors="replace").splitlines())
            texts |= {fit[1]: fit[2].strip() for fit in fits if fit}
    return texts


def _is_inner(folder: Path) -> bool:
    return bool(_SESSION.fullmatch(folder.name)) and (folder / "dialog" / "EmoEvaluation").is_dir()


def _is_root(folder: Path) -> bool:
    return any(map(_is_inner, subfolders(folder)))


def _roots(path: Path) -> list[Path]:
    return candidates(path, _is_root, _is_inner)


def classes_option(text: str) -> dict[str, str]:
    """The rule for labels beside the classes, by their number; ValueError for a number that is not usual."""
    if text not in CLASSES:
        raise ValueError(f"must be {' or '.join(CLASSES)}")
    return CLASSES[text]


CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    matches=matches,
    read=read,
    options={"classes": Option("6 has excitement and frustration as classes of their own", classes_option)},
    licence="restricted: a signed agreement with USC; research only",
    commercial_use=False,
    speech="acted",
    collection="Pairs of actors play scripts and improvise; raters name categories and dimensions of each turn.",
    source="the authors, by a signed agreement: sail.usc.edu/iemocap",
    citation='Busso et al., "IEMOCAP: Interactive emotional dyadic motion capture database", Language Resources and '
    "Evaluation 42, 2008",
    language="English",
    official={
        "anger": 1103,
        "disgust": 2,
        "fear": 40,
        "joy": 595,
        "neutrality": 1708,
        "sadness": 1084,
        "surprise": 107,
        "excitement": 1041,
        "frustration": 1849,
        "other": 3,
    },
    genders={"female": 5, "male": 5},
    dimensions=dict.fromkeys(DIMENSIONS.values(), RANGE),
    other_labels=FOUR,
    other_labels_reason="the field's four classes are anger, joy with excitement, neutrality and sadness; its six have "
    "excitement and frustration too",
    protocol="published",
    protocol_reason="leave one session of two speakers out, as the field does",
    folds=tuple((f"Ses0{number}F", f"Ses0{number}M") for number in range(1, 6)),
)
