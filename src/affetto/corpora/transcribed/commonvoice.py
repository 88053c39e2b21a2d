"""Mozilla Common Voice: sentences read aloud by volunteers, more than a hundred languages, CC0.

It comes from commonvoice.mozilla.org, and since late 2025 from the Mozilla Data Collective. A download needs an
account, so none is offered here. Ardila et al., "Common Voice: A Massively-Multilingual Speech Corpus", LREC 2020.

An archive unpacks to `cv-corpus-VERSION-DATE/LOCALE/` with `clips/*.mp3` and, beside that folder, one TSV a part:
`validated.tsv` (two or more listeners agreed; what scenario B uses), `train.tsv`, `dev.tsv`, `test.tsv` and others.
Tabs, no quoting: a quotation mark in a sentence is a quotation mark. The columns have changed over the versions, so
they are found by name; `client_id`, `path` and `sentence` have always been there. `path` is a bare name within
`clips/`; the first versions gave it without `.mp3`. Later versions add `locale`, and `clip_durations.tsv` (`clip`,
`duration[ms]`), which spares opening every file. Italian: 6.1 has 158 validated hours, 25.0 has 363.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from affetto.corpora import folders
from affetto.corpora.names import unified
from affetto.corpora.transcribed.corpus import Request, TranscribedCorpus
from affetto.corpora.transcribed.listing import Listing, Utterance
from affetto.errors import UserError, unknown

NAME = "common-voice"
SPLITS = ("validated", "train")
OFFICIAL = ("dev", "test")
"""Sets on which error rates are reported; `validated` holds their clips, `train` does not."""
CLIPS, DURATIONS = "clips", "clip_durations.tsv"
NEEDED = ("client_id", "path", "sentence")
_VERSION = re.compile(r"cv-corpus-(\d+(?:\.\d+)*)")
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")


def matches(path: Path) -> bool:
    """True if the folder, its parent or a child of it holds `clips` or a list of Common Voice."""
    return bool(_roots(path))


def is_listed(path: Path) -> bool:
    """True if the columns of a folder's lists are Common Voice's, so that nobody takes it for a corpus of emotions."""
    for table in (root / f"{split}.tsv" for root in _roots(path) for split in SPLITS):
        with suppress(UserError):  # a file that cannot be read is no list of Common Voice
            if table.is_file() and set(NEEDED) <= set(next(_lines(table), (0, []))[1]):
                return True
    return False


def read(path: Path, request: Request) -> Listing:
    """The clips of one part of a Common Voice folder, in one language.

    Raises UserError where the folder, its TSV or its `clips` is missing, where the corpus is in another language, or a
    line is broken.
    """
    split, language = request.split or SPLITS[0], request.language
    if split not in SPLITS:
        raise unknown(f"split of {NAME}", split, SPLITS)
    root, notes = _root(path, split, language)
    table = root / f"{split}.tsv"
    for needed in (root / CLIPS, table):
        if not needed.exists():
            raise UserError(f"{root}: no {needed.name} in it; found {folders.found_in(root)}. Unpack the whole archive")
    locale = _locale(root)
    if language and locale and locale != language:
        raise _wrong_language(root, locale, language)
    utterances = tuple(_rows(table, root, language, _durations(root / DURATIONS)))
    if not utterances:
        raise UserError(f"{table} lists no clips; take another split ({', '.join(SPLITS)}) or unpack the archive again")
    if split == "validated" and any((root / f"{part}.tsv").is_file() for part in OFFICIAL):
        advice = "to report error rates on those later, take --split train"
        notes = (*notes, f"{table.name} holds the clips of the official dev and test sets too: {advice}")
    version = _VERSION.search(root.parent.name) or _VERSION.search(root.name)
    return Listing(
        name=NAME,
        root=root,
        utterances=utterances,
        version=version[1] if version else None,
        language=locale or language,
        split=split,
        licence=CORPUS.licence,
        synthetic=folders.is_synthetic(root) or folders.is_synthetic(root.parent),
        notes=notes,
    )


def _root(path: Path, split: str, language: str | None) -> tuple[Path, tuple[str, ...]]:
    """The folder of the language, and a note where it is not the folder that was given."""
    roots = _roots(path)
    roots = [root for root in roots if root.name == language] or roots
    layout = f"a folder with {CLIPS}/ and {split}.tsv, as cv-corpus-25.0-…/{language or 'it'}"
    return folders.only_root(path, CORPUS.title, layout, roots)


def _roots(path: Path) -> list[Path]:
    def is_root(folder: Path) -> bool:
        return (folder / CLIPS).is_dir() or any((folder / f"{split}.tsv").is_file() for split in SPLITS)

    return folders.candidates(path, is_root, lambda folder: folder.name == CLIPS)


def _locale(root: Path) -> str | None:
    """The language by the folder's name in an archive; None where it was renamed."""
    official = _VERSION.search(root.parent.name) or len(root.name) == 2
    return root.name if official and _LOCALE.fullmatch(root.name) else None


