"""Error rates of Whisper checkpoints' transcripts on a corpus of emotions whose sentences are known.

    python benchmarks/transcripts.py emovo=EMOVO CHECKPOINT… [--clips 588] [--language it] [--without n5] [--out FILE]

A corpus is given as for `affetto train`. Clips are drawn evenly over speakers and emotions. Both texts are plain: lower
case, no punctuation. Words that Whisper writes as digits count as errors, so a sentence of numbers is better left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from affetto import audio
from affetto.corpora.manifest import Clip
from affetto.corpora.registry import open_corpus
from affetto.inference.transcriber import Transcriber
from affetto.specialize.scores import error_rates
from affetto.specialize.text import plain


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("corpus")
    options.add_argument("checkpoints", nargs="+")
    options.add_argument("--clips", type=int, help="default: all")
    options.add_argument("--language", default="it")
    options.add_argument("--without", nargs="*", default=[], help="prompts that are left out")
    options.add_argument("--out", type=Path)
    options.add_argument("--threads", type=int, default=1)
    values = options.parse_args()
    torch.set_num_threads(values.threads)
    name, _, path = values.corpus.rpartition("=")
    manifest = open_corpus(name or None, Path(path))
    clips = [clip for clip in manifest.clips if clip.sentence and clip.prompt not in values.without]
    if not clips:
        raise SystemExit(f"{values.corpus}: no clip has a known sentence")
    clips = draw(clips, values.clips or len(clips))
    tables = {}
    for name in values.checkpoints:
        transcriber = Transcriber(name, device="cpu")
        language = values.language if transcriber.languages else ""
        pairs = []
        for number, clip in enumerate(clips, start=1):
            wave = audio.load(manifest.path(clip), clip.start, clip.end)
            pairs.append((clip, transcriber.transcribe(wave, language)))
            if number % 20 == 0:
                print(f"{name}: {number} of {len(clips)} clips", file=sys.stderr)
        tables[name] = table(pairs)
        print(name, json.dumps({part: tables[name][part] for part in ("all", "emotion", "speaker")}, indent=1))
    if values.out:
        values.out.write_text(json.dumps(tables, ensure_ascii=False, indent=1), encoding="utf-8")


def draw(clips: list[Clip], number: int) -> list[Clip]:
    """Draw `number` clips, the same in each call: each speaker's clips of each emotion in turn."""
    groups: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for index in np.random.default_rng(0).permutation(len(clips)):
        groups[clips[index].speaker, clips[index].emotion].append(clips[index])
    order = [groups[key] for key in sorted(groups)]
    turns = [group[turn] for turn in range(len(clips)) for group in order if turn < len(group)]
    return turns[:number]


def table(pairs: list[tuple[Clip, str]]) -> dict[str, object]:
    """Rates of all clips, of each emotion, speaker and prompt, and the texts themselves."""
    rows: dict[str, object] = {"clips": len(pairs), "all": rates(pairs)}
    for part in ("emotion", "speaker", "prompt"):
        names = sorted({str(getattr(clip, part)) for clip, _ in pairs})
        rows[part] = {name: rates([pair for pair in pairs if str(getattr(pair[0], part)) == name]) for name in names}
    return rows | {"texts": {clip.name: text for clip, text in pairs}}


def rates(pairs: list[tuple[Clip, str]]) -> dict[str, float]:
    """Error rates of characters and words, in per cent."""
    both = error_rates([(plain(clip.sentence or ""), text) for clip, text in pairs])
    return {name: round(100 * rate, 1) for name, rate in both.items()}


if __name__ == "__main__":
    main()
