"""README of a folder for transformers.js."""

from __future__ import annotations

from collections.abc import Sequence

from affetto._version import __version__
from affetto.audio import RATE_HZ
from affetto.export.parity import Parity
from affetto.export.terms import law_section, licence_section
from affetto.inference.predictor import Predictor

File = tuple[str, str, int, Parity]
"""`dtype`, name, bytes and comparison of an ONNX file."""


def card_of(predictor: Predictor, name: str, files: Sequence[File]) -> str:
    """Write the text of README.md; `name` is the folder's."""
    synthetic = "\n**Trained on synthetic speech: of no use on real recordings.**\n"
    rows = [
        f"| `{dtype}` | `onnx/{file}` | {size / 1e6:.1f} MB | {result.largest_difference:.2g} | "
        f"{result.same_label} of {result.clips} |"
        for dtype, file, size, result in files
    ]
    return CARD.format(
        name=name,
        version=__version__,
        synthetic=synthetic if predictor.card["synthetic"] else "",
        rate_hz=RATE_HZ,
        files="\n".join(rows),
        labels=", ".join(predictor.labels),
        seconds=f"{predictor.window_seconds:g}",
        temperature=f"{predictor.temperature:g}",
        licences=licence_section(predictor.card),
        law=law_section(),
    )


CARD = """---
library_name: transformers.js
pipeline_tag: audio-classification
---

# {name}

A model of emotion in speech for [transformers.js](https://huggingface.co/docs/transformers.js), exported by affetto
{version}. It runs in a browser or in Node; no recording leaves the machine.
{synthetic}
```js
import {{ env, pipeline }} from "@huggingface/transformers";

env.localModelPath = "/path/of/the/folder/above/";
env.allowRemoteModels = false;
const classify = await pipeline("audio-classification", "{name}", {{ dtype: "fp32" }});
console.log(await classify(samples, {{ top_k: null }})); // Float32Array, mono, {rate_hz} Hz; in a browser also a URL
```

| `dtype` | file | size | largest difference | same label |
| --- | --- | ---: | ---: | ---: |
{files}

The difference is that of a probability from the trained model's, on synthetic sounds of several lengths and levels.
`fp16` has its large weights in 16 bits and computes in 32. `q8` has the blocks' linear layers in 8-bit integers.

Labels: {labels}.
A clip longer than {seconds} s is covered by windows, whose probabilities are averaged, as `affetto predict` does it.
The probabilities are calibrated by the temperature {temperature}.

{licences}

{law}
"""