def _wrong_language(root: Path, locale: str, language: str) -> UserError:
    return UserError(
        f"{root} is Common Voice in {locale!r}, not in {language!r}: give the folder {language!r} of the corpus, or "
        f"--language {locale}"
    )


def _lines(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Each line's number and cells: tabs separate them, and a quotation mark is part of a sentence."""
    try:
        with table.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                text = line.rstrip("\r\n")
                yield number, text.split("\t") if text else []
    except UnicodeDecodeError as problem:
        raise UserError(f"{table}: not UTF-8 text ({problem.reason}); unpack the archive again") from None
    except OSError as problem:
        raise UserError(f"{table}: cannot be read ({problem}); unpack the archive again") from None


def _rows(table: Path, root: Path, language: str | None, seconds: dict[str, float]) -> Iterator[Utterance]:
    lines = _lines(table)
    _, header = next(lines, (0, []))
    for column in NEEDED:
        if column not in header:
            raise UserError(
                f"{table} has no column {column!r}; found: {', '.join(header[:12]) or 'an empty file'}. A Common Voice "
                f"table has {', '.join(NEEDED)}"
            )
    speaker_at, path_at, sentence_at = (header.index(column) for column in NEEDED)
    locale_at = header.index("locale") if "locale" in header else None
    names: set[str] = set()
    for line, row in lines:
        if not row:
            continue
        if len(row) != len(header):
            raise UserError(
                f"{table} line {line} has {len(row)} cells, its header {len(header)}; unpack the archive again"
            )
        if language and locale_at is not None and row[locale_at] not in ("", language):
            raise _wrong_language(root, row[locale_at], language)
        name = row[path_at].strip()
        if not name or "/" in name or "\\" in name or name.startswith("."):
            raise UserError(f"{table} line {line}: {name!r} is no bare file name of {CLIPS}/; unpack the archive again")
        name += "" if Path(name).suffix else ".mp3"
        if name not in names:  # a table may list a clip twice
            names.add(name)
            yield Utterance(
                file=f"{CLIPS}/{name}",
                speaker=sys.intern(unified(row[speaker_at])),
                sentence=row[sentence_at].strip(),
                seconds=seconds.get(name),
            )


def _durations(table: Path) -> dict[str, float]:
    """Seconds by file name, where the version has them; {} for a broken file."""
    if not table.is_file():
        return {}
    lines = _lines(table)
    _, header = next(lines, (0, []))
    if len(header) < 2:
        return {}
    seconds = {}
    for _, row in lines:
        try:
            seconds[row[0]] = float(row[1]) / 1000
        except (ValueError, IndexError):
            continue
    return seconds


CORPUS = TranscribedCorpus(
    name=NAME,
    title="Common Voice",
    matches=matches,
    read=read,
    splits=SPLITS,
    licence="CC0",
    source="commonvoice.mozilla.org (an account is needed)",
    citation='Ardila et al., "Common Voice: A Massively-Multilingual Speech Corpus", LREC 2020',
)
