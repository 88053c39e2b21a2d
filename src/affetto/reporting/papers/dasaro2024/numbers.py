"""Numbers that the paper prints, to be shown beside our results: its tables to the digit, without any guess.

D'Asaro, Márquez Villacís, Rizzo, Bottino: "Transfer Learning of Large Speech Models for Italian Speech Emotion
Recognition", AICT 2024, doi 10.1109/AICT61888.2024.10740425. Scores are F1 × 100; backbones are given by the keys of
`affetto.backbones.catalogue`. The text states three values of Figure 4; the others are bars in an image and are not
read off.
"""

from __future__ import annotations

from dataclasses import dataclass

from affetto.corpora.labels import EMOTIONS
from affetto.reporting.render.reference import Reference

REFERENCE = Reference(
    key="dasaro2024",
    title="Transfer Learning of Large Speech Models for Italian Speech Emotion Recognition",
    authors="D'Asaro, Márquez Villacís, Rizzo and Bottino",
    published="IEEE International Conference on Application of Information and Communication Technologies (AICT)",
    year="2024",
    doi="10.1109/AICT61888.2024.10740425",
)
CITATION = "D'Asaro, Márquez Villacís, Rizzo, Bottino, AICT 2024, doi 10.1109/AICT61888.2024.10740425"
NOT_PUBLISHED = "not published as text"
CORPORA = ("emovo", "emozionalmente", "demos")
METHODS = ("frozen", "adapter", "lora")
"""Methods of the paper, which calls them downstream model, + Adapter, + LoRA."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """Row of Table I."""

    title: str
    language: str
    parameters: str
    """Number of parameters as printed."""
    keys: tuple[str, ...]
    """Key of scenario A, then of B where the paper has it."""
    counted: int
    """Number of parameters of the encoder as loaded, measured with transformers."""
    footnote: str

    @property
    def english_only(self) -> bool:
        return self.language == "English"


@dataclass(frozen=True)
class Published:
    """Printed score × 100, its standard deviation over three runs where there is one, and its place in the paper."""

    mean: float
    deviation: float | None
    source: str


_PRETRAINING = "the paper's figure is that of Wav2Vec2ForPreTraining ({count:,}), whose quantiser is not used here"

TABLE_I = (
    Backbone(
        title="Wav2Vec 2.0 Base",
        language="English",
        parameters="95.04M",
        keys=("wav2vec2-base",),
        counted=94_371_712,
        footnote=_PRETRAINING.format(count=95_044_608),
    ),
    Backbone(
        title="WavLM Base+",
        language="English",
        parameters="94.70M",
        keys=("wavlm-base-plus",),
        counted=94_381_936,
        footnote="the paper does not say what its figure counts; transformers' WavLMModel has 94,381,936",
    ),
    Backbone(
        title="Wav2Vec 2.0 Large",
        language="English",
        parameters="317M",
        keys=("wav2vec2-large", "wav2vec2-large-it"),
        counted=315_428_992,
        footnote=_PRETRAINING.format(count=317_380_864) + "; the checkpoint of scenario B descends from another parent "
        "than that of A, and is by name and card an ASR fine-tune (CTC)",
    ),
    Backbone(
        title="Whisper Small",
        language="Multilingual",
        parameters="88.15M",
        keys=("whisper-small", "whisper-small-it"),
        counted=88_154_112,
        footnote="the encoder alone, in the paper as here; the checkpoint of scenario B is by its card an ASR "
        "fine-tune (sequence to sequence)",
    ),
    Backbone(
        title="XLSR-53",
        language="Multilingual",
        parameters="317M",
        keys=("xlsr-53", "xlsr-53-it"),
        counted=315_438_720,
        footnote=_PRETRAINING.format(count=317_390_592) + "; the checkpoint of scenario B is by name and card an ASR "
        "fine-tune (CTC)",
    ),
)
"""Summary of the backbones."""

TABLE_II: dict[str, dict[str, int]] = {
    corpus: dict(zip(EMOTIONS, counts, strict=True))
    for corpus, counts in {
        "emovo": (84,) * 7,
        "emozionalmente": (986,) * 7,
        "demos": (1477, 1678, 1156, 1395, 332, 1530, 1000),
    }.items()
}
"""Number of clips of each emotion."""
TABLE_II_TOTALS = {"emovo": 588, "emozionalmente": 6902, "demos": 8568}
TABLE_II_SPEAKERS = {"emovo": 6, "emozionalmente": 431, "demos": 68}
"""Number of speakers, from the text (IV-A)."""
TABLE_II_FOOTNOTES = {
    "emovo": "The counts are those of the files. The paper says stereo; one of the 588 files is mono (rab-f1-b1).",
    "emozionalmente": (
        "The counts are those of the files. The paper says 48 kHz and 3.81 s on average; the published files have "
        "16 kHz (6,752) or 44.1 kHz (150) and 3.29 s on average. Not every actor spoke all 18 sentences: they "
        "recorded 1 to 105 clips each."
    ),
    "demos": (
        "The counts are those of the file names. The paper's 9,697 samples include 1,129 of guilt, which are left "
        "out of the seven emotions."
    ),
}

_TABLE_III = {
    "wav2vec2-base": ((67.61, 1.35), (65.97, 0.81), (67.67, 1.12)),
    "wavlm-base-plus": ((64.92, 1.66), (65.32, 1.87), (67.45, 1.71)),
    "wav2vec2-large": ((68.50, 0.45), (67.83, 0.61), (69.57, 0.49)),
    "whisper-small": ((65.07, 1.80), (56.10, 2.18), (68.91, 1.91)),
    "xlsr-53": ((40.44, 1.97), (40.20, 1.56), (41.02, 1.88)),
    "wav2vec2-large-it": ((34.40, 2.63), (14.42, 3.56), (21.88, 3.17)),
    "whisper-small-it": ((62.41, 4.12), (43.45, 5.76), (55.45, 5.43)),
    "xlsr-53-it": ((46.87, 0.58), (42.64, 1.76), (43.94, 0.65)),
}
TABLE_III = {
    (key, method): Published(*cell, "Table III")
    for key, row in _TABLE_III.items()
    for method, cell in zip(METHODS, row, strict=True)
}
"""Mean over the three corpora, by (backbone, method)."""

FIGURE_4 = {
    ("wav2vec2-large", "emovo"): Published(48.84, None, "IV-C1"),
    ("wav2vec2-base", "emozionalmente"): Published(66.26, None, "IV-C1"),
    ("whisper-small", "demos"): Published(93.09, None, "IV-C1"),
}
"""Score of frozen backbones by (backbone, corpus): the text states only the best of each corpus."""


def published(backbone: str | None, method: str, corpus: str | None = None) -> Published | None:
    """Printed score of a backbone and method, on one corpus or as the mean over all; None where the paper has none.

    >>> published("whisper-small", "lora").mean, published("whisper-small", "lora", "demos")
    (68.91, None)
    """
    if backbone is None:
        return None
    if corpus is None:
        return TABLE_III.get((backbone, method))
    return FIGURE_4.get((backbone, corpus)) if method == "frozen" else None


def row_of(backbone: str | None) -> Backbone | None:
    """Row of Table I that a key belongs to; None for any other backbone."""
    return next((row for row in TABLE_I if backbone in row.keys), None)
