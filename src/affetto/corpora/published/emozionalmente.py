"""Emozionalmente, crowd-sourced acted Italian emotional speech, with human raters.

431 amateurs (299 women, 131 men, 1 other) spoke 18 sentences in seven emotional states at home: 6,902 clips, 986 an
emotion, 6.3 hours, each then labelled by five raters, who recognise 66.4 % of what was meant (Catania, Wilke and
Garzotto, IEEE Transactions on Audio, Speech and Language Processing 2025). Most clips have 16 kHz, 150 have 44.1.
CC BY 4.0: version 1.0 is zenodo.org/records/6569824, version 1.1 is zenodo.org/records/12616095.

    emozionalmente_dataset/ (1.0) or emozionalmente/ (1.1)
      audio/<file_name>
      metadata/samples.csv         file_name,sentence,sentence_language,actor,emotion_expressed
      metadata/users.csv           username,gender,age,mother_tongue         actors and raters
      metadata/evaluations.csv     file_name,evaluator,audio_quality,emotion_recognized
      metadata/split/{train,dev,test}.csv      1.1 only: the official split, by file_name

The actor is the speaker, the sentence is the prompt. `raters` (the labels that the raters gave, joined by `|`) and
`raters_agree` (how many of them gave the intended one) stand in the clip's extras; `ratings` has each rater's answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from affetto.corpora import ratings
from affetto.corpora.amounts import verb
from affetto.corpora.annotations import Rating
from affetto.corpora.corpus import Corpus
from affetto.corpora.delimited import named_rows, open_table
from affetto.corpora.folders import candidates, only_root, passed_over, visible
from affetto.corpora.formats.cells import PART_ALIASES, gender, speaker
from affetto.corpora.labels import EMOTIONS, canonical, find_emotion
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.names import unified
from affetto.errors import UserError

SAMPLES = "metadata/samples.csv"
_SAMPLES_COLUMNS = ("file_name", "sentence", "actor", "emotion_expressed")
_LAYOUT = f"{SAMPLES}, beside audio/"
_INNER = ("audio", "metadata")


def matches(path: Path) -> bool:
    """True if the folder, its parent or a child of it holds `metadata/samples.csv`."""
    return bool(_roots(_folder(path)))


def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False) -> Manifest:
    """The clips of samples.csv. A clip without audio is a note here, and an error once it is decoded."""
    path = _folder(path)
    root, notes = only_root(path, CORPUS.title, _LAYOUT, _roots(path))
    genders, answers, parts = _genders(root), _answers(root, label_map), _parts(root)
    ratings_of = read_ratings(root, label_map=label_map)
    for table, rows in (("users.csv", genders), ("evaluations.csv", answers)):
        if not rows:
            notes += (_without(root, table, strict),)
    labelling = CORPUS.labelling(label_map)
    clips: list[Clip] = []
    counts: Counter[str] = Counter()
    lines: dict[str, int] = {}
    for line, (file, sentence, actor, intended) in _columns(root / SAMPLES, _SAMPLES_COLUMNS):
        where = f"samples.csv line {line}"
        if lines.setdefault(file, line) != line:
            raise UserError(f"{where} lists {file} again (first: line {lines[file]}); get the table again")
        if not file or Path(file).name != file:
            raise UserError(f"{where}: {file!r} names no file directly in audio/; get the table again from its source")
        actor = speaker(actor, where)
        emotion = labelling.emotion(intended, where)
        label = find_emotion(intended) or emotion  # the actor's intention, whatever the user's map makes of it
        if label is not None:
            counts[label] += 1
        if emotion is not None:
            clips.append(
                Clip(
                    file=f"audio/{file}",
                    emotion=emotion,
                    speaker=actor,
                    gender=genders.get(actor),
                    prompt=sentence,
                    part=parts.get(file),
                    extra=ratings.extra(answers.get(file, []), label),
                    ratings=ratings_of.get(file, ()),
                )
            )
    if not lines:
        raise UserError(f"{root / SAMPLES} lists no clips: it is empty below its header; get the file again")
    notes += _missing(root, lines, strict)
    notes += passed_over(root, {f"audio/{file}" for file in lines}, "any line of metadata/samples.csv")
    return CORPUS.manifest(root, clips, labelling=labelling, counts=counts, notes=notes, strict=strict)


def _missing(root: Path, files: Collection[str], strict: bool) -> tuple[str, ...]:
    """A note on the files of samples.csv that are not in audio/; a UserError under `strict`."""
    folder = root / "audio"
    present = {file.name for file in visible(folder)} if folder.is_dir() else set()
    missing = sum(file not in present for file in files)
    if not missing:
        return ()
    note = f"{missing} of the {len(files)} clips that samples.csv lists {verb(missing, 'are')} not in {folder}"
    if strict:
        raise UserError(f"{note}; unpack the whole corpus, or leave out strict to read what is there")
    return (note,)


def _is_root(folder: Path) -> bool:
    return (folder / SAMPLES).is_file()


def _folder(path: Path) -> Path:
    """The corpus's folder where `path` is its samples.csv, which looks like a table of the user's own."""
    path = Path(path).expanduser().resolve()
    return path.parent.parent if path.parts[-2:] == tuple(SAMPLES.split("/")) else path


def _roots(path: Path) -> list[Path]:
    return candidates(path, _is_root, lambda folder: folder.name.casefold() in _INNER)


def _columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows of a table, each with its line: the cells of the named columns."""
    for line, row in named_rows(path, columns):
        yield line, list(row.values())


