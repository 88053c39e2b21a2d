"""Tokens that Whisper puts before a text: language, task, no time stamps (Radford et al. 2023, figure 1)."""

from __future__ import annotations

from typing import Any

from affetto.errors import UserError

MULTILINGUAL_TOKENS = 51_865
"""Tokens from which on a Whisper knows languages beside English, by OpenAI's own rule; the English ones have one less.
Their tokenizers cannot tell: those of the English models have the tokens of all languages too."""
ENGLISH, TASKS, NO_TIMESTAMPS = "en", ("transcribe", "translate"), "<|notimestamps|>"


def is_whispers(tokenizer: Any) -> bool:
    """True if a tokenizer is one of Whisper's own, and not one over characters."""
    return f"<|{TASKS[0]}|>" in tokenizer.get_vocab()


def is_multilingual(model: Any, tokenizer: Any) -> bool:
    """True if a text begins with its language and task: as the folder says, else by the size of the vocabulary.

    A folder without `generation_config.json` says nothing.
    """
    says = getattr(model.generation_config, "is_multilingual", None)
    return is_whispers(tokenizer) and bool(model.config.vocab_size >= MULTILINGUAL_TOKENS if says is None else says)


def set_language(model: Any, tokenizer: Any, language: str, instead: str) -> bool:
    """Let texts begin as Whisper learned them, and add the missing settings for it to the generation configuration.

    Returns True if it did not say that the model is multilingual. Raises UserError for a language that the model does
    not know.
    """
    if not is_multilingual(model, tokenizer):
        if is_whispers(tokenizer) and language != ENGLISH:
            raise UserError(
                f"--language {language}: this Whisper is English-only, it has no token for another language; take the "
                f"multilingual checkpoint of its size, or {instead}"
            )
        return False
    facts = _facts(tokenizer)
    if f"<|{language}|>" not in facts["lang_to_id"] or not hasattr(tokenizer, "set_prefix_tokens"):
        raise UserError(f"--language {language}: this Whisper knows no such language (codes such as it, de); {instead}")
    tokenizer.set_prefix_tokens(language=language, task=TASKS[0])
    lacking = {k: value for k, value in facts.items() if getattr(model.generation_config, k, None) is None}
    for name, value in lacking.items():
        setattr(model.generation_config, name, value)
    # Otherwise `generate` of the saved checkpoint derives a new configuration, without these settings.
    model.generation_config._from_model_config = False
    return "is_multilingual" in lacking


def _facts(tokenizer: Any) -> dict[str, Any]:
    """Settings by the names of transformers' generation configuration."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES as CODES

    numbers = tokenizer.get_vocab()
    return {
        "is_multilingual": True,
        "lang_to_id": {token: numbers[token] for token in (f"<|{code}|>" for code in CODES) if token in numbers},
        "task_to_id": {task: numbers[f"<|{task}|>"] for task in TASKS if f"<|{task}|>" in numbers},
        "no_timestamps_token_id": numbers.get(NO_TIMESTAMPS),
    }
