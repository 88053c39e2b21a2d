"""Examples of the API's answers, for /openapi.json."""

from __future__ import annotations

from typing import Any

from affetto.inference.notices import ARTICLES, DISCLAIMER, NOTICES, REGULATION, SHORT_NOTICE

PREDICTION: dict[str, Any] = {
    "model": "lora",
    "model_version": "3f2a91c0b7d2",
    "emotion": "joy",
    "probabilities": {
        "anger": 0.05,
        "disgust": 0.02,
        "fear": 0.04,
        "joy": 0.71,
        "neutrality": 0.06,
        "sadness": 0.03,
        "surprise": 0.09,
    },
    "seconds": 3.42,
    "seconds_heard": 3.42,
    "windows": 1,
    "synthetic": False,
    "notice": SHORT_NOTICE,
}
DIMENSIONS: dict[str, Any] = {
    "model": "industrial",
    "model_version": "b81e07c45a90",
    "dimensions": {"arousal": 3.84, "valence": 2.11},
    "intervals": {"arousal": [3.1, 4.58], "valence": [1.2, 3.02]},
    "seconds": 3.42,
    "seconds_heard": 3.42,
    "windows": 1,
    "synthetic": False,
    "notice": SHORT_NOTICE,
}
TIMELINE: list[Any] = [
    {
        "model": "lora",
        "model_version": "3f2a91c0b7d2",
        "seconds": 63.2,
        "synthetic": False,
        "notice": SHORT_NOTICE,
        "segments": [{"start": 0.4, "end": 7.9, "emotion": "joy", "probabilities": PREDICTION["probabilities"]}],
    }
]
TRANSCRIPTIONS: list[Any] = [
    {"text": "", **PREDICTION},
    {
        "text": "",
        "model": "lora",
        "model_version": "3f2a91c0b7d2",
        "task": "transcribe",
        "language": "",
        "duration": 63.2,
        "seconds": 63.2,
        "synthetic": False,
        "notice": SHORT_NOTICE,
        "segments": [
            {
                "id": 0,
                "text": "",
                "start": 0.4,
                "end": 7.9,
                "emotion": "joy",
                "probabilities": PREDICTION["probabilities"],
            }
        ],
    },
]
MODELS: list[Any] = [
    {
        "name": "lora",
        "version": "3f2a91c0b7d2",
        "default": True,
        "labels": ["anger", "joy", "neutrality", "sadness"],
        "method": "lora",
        "backbone": "openai/whisper-tiny.en",
        "precision": "float32",
        "window_seconds": 4.0,
        "shares_backbone_with": ["frozen"],
        "synthetic": False,
    },
    {
        "name": "industrial",
        "version": "b81e07c45a90",
        "default": False,
        "labels": [],
        "target": {
            "kind": "dimensions",
            "dimensions": {"arousal": [1.0, 5.0], "valence": [1.0, 5.0]},
            "interval_level": 0.9,
        },
        "method": "frozen",
        "backbone": "microsoft/wavlm-base",
        "precision": "float32",
        "window_seconds": 4.0,
        "shares_backbone_with": [],
        "synthetic": False,
    },
]
NOTICE: list[Any] = [
    {
        "notices": {**NOTICES},
        "regulation": REGULATION,
        "articles": [{"name": ARTICLES[0].name, "rule": ARTICLES[0].rule, "since": ARTICLES[0].since}],
        "disclaimer": DISCLAIMER,
    }
]