def _genders(root: Path) -> dict[str, str | None]:
    table = root / "metadata/users.csv"
    if not table.is_file():
        return {}
    rows = _columns(table, ("username", "gender"))
    return {unified(user): gender(cell, f"users.csv line {line}") for line, (user, cell) in rows}


def _answers(root: Path, label_map: dict[str, str] | None) -> dict[str, list[str]]:
    """The canonical labels that raters gave each clip, in the table's order."""
    table = root / "metadata/evaluations.csv"
    answers: dict[str, list[str]] = {}
    if table.is_file():
        for line, (file, answer) in _columns(table, ("file_name", "emotion_recognized")):
            where = f"evaluations.csv line {line}"
            label = find_emotion(answer) or canonical(answer, where=where, label_map=label_map)
            answers.setdefault(file, []).append(label or "")
    return answers


def read_ratings(root: Path, *, label_map: dict[str, str] | None = None) -> dict[str, tuple[Rating, ...]]:
    """The raters' answers on each file of `metadata/evaluations.csv`, with or without its audio; {} without the table.

    Answers that the label map drops are left out; `annotations.shares` gives a file's distribution.
    """
    table = root / "metadata/evaluations.csv"
    if not table.is_file():
        return {}
    has_raters = "evaluator" in open_table(table).header
    answers: dict[str, list[Rating]] = {}
    pool: dict[Rating, Rating] = {}
    columns = ("file_name", "emotion_recognized", *["evaluator"] * has_raters)
    for line, (file, answer, *raters) in _columns(table, columns):
        label = canonical(answer, where=f"evaluations.csv line {line}", label_map=label_map)
        if label is not None:
            rating = Rating(unified(raters[0]) if raters else "", (label,))
            answers.setdefault(file, []).append(pool.setdefault(rating, rating))
    return {file: tuple(of_file) for file, of_file in answers.items()}


def _parts(root: Path) -> dict[str, str]:
    """The official split of version 1.1, by file name; {} where there is none."""
    parts: dict[str, str] = {}
    for name in ("train", "dev", "test"):
        table = root / f"metadata/split/{name}.csv"
        if table.is_file():
            for line, (file,) in _columns(table, ("file_name",)):
                part = PART_ALIASES[name]
                if parts.setdefault(file, part) != part:
                    raise UserError(
                        f"split/{name}.csv line {line}: {file} is in {parts[file]} too; get the tables again"
                    )
    return parts


def _without(root: Path, table: str, strict: bool) -> str:
    lost = {"users.csv": "the speakers' genders", "evaluations.csv": "the raters"}[table]
    note = f"{root / 'metadata' / table} is not there or empty: {lost} are not known"
    if strict:
        raise UserError(f"{note}; get the file from its source")
    return note


CORPUS = Corpus(
    name="emozionalmente",
    title="Emozionalmente",
    matches=matches,
    read=read,
    licence="CC BY 4.0 (Catania, Wilke and Garzotto 2025, zenodo.org/records/12616095)",
    speech="acted",
    collection="Amateurs say 18 sentences in seven states at home; five raters labelled each clip.",
    source="zenodo.org/records/12616095 (version 1.1), zenodo.org/records/6569824 (1.0)",
    citation="Catania, Wilke and Garzotto, IEEE Transactions on Audio, Speech and Language Processing 2025",
    language="Italian",
    official=dict.fromkeys(EMOTIONS, 986),
    genders={"female": 299, "male": 131, "other": 1},
    protocol="paper",
    protocol_reason="80/10/10 by whole speakers, as in the paper; `official` takes the split of version 1.1",
    prompt_is_text=True,
)
