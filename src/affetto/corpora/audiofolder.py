"""Folders of audio: how a corpus's root is found in them, and Hugging Face's AudioFolder.

AudioFolder is the layout that `datasets.load_dataset("audiofolder", data_dir=…)` takes, in two forms, each
directly in the root or once per part in folders such as `train/` and `test/`:

    metadata.csv | metadata.jsonl     with `file_name` beside the label, relative to the metadata's own folder
    <emotion>/<clip>.wav              where the folder's name is the label

It says nothing of speakers: they come from a column of the metadata, or from `speaker_pattern`, a regular
expression with one group that is searched in each clip's path.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from affetto.corpora import emobox, tables
from affetto.corpora.labels import canonical
from affetto.corpora.manifest import Clip, Manifest, audio_files
from affetto.corpora.nkululeko import PART_ALIASES
from affetto.errors import UserError

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".aac", ".wma", ".mp4", ".webm"}
)
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
METADATA = ("metadata.csv", "metadata.jsonl")


# -- finding a corpus ------------------------------------------------------------------------------------------


def existing_folder(path: Path, corpus: str) -> Path:
    """The absolute folder that `path` names; a UserError where it is none, an archive's file above all."""
    path = Path(path).expanduser().resolve()
    if path.is_dir():
        return path
    if not path.exists():
        raise UserError(f"{path}: no such folder; give the folder that holds {corpus}")
    if path.suffix.casefold() in ARCHIVE_SUFFIXES:
        raise UserError(f"{path} is an archive: unpack it, and give the folder that it unpacks to")
    raise UserError(f"{path} is a file; give the folder that holds {corpus}")


def visible(folder: Path) -> list[Path]:
    """The entries of a folder, sorted, without hidden ones (`._*` too) and what macOS adds to archives."""
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX")
    except OSError as problem:
        raise UserError(f"{folder}: cannot be read ({problem.strerror}); check its permissions") from None


def subfolders(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_dir()]


def candidates(path: Path, is_root: Callable[[Path], bool], is_inner: Callable[[Path], bool]) -> list[Path]:
    """The corpus roots that `path` may mean: itself, the folder around it, or those directly inside it."""
    path = Path(path).expanduser().resolve()
    if not path.is_dir():
        return []
    if is_root(path):
        return [path]
    if is_inner(path) and is_root(path.parent):
        return [path.parent]
    return [folder for folder in subfolders(path) if is_root(folder)]


def only_root(path: Path, corpus: str, looked_for: str, roots: list[Path]) -> tuple[Path, tuple[str, ...]]:
    """The one root among `roots`, and a note where it is not the folder that was given."""
    folder = existing_folder(path, corpus)
    if not roots:
        raise UserError(
            f"{folder}: no {corpus} here. Looked for {looked_for}; found {found_in(folder)}. "
            f"Give the folder that holds them"
        )
    if len(roots) > 1:
        raise UserError(
            f"{folder} holds {corpus} {len(roots)} times: {', '.join(root.name for root in roots)}. Give one of them"
        )
    note = () if roots[0] == folder else (f"{corpus} was found in {roots[0]}: all of that folder is read",)
    return roots[0], note


def found_in(folder: Path) -> str:
    """What a folder holds, in a few words, for an error."""
    entries = visible(folder)
    if not entries:
        return "nothing: the folder is empty"
    folders = [path.name for path in entries if path.is_dir()]
    kinds = Counter(path.suffix.casefold() or "no suffix" for path in entries if not path.is_dir())
    said = []
    if folders:
        more = f" and {len(folders) - 5} more" if len(folders) > 5 else ""
        said.append(f"the folders {', '.join(folders[:5])}{more}" if len(folders) > 1 else f"the folder {folders[0]}")
    said += [
        f"{n} {kind} file{'s' * (n > 1)}" + " (an archive: unpack it)" * (kind in ARCHIVE_SUFFIXES)
        for kind, n in kinds.most_common(5)
    ]
    return ", ".join(said)


def passed_over(root: Path, taken: set[str], pattern: str) -> tuple[str, ...]:
    """A note on the audio files under `root` that a reader has not taken; documents are none of its business."""
    strays = [file for file in walk_audio(root) if file not in taken]
    if not strays:
        return ()
    shown = ", ".join(strays[:3]) + (", …" if len(strays) > 3 else "")
    return (f"{len(strays)} audio files do not fit {pattern} and were passed over: {shown}",)


