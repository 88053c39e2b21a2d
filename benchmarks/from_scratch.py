"""What pre-training gave a backbone: its frozen states beside those of the same shape with random weights.

    python benchmarks/from_scratch.py BACKBONE --corpus emovo=EMOVO:loso --corpus emovo=SYNTHETIC:kfold:4 [--draws 3]
        --out FOLDER

BACKBONE is a checkpoint folder. For each corpus (NAME=PATH:SPLIT) the recommended recipe is run on it and on `draws`
random fillings of its configuration; runs are kept in FOLDER and not done again. Told are macro F1 and UAR with the
probe beside, and the difference from the mean of the draws within each speaker, with a t interval.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from affetto.training.display import Display
from affetto.training.spec import CorpusSpec, RunSpec, settings
from affetto.training.train import train

PREPROCESSING = "preprocessor_config.json"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("backbone", type=Path)
    options.add_argument("--corpus", action="append", required=True, metavar="NAME=PATH:SPLIT")
    options.add_argument("--draws", type=int, default=3)
    options.add_argument("--out", type=Path, required=True)
    chosen = options.parse_args()
    drawn = [random(chosen.backbone, chosen.out / "random" / str(seed), seed) for seed in range(chosen.draws)]
    for number, corpus in enumerate(chosen.corpus):
        name, _, rest = corpus.partition("=")
        path, _, split = rest.partition(":")
        runs = chosen.out / f"{number}-{name}"
        own = run(name, path, split, chosen.backbone, runs / "pre-trained")
        others = [run(name, path, split, folder, runs / f"random-{seed}") for seed, folder in enumerate(drawn)]
        print(f"{name}, {path}, {split}")
        for title, metrics in (("pre-trained", own), *((f"random {seed}", each) for seed, each in enumerate(others))):
            print(f"  {title:12} {result_line(metrics)}")
        for measure in ("uar", "macro_f1"):
            print(f"  {measure} within speakers, minus the mean of the random ones: {difference(own, others, measure)}")


def random(backbone: Path, folder: Path, seed: int) -> Path:
    """The configuration of `backbone`, filled from the seed, as a checkpoint folder."""
    from transformers import AutoConfig, AutoModel

    if not (folder / PREPROCESSING).exists():
        torch.manual_seed(seed)
        AutoModel.from_config(AutoConfig.from_pretrained(backbone)).save_pretrained(folder)
        shutil.copy(backbone / PREPROCESSING, folder)
    return folder


def run(name: str, path: str, split: str, backbone: Path, out: Path) -> dict[str, Any]:
    spec = RunSpec(
        corpora=(CorpusSpec(name=name, path=path),),
        backbone=str(backbone),
        method="frozen",
        split=split,
        settings=settings("recommended"),
        final=False,
    )
    return train(spec, out, display=Display())


def result_line(metrics: dict[str, Any]) -> str:
    test, probe = metrics["test"], metrics["probe"]["test"]
    low, high = test["interval"]["macro_f1"]
    speakers = ", ".join(f"{name} {100 * each['uar']:.0f}" for name, each in test["per_speaker"].items())
    return (
        f"macro F1 {100 * test['macro_f1']:.1f} ({100 * low:.1f}–{100 * high:.1f}), UAR {100 * test['uar']:.1f}, "
        f"probe {100 * probe['uar']:.1f}; {speakers}"
    )


def difference(own: dict[str, Any], others: list[dict[str, Any]], measure: str) -> str:
    """Points, within each speaker: each of them, the mean, its 95 % t interval."""
    speakers = own["test"]["per_speaker"]
    found = [
        100 * (speakers[name][measure] - np.mean([each["test"]["per_speaker"][name][measure] for each in others]))
        for name in speakers
    ]
    half = stats.t.ppf(0.975, len(found) - 1) * np.std(found, ddof=1) / np.sqrt(len(found))
    each = ", ".join(f"{one:+.1f}" for one in found)
    return f"{each}; mean {np.mean(found):+.1f}, {np.mean(found) - half:+.1f} to {np.mean(found) + half:+.1f}"


if __name__ == "__main__":
    main()
