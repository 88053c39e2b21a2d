"""Wall time of training epochs on a real corpus beside the yardstick's: the same clips, batch and number of epochs.

    python benchmarks/emovo_epochs.py --corpus emovo=PATH --backbone CHECKPOINT --method lora [--epochs 2]

The training clips of the first fold of `--split paper`, batch 32, the paper's recipe. Ours: reading the corpus,
preparing and storing the frozen prefix, and the epochs, as `affetto train` does them. The yardstick: transformers'
Trainer on the same decoded clips, padded to 4 s (Whisper: to `--window`, 30 s as its feature extractor has it).
Given are both sides' seconds for an epoch after the first, ours for preparing, and both for 30 epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import torch

EPOCHS = 30


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus", required=True)
    options.add_argument("--backbone", required=True)
    options.add_argument("--method", default="lora")
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--window", type=float, default=30.0)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AFFETTO_CACHE"] = folder  # nothing is stored beforehand
        print(json.dumps(_measure(chosen, Path(folder)), indent=1))


def _measure(chosen: argparse.Namespace, folder: Path) -> dict[str, float | str]:
    from affetto.backbones.catalogue import BACKBONES, CatalogueEntry
    from affetto.backbones.checkpoints import load_backbone
    from affetto.bench.yardstick import Yardstick
    from affetto.training import device as devices
    from affetto.training.build import Builder
    from affetto.training.data import read
    from affetto.training.display import Display
    from affetto.training.loop import fit
    from affetto.training.spec import CorpusSpec, RunSpec, settings
    from affetto.training.task import Task

    name, _, path = chosen.corpus.partition("=")
    spec = RunSpec(
        corpora=(CorpusSpec(name=name, path=path),),
        backbone=chosen.backbone,
        method=chosen.method,
        recipe="paper",
        split="paper",
        settings=settings("paper", method=chosen.method),
    )
    device = devices.choose("auto")
    started = time.perf_counter()
    data = read(spec, lambda _: None)
    builder = Builder(spec, data, load_backbone(chosen.backbone), device, Display(quiet=True))
    classifier = builder.fresh()
    prefixes = builder.prefixes(classifier)
    prepared = time.perf_counter() - started
    train = data.split.folds[0].train
    labels = data.manifest.labels
    target = {clip.id: labels.index(clip.emotion) for clip in data.manifest.clips}
    ticks = [time.perf_counter()]
    fit(
        classifier,
        prefixes,
        Task(train, None, target, 0, chosen.epochs, "bench"),
        spec.settings.training,
        devices.accelerator(device),
        checkpoint_file=folder / "checkpoint.safetensors",
        on_epoch=lambda _: ticks.append(time.perf_counter()),
    )
    ours = ticks[-1] - ticks[-2]

    backbone = builder.backbone
    config = {
        k: v
        for k, v in backbone.model.config.to_dict().items()
        if k
        in (
            "d_model",
            "encoder_layers",
            "encoder_attention_heads",
            "encoder_ffn_dim",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "do_stable_layer_norm",
            "feat_extract_norm",
            "conv_bias",
        )
    }
    BACKBONES["measured"] = CatalogueEntry(family=backbone.family, scenario="A", title="measured", config=config)
    waves = [data.sources[i].load(4.0) for i in train]
    window = chosen.window if backbone.record.window_seconds is not None else 4.0
    yardstick = Yardstick("measured", chosen.method, waves, batch_size=32, window_seconds=window, precision="float32")
    yardstick.epoch()
    theirs = yardstick.epoch()
    return {
        "backbone": chosen.backbone,
        "method": chosen.method,
        "clips": len(train),
        "threads": torch.get_num_threads(),
        "our_precision": builder.precision,
        "yardstick_window_seconds": window,
        "our_epoch_seconds": ours,
        "yardstick_epoch_seconds": theirs,
        "our_prepare_seconds": prepared,
        "ours_30_epochs_seconds": prepared + EPOCHS * ours,
        "yardstick_30_epochs_seconds": EPOCHS * theirs,
        "ratio": EPOCHS * theirs / (prepared + EPOCHS * ours),
    }


if __name__ == "__main__":
    main()