def walk_audio(root: Path) -> Iterator[str]:
    """Every visible audio file under `root`, by its relative POSIX path, in a fixed order."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        inside = Path(folder).relative_to(root).as_posix()
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].casefold() in AUDIO_SUFFIXES:
                yield name if inside == "." else f"{inside}/{name}"


# -- what the readers of known corpora share -------------------------------------------------------------------


def compare_counts(corpus: str, count: Counter[str], official: dict[str, int], *, strict: bool) -> tuple[str, ...]:
    """A note where the clips per emotion are not the official ones; a UserError under `strict`."""
    different = [
        f"{label} {count[label]} of {official.get(label, 0)}"
        for label in {**official, **count}
        if count[label] != official.get(label, 0)
    ]
    if not different:
        return ()
    said = f"{corpus}: {sum(count.values())} clips, officially {sum(official.values())} ({', '.join(different)})"
    if strict:
        raise UserError(f"{said}; complete the copy, or leave out strict to work with what is there")
    return (said,)


# -- AudioFolder -----------------------------------------------------------------------------------------------


def matches(path: Path) -> bool:
    """Whether a folder has metadata with `file_name`, or folders named after emotions that hold audio."""
    path = Path(path).expanduser()
    return path.is_dir() and any(_metadata(folder) or _class_folders(folder) for folder, _ in _parts(path))


def read(
    path: Path,
    *,
    label_map: dict[str, str] | None = None,
    strict: bool = False,
    name: str = "audiofolder",
    speaker_pattern: str | None = None,
) -> Manifest:
    """The clips of an AudioFolder. Raises UserError where speakers or labels cannot be told."""
    root = existing_folder(path, "an AudioFolder")
    rules = tables.Rules(root=root, corpus=name, label_map=label_map, speaker_pattern=speaker_pattern)
    clips: list[Clip] = []
    notes: list[str] = []
    synthetic = tables.is_synthetic(root)
    for folder, part in _parts(root):
        table = _table(folder)
        if table is None:
            continue
        prefix = "" if folder == root else folder.relative_to(root).as_posix() + "/"
        parsed = tables.parse(table, rules, part=part, prefix=prefix)
        clips += parsed.clips
        notes += parsed.notes
        synthetic = synthetic or parsed.synthetic
    if not clips:
        raise UserError(
            f"{root}: no AudioFolder here. Looked for {' or '.join(METADATA)} with file_name, or folders named after "
            f"emotions with audio in them; found {found_in(root)}. Give the folder that holds them"
        )
    notes += tables.check_files(root, clips, strict=strict)
    return Manifest(name, root, tuple(clips), synthetic, notes=tuple(dict.fromkeys(notes)))


def _parts(root: Path) -> list[tuple[Path, str | None]]:
    """The root itself, or the folders of the parts in it (also those in `data/`) with the parts' names."""
    for folder in (root, root / "data"):
        if folder.is_dir():
            named = [(child, PART_ALIASES.get(child.name.casefold())) for child in subfolders(folder)]
            parts = [(child, part) for child, part in named if part]
            if parts and not _metadata(root):
                return list(parts)
    return [(root, None)]


def _metadata(folder: Path) -> Path | None:
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def _class_folders(folder: Path) -> bool:
    for child in subfolders(folder):
        try:
            canonical(child.name, where="")
        except UserError:
            continue
        if audio_files(child, AUDIO_SUFFIXES):
            return True
    return False


def _table(folder: Path) -> tables.Table | None:
    """A part's metadata, or its class folders as if they were a table; None where there is neither."""
    metadata = _metadata(folder)
    if metadata:
        return emobox.open_jsonl(metadata) if metadata.suffix == ".jsonl" else tables.open_table(metadata)
    rows = [
        (0, [f"{child.name}/{file.name}", child.name])
        for child in subfolders(folder)
        for file in audio_files(child, AUDIO_SUFFIXES)
    ]
    return tables.Table(f"{folder.name}/", ["file_name", "label"], iter(rows)) if rows else None
