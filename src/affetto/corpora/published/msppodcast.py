"""MSP-Podcast, naturalistic English speech from podcasts, with dimensions and all raters' answers.

Segments of podcasts, each labelled by five raters or more (Lotfian and Busso, "Building naturalistic emotionally
balanced speech corpus by retrieving emotional speech from existing podcast recordings", IEEE Transactions on Affective
Computing 10(4), 2019; ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html). The corpus grows: release 1.11
has 151,654 segments, 1.12 has 207,136, 2.0 has 264,705 in its consensus table; so there are no official counts here.
Licences are for academic institutions.

    Labels/labels_consensus.csv     FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
    Labels/labels_detailed.csv      FileName and a rater's answer, as EmoDetail or as columns (below)
    Audios/MSP-PODCAST_0001_0008.wav, Transcripts/MSP-PODCAST_0001_0008.txt

    A anger  S sadness  H joy  U surprise  F fear  D disgust  C contempt  N neutral  O other  X no agreement

The usual task has eight classes, contempt among them; O is left out. X is left out too, even with --keep-other: it is
the lack of a label. Dimensions go from 1 to 7. Parts: Train, Development, and the tests Test1 and
Test2, on which results are given apart: Test1 is the test part, `--option test=test2` takes the other, `both` their
union. Test3's labels are hidden. Some speakers are not known (`Unknown`): their clips count as one speaker a podcast.

`labels_detailed.csv` has either one column EmoDetail (`WORKER00000001; Neutral; Neutral,Concerned; A:3.000000;
V:3.000000; D:4.000000;`), or columns for the worker, EmoClass_Major, EmoClass_Second, EmoAct, EmoVal and EmoDom: code
that reads releases 1.6, 1.11 and 2.0 shows both, the file itself was not seen. A rater's own words (`Other-confused`)
are no label.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from affetto.corpora.amounts import amount, verb
from affetto.corpora.annotations import Range, Rating
from affetto.corpora.corpus import Corpus, Option
from affetto.corpora.delimited import named_rows, open_table
from affetto.corpora.folders import candidates, missing_files, only_root
from affetto.corpora.formats.cells import gender
from affetto.corpora.labelling import Labelling
from affetto.corpora.labels import DROP, EMOTIONS
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.names import unified
from affetto.errors import UserError, unknown

CONSENSUS, DETAILED = "labels_consensus.csv", "labels_detailed.csv"
FOLDERS = ("labels", "audios", "audio", "transcripts")
CODES = {
    "A": "anger",
    "C": "contempt",
    "D": "disgust",
    "F": "fear",
    "H": "joy",
    "N": "neutrality",
    "O": "other",
    "S": "sadness",
    "U": "surprise",
}
NO_AGREEMENT = "X"
DIMENSIONS = {"arousal": "EmoAct", "dominance": "EmoDom", "valence": "EmoVal"}
RANGE = Range(1, 7)
PARTS = {"train": "train", "development": "validation", "test1": "test", "test2": "test", "test3": "test"}
TESTS_OF = {"test1": ("Test1",), "test2": ("Test2",), "both": ("Test1", "Test2")}
"""Official parts that a value of the option `test` makes the test part; clips of other tests are left out."""
RATERS = ("workers", "worker", "workerid", "worker_id")
COLUMNS = ("FileName", "EmoClass", *DIMENSIONS.values(), "SpkrID", "Gender", "Split_Set")
_DETAIL = re.compile(r"([AVD]):\s*([\d.]+)")
_LAYOUT = f"Labels/{CONSENSUS}, beside Audios/"


def matches(path: Path) -> bool:
    """True if the folder, its parent or a child of it holds the consensus labels."""
    return bool(_roots(path))


def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False, test: str = "test1") -> Manifest:
    """The segments with a label, of Train, Development and the tests that `test`, a key of TESTS_OF, names.

    A rater's answers are in `ratings` where labels_detailed.csv is there.
    """
    root, notes = only_root(path, CORPUS.title, _LAYOUT, _roots(path))
    labelling = CORPUS.labelling(label_map)
    labels, audio = _child(root, "labels"), _child(root, "audios", "audio")
    ratings = _read_ratings(labels / DETAILED, labelling)
    clips: list[Clip] = []
    untested: Counter[str] = Counter()
    undecided = 0
    for line, row in named_rows(labels / CONSENSUS, COLUMNS):
        where = f"{CONSENSUS} line {line}"
        part = row["Split_Set"].capitalize()
        if PARTS.get(part.casefold()) == "test" and part not in TESTS_OF[test]:
            untested[part] += 1
            continue
        if row["EmoClass"] == NO_AGREEMENT:
            undecided += 1
            continue
        if row["EmoClass"] not in CODES:
            raise unknown(f"emotion class in {where}", row["EmoClass"], (*CODES, NO_AGREEMENT))
        emotion = labelling.emotion(CODES[row["EmoClass"]], where, code=row["EmoClass"])
        if emotion is not None:
            folder = f"{audio.name}/" if audio != root else ""
            clip = _clip(row, emotion, where, f"{folder}{row['FileName']}")
            words, answers = _words(root, row["FileName"]), ratings.get(row["FileName"], ())
            clips.append(replace(clip, sentence=words, ratings=answers))
    if undecided:
        segments = f"{amount(undecided, 'clip')} without agreement of the raters (X)"
        notes += (f"{segments} {verb(undecided, 'are')} left out for want of a label",)
    for part, count in sorted(untested.items()):
        takes = [f"--option test={name}" for name, parts in TESTS_OF.items() if part in parts]
        advice = f"; {' or '.join(takes)} takes them" if takes else ""
        notes += (f"{amount(count, 'clip')} of {part} {verb(count, 'are')} left out{advice}",)
    if not ratings:
        notes += (f"{DETAILED} is not there: the raters are not known",)
    notes += missing_files(root, [clip.file for clip in clips], CONSENSUS, strict=strict)
    return CORPUS.manifest(root, clips, labelling=labelling, notes=notes, strict=strict)


def test_option(text: str) -> str:
    """The tests that are the test part, a key of TESTS_OF; ValueError for any other text."""
    if text.casefold() not in TESTS_OF:
        *names, last = TESTS_OF
        raise ValueError(f"must be {', '.join(names)} or {last}")
    return text.casefold()


def _clip(row: Mapping[str, str], emotion: str, where: str, file: str) -> Clip:
    part = PARTS.get(row["Split_Set"].casefold())
    if part is None:
        raise unknown(f"part in {where}", row["Split_Set"], ("Train", "Development", "Test1", "Test2", "Test3"))
    return Clip(
        file=file,
        emotion=emotion,
        speaker=_speaker(row["SpkrID"], row["FileName"]),
        gender=gender(row["Gender"], where),
        part=part,
        extra=(("part", row["Split_Set"]),),
        dimensions=tuple((name, _number(row[column], where)) for name, column in DIMENSIONS.items()),
    )


def _speaker(cell: str, file: str) -> str:
    """The speaker's number; for one who is not known the podcast, which no other speaker's clips name."""
    name = unified(cell)
    if name.casefold() in ("", "unknown", "nan"):
        return "unknown-" + "_".join(Path(file).stem.split("_")[:2])
    return name.removesuffix(".0")


def _words(root: Path, file: str) -> str | None:
    text = root / "Transcripts" / f"{Path(file).stem}.txt"
    return text.read_text(encoding="utf-8", errors="replace").strip() or None if text.is_file() else None


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if value not in RANGE:
        raise UserError(f"{where}: {cell!r} is no judgement from {RANGE}; get the table again from its source")
    return value


def _read_ratings(table: Path, labelling: Labelling) -> dict[str, tuple[Rating, ...]]:
    """The raters' answers on each file; {} without the table."""
    if not table.is_file():
        return {}
    answers: dict[str, list[Rating]] = {}
    for file, rating in _answers(table, labelling):
        answers.setdefault(file, []).append(rating)
    return {file: tuple(of_file) for file, of_file in answers.items()}


