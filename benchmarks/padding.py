"""How many operations batches of like length spare a training step, counted: beside padding every clip to the window.

    python benchmarks/padding.py [--backbone whisper-small] [--clips 64] [--batch-size 8]

The clips' lengths are those of `affetto bench`; blocks alone are counted, 4 s windows, the mean of ten epochs.
"""

from __future__ import annotations

import argparse

import numpy as np

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.families.registry import FAMILIES
from affetto.bench.clips import lengths_seconds
from affetto.training.batches import plan
from affetto.training.spec import TrainingSettings

WINDOW_SECONDS, EPOCHS = 4.0, 10


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--backbone", default="whisper-small", choices=BACKBONES)
    options.add_argument("--clips", type=int, default=64)
    options.add_argument("--batch-size", type=int, default=8)
    chosen = options.parse_args()
    one = BACKBONES[chosen.backbone]
    seconds = dict(enumerate(np.minimum(lengths_seconds(chosen.clips), WINDOW_SECONDS)))
    ids = [str(number) for number in seconds]
    family = FAMILIES[one.family]
    operations = {number: family.operations(one.config, float(length)) for number, length in seconds.items()}
    frames = {str(number): each.frames for number, each in operations.items()}
    whole = chosen.clips * family.operations(one.config, WINDOW_SECONDS).block
    window = TrainingSettings().length_window
    spared = []
    for epoch in range(EPOCHS):
        batches = plan(ids, frames, chosen.batch_size, window, 0, epoch)
        padded = sum(len(batch) * max(operations[int(clip)].block for clip in batch) for batch in batches)
        spared.append(whole / padded)
    print(
        f"{chosen.backbone}, {chosen.clips} clips, batches of {chosen.batch_size}: {np.mean(spared):.3f} times fewer "
        f"operations ({min(spared):.3f}–{max(spared):.3f}); with no padding at all "
        f"{whole / sum(each.block for each in operations.values()):.3f}"
    )


if __name__ == "__main__":
    main()
