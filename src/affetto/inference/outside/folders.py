"""Descriptions of folders that hold no model which affetto can load: what they look like, and what to do."""

from __future__ import annotations

from pathlib import Path

from affetto.corpora.folders import AUDIO_SUFFIXES
from affetto.inference.outside.stock import CONFIG, architecture, configuration

MARKS = {
    "adapter_config.json": "an adapter of peft without its model: merge it into its base model (merge_and_unload) and "
    "save that with save_pretrained",
    "hyperparams.yaml": "a model of SpeechBrain, whose classes are its own package's: call it by an entry point",
    "model_config.yaml": "a model of NeMo, whose classes are its own package's: call it by an entry point",
    "configuration.json": "a model of ModelScope or FunASR (emotion2vec, SenseVoice), whose classes are its own "
    "package's: call it by an entry point",
    "grid.json": "the folder of a grid: give one of its runs",
}
"""Folders by a file that they hold."""
SEE = " (docs/guide/7-add.md, A model of others)"


def describe(folder: Path) -> str:
    """Phrase for a folder that is none of a model; "" where nothing is known of it."""
    if not any(folder.iterdir()):
        return "it is empty"
    for name, phrase in MARKS.items():
        if (folder / name).is_file():
            return f"it looks like {phrase}" + (SEE if "entry point" in phrase else "")
    config = configuration(folder)
    if config:
        return _checkpoint(folder)
    if any(path.suffix.lower() in AUDIO_SUFFIXES for path in folder.iterdir()):
        return "it looks like a folder of recordings: give the model first, then the recordings"
    return ""


def _checkpoint(folder: Path) -> str:
    """Phrase for a folder with transformers' configuration."""
    name, config = architecture(folder), configuration(folder)
    kind = str(config.get("model_type", "unknown"))
    if config.get("auto_map"):
        return (
            f"{CONFIG} names code of its own ({name or kind}), and affetto runs no code of a model: call it by an "
            f"entry point{SEE}"
        )
    if not name:
        return f"{CONFIG} names no class (architectures), so nothing says what its weights are"
    return (
        f"it looks like {name} of the family {kind}, which answers no emotions; as a backbone it can be trained: "
        f"affetto train --backbone {folder}"
    )
