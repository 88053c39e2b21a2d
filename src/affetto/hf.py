"""`import affetto.hf`: transformers knows affetto's models from then on, its pipeline among all else.

    import affetto.hf
    from transformers import pipeline

    classify = pipeline("audio-classification", model="exported")   # affetto export runs/mine --to hf --out exported
    classify({"raw": samples, "sampling_rate": 16_000})

No code is taken from the folder: the classes are this package's own.
"""

from __future__ import annotations

from affetto.inference.backends.transformers_model import AffettoConfig, AffettoForAudioClassification

__all__ = ["AffettoConfig", "AffettoForAudioClassification"]
