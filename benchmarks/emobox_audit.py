"""Audit of the folds that EmoBox publishes for 32 corpora: test speakers who are also in training.

    git clone https://github.com/emo-box/EmoBox
    python benchmarks/emobox_audit.py EmoBox/data [--json audit.json]

Prints a Markdown table with the worst fold of each corpus. Speakers are found as `emobox_speakers.yaml` says; where
EmoBox lists speakers itself (`data.seg.wrd.stm`), the last column says whether both agree. A training list that the
copy lacks is taken as the clips of that list that are in no other part of the fold, and marked by *.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from affetto.corpora.formats.speakers import read_speakers
from affetto.splits.foreign import open_split, part_of
from affetto.splits.foreign_audit import Crossing, ForeignAudit, audit_foreign

SPEAKERS = Path(__file__).with_name("emobox_speakers.yaml")
LIST, FILES = "data.seg.wrd.stm", "data.seg.audmap"
"""EmoBox's lists of a corpus's clips: with their speakers, and with their files."""
PAIR = "test in train"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path, help="EmoBox's folder `data`")
    options.add_argument("--json", type=Path, help="new file for all audits")
    arguments = options.parse_args()
    audits: dict[str, ForeignAudit] = {}
    print("| corpus | folds | verdict | test speakers | also in training | their share of the clips | EmoBox's list |")
    print("| --- | ---: | --- | ---: | ---: | ---: | --- |")
    for corpus, rule in yaml.safe_load(SPEAKERS.read_text(encoding="utf-8")).items():
        folder = arguments.data / corpus
        with tempfile.TemporaryDirectory() as temporary:
            completed = completed_folds(folder, Path(temporary) / corpus)
            split = open_split(None, Path(temporary) / corpus, options=speaker_option(rule, folder))
        audits[corpus] = audit_foreign(split)
        print(row(corpus, audits[corpus], rule, completed, agreement(rule, folder)))
    if arguments.json:
        arguments.json.write_text(json.dumps(audits, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def speaker_option(rule: dict[str, Any], folder: Path) -> dict[str, str]:
    if "pattern" in rule:
        return {"speaker_pattern": rule["pattern"]}
    return {"speaker_table": str(folder / LIST)} if "listed" in rule else {}


def completed_folds(folder: Path, copy: Path) -> bool:
    """Copy the lists of a corpus's folds; make those of training that are absent. True if any was made."""
    made = False
    for fold in sorted(folder.glob("fold_*")):
        target = copy / fold.name
        target.mkdir(parents=True)
        for file in fold.glob("*.jsonl"):
            shutil.copy(file, target)
        stem = f"{folder.name}_train_{fold.name}"
        if any(part_of(file.stem)[0] == "train" for file in target.iterdir()):
            continue
        if (fold / f"{stem}.json").is_file():  # the same list as one object by key
            lines = [{"key": key, **clip} for key, clip in json.loads((fold / f"{stem}.json").read_text()).items()]
        else:
            keys = {key for file in target.iterdir() for key in keys_of(file)}
            lines = [line for line in listed(folder) if line["key"] not in keys]
            made = made or bool(lines)
        if lines:
            (target / f"{stem}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for file in folder.glob("label_*.json"):
        shutil.copy(file, copy)
    return made


def keys_of(file: Path) -> Iterator[str]:
    return (json.loads(line)["key"] for line in file.read_text(encoding="utf-8").splitlines())


def listed(folder: Path) -> Iterator[dict[str, str]]:
    """The clips of EmoBox's list of a corpus, as lines of its folds."""
    if not (folder / LIST).is_file():
        return
    rows = (line.split(maxsplit=4) for line in (folder / FILES).read_text(encoding="utf-8").splitlines())
    files = {key: file for key, _, _, _, file in rows}
    for line in (folder / LIST).read_text(encoding="utf-8").splitlines():
        fit = re.search(r"<id=(.*?),lang=.*?,emotion=(.*?)>", line)
        if fit:
            yield {"key": fit[1], "wav": files[fit[1]], "emo": fit[2]}


def agreement(rule: dict[str, Any], folder: Path) -> str:
    """`same` if the pattern and EmoBox's list divide the clips into the same speakers."""
    if "pattern" not in rule or not (folder / LIST).is_file():
        return "read" if "listed" in rule else "–"
    pairs = set()
    for key, speaker in read_speakers(str(folder / LIST)).items():
        fit = re.search(rule["pattern"], key)
        pairs.add((fit[1] if fit else "", speaker))
    by_pattern, by_list = {name for name, _ in pairs}, {name for _, name in pairs}
    same = len(pairs) == len(by_pattern) == len(by_list)
    return "same" if same else f"{len(by_pattern)} by names, {len(by_list)} listed"


def row(corpus: str, audit: ForeignAudit, rule: dict[str, Any], completed: bool, agrees: str) -> str:
    crossings = [
        (fold["speakers"][PAIR], fold["parts"]["test"]["clips"]) for fold in audit["folds"] if PAIR in fold["speakers"]
    ]
    verdict = audit["verdict"]
    if "unknown" in rule:
        return f"| {corpus} | {len(audit['folds'])} | {verdict}: {rule['unknown']} | | | | |"
    worst, clips = max(crossings, key=lambda item: share(item[0]), default=(None, 0))
    if worst is None:
        return f"| {corpus} | {len(audit['folds'])} | {verdict}: no training list | | | | {agrees} |"
    star = "*" if completed else ""
    return (
        f"| {corpus}{star} | {len(audit['folds'])} | {verdict} | {worst['speakers']} | {worst['shared']} | "
        f"{100 * worst['clips'] / clips:.1f} % | {agrees} |"
    )


def share(crossing: Crossing) -> float:
    return crossing["shared"] / max(crossing["speakers"], 1)


if __name__ == "__main__":
    main()