def _answers(table: Path, labelling: Labelling) -> Iterator[tuple[str, Rating]]:
    header = open_table(table).header
    has_details = "EmoDetail" in header
    raters = [column for column in header if column.casefold() in RATERS][:1]
    columns = ("EmoDetail",) if has_details else (*raters, "EmoClass_Major", *DIMENSIONS.values())
    for line, row in named_rows(table, ("FileName", *columns)):
        where = f"{table.name} line {line}"
        if has_details:
            rater, label, *rest = (part.strip() for part in row["EmoDetail"].split(";"))
            letters = dict(_DETAIL.findall(";".join(rest)))
            cells = {name: letters[name[0].upper()] for name in DIMENSIONS if name[0].upper() in letters}
        else:
            rater, label = "".join(row[column] for column in raters), row["EmoClass_Major"]
            cells = {name: row[column] for name, column in DIMENSIONS.items() if row[column]}
        dimensions = tuple((name, _number(cell, where)) for name, cell in cells.items())
        yield row["FileName"], Rating(rater, _labels(label, labelling), dimensions)


def _labels(answer: str, labelling: Labelling) -> tuple[str, ...]:
    """The class of a rater's primary emotion; () for the rater's own words and for a class that is left out."""
    emotion = labelling.answer(answer)
    return () if emotion is None else (emotion,)


def _child(root: Path, *names: str) -> Path:
    """The subfolder with one of these names, in any capitals; the root itself where there is none."""
    return next((child for child in sorted(root.iterdir()) if child.is_dir() and child.name.casefold() in names), root)


def _is_root(folder: Path) -> bool:
    labels = _child(folder, "labels")
    return (labels / CONSENSUS).is_file() and (labels != folder or folder.name.casefold() not in FOLDERS)


def _roots(path: Path) -> list[Path]:
    return candidates(path, _is_root, lambda folder: folder.name.casefold() in FOLDERS)


CORPUS = Corpus(
    name="msppodcast",
    title="MSP-Podcast",
    matches=matches,
    read=read,
    options={"test": Option("test1 (default), test2 or both is the test part", test_option)},
    licence="restricted: an agreement of the institution with UT Dallas; academic use",
    commercial_use=False,
    speech="natural",
    collection="Segments of podcasts, each labelled by five raters or more.",
    source="the authors, by an agreement: ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
    citation='Lotfian and Busso, "Building naturalistic emotionally balanced speech corpus by retrieving emotional '
    'speech from existing podcast recordings", IEEE Transactions on Affective Computing 10(4), 2019',
    language="English",
    uncounted=(*EMOTIONS, "contempt"),
    dimensions=dict.fromkeys(DIMENSIONS, RANGE),
    other_labels={"contempt": "contempt", "other": DROP},
    other_labels_reason="the corpus's usual task has eight classes, contempt among them",
    protocol="column",
    protocol_reason="the official parts: Train, Development, and Test1 as the test part (--option test=test2: Test2)",
)
