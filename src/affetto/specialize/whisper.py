"""`seq2seq`: Whisper's own objective, and the saving of a trained encoder as an ordinary Whisper checkpoint.

As in Whisper (Radford et al. 2023) a clip is padded with silence to the encoder's whole window, 30 s for the published
models, unless `window_seconds` shortens it. The decoder's loss is that of transformers'
`WhisperForConditionalGeneration`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto.audio import RATE_HZ
from affetto.backbones.families.whisper import SAMPLES_PER_POSITION, WHISPER
from affetto.errors import UserError
from affetto.quiet import quiet_transformers
from affetto.specialize.objective import NEW, PARENTS, Item, Objective, padded_labels
from affetto.specialize.parents import need_folder
from affetto.specialize.prompt import is_whispers, set_language
from affetto.specialize.text import END, PAD, START

NEW_DECODER_BLOCKS = 2
SUSPECT_NATS = 5.0
"""Loss per token before training that is far above that of a trained decoder with its own prompt; chance has 10.9."""
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")


class Seq2Seq(Objective):
    name, unit = "seq2seq", "tokens"
    has_window = True
    language = "it"

    def build(self) -> None:
        self.tokenizer: Any = None
        self.spaced = False
        self.heads = NEW if self.vocabulary is not None else PARENTS
        self.model = self._with_new_decoder() if self.vocabulary is not None else self._with_own_decoder()
        self.model.model.encoder = self.backbone.model
        self.positions = self.backbone.model.embed_positions
        if self.settings.window_seconds is not None:
            self._shorten(self.settings.window_seconds)
        self.start = int(self.model.config.decoder_start_token_id)
        self.end = int(self.model.config.eos_token_id)

    def _shorten(self, seconds: float) -> None:
        """Let the encoder take `seconds` only, on the first rows of its table of positions, which never train."""
        config, table = self.backbone.model.config, self.positions.weight
        shorter = int(WHISPER.window_config(seconds)["max_source_positions"])
        if not 0 < shorter <= len(table):
            longest = len(table) * SAMPLES_PER_POSITION / RATE_HZ
            raise UserError(f"setting window_seconds={seconds:g}: {self.parent.folder} takes 0.02 to {longest:g} s")
        config.max_source_positions = shorter
        self.backbone.model.embed_positions = nn.Embedding.from_pretrained(table[:shorter].detach(), freeze=True)

    def _with_new_decoder(self) -> Any:
        from transformers import GenerationConfig, WhisperForConditionalGeneration

        assert self.vocabulary is not None
        self.tokenizer, numbers = self.vocabulary.tokenizer(), self.vocabulary.numbers
        config = self.backbone.model.config
        config.decoder_layers = NEW_DECODER_BLOCKS
        config.vocab_size, config.pad_token_id = len(numbers), numbers[PAD]
        config.bos_token_id = config.decoder_start_token_id = numbers[START]
        config.eos_token_id = numbers[END]
        # Tokens of the parent's vocabulary: `generate` would take them for numbers of this one.
        config.suppress_tokens = config.begin_suppress_tokens = config.forced_decoder_ids = None
        model = WhisperForConditionalGeneration(config)
        model.generation_config = GenerationConfig(
            bos_token_id=numbers[START],
            eos_token_id=numbers[END],
            pad_token_id=numbers[PAD],
            decoder_start_token_id=numbers[START],
            max_length=config.max_target_positions,
        )
        return model

    def _with_own_decoder(self) -> Any:
        from transformers import AutoTokenizer, WhisperForConditionalGeneration

        instead = "train a small new one over characters: --set decoder=new"
        folder = need_folder(self.parent, "seq2seq with decoder=own", instead)
        if not any((folder / file).is_file() for file in _TOKENIZER_FILES):
            raise UserError(
                f"{folder}: no tokenizer in it ({' or '.join(_TOKENIZER_FILES)}): copy it there, or {instead}"
            )
        with quiet_transformers():
            try:
                self.tokenizer = AutoTokenizer.from_pretrained(folder)
                cls: Any = WhisperForConditionalGeneration
                model, report = cls.from_pretrained(
                    folder, config=self.backbone.model.config, dtype=torch.float32, output_loading_info=True
                )
            except Exception as problem:  # transformers, safetensors and tokenizers raise many kinds
                raise UserError(f"{folder}: its decoder cannot be loaded ({problem}); {instead}") from problem
        missing = [k for k in report["missing_keys"] if "proj_out" not in k]
        if missing or len(self.tokenizer) > model.config.vocab_size:
            fault = f"{len(missing)} weights of it are missing" if missing else "it has fewer tokens than the tokenizer"
            raise UserError(f"{folder}: its decoder is a placeholder ({fault}); {instead}")
        self.spaced = is_whispers(self.tokenizer)
        if set_language(model, self.tokenizer, self.language, instead):
            self.notes.append(
                f"{folder} does not say that it is multilingual (generation_config.json): taken for it by its "
                f"vocabulary, so texts begin with <|{self.language}|><|transcribe|>"
            )
        return model

    def new_parts(self) -> list[nn.Module]:
        return [self.model.model.decoder, self.model.proj_out] if self.vocabulary is not None else []

    def fits(self, samples: int, text: str) -> bool:
        return len(self._labels(text)) <= int(self.model.config.max_target_positions)

    def padded(self, samples: int) -> int:
        return self._window()

    def _window(self) -> int:
        return int(self.backbone.model.config.max_source_positions) * SAMPLES_PER_POSITION

    def item(self, wave: np.ndarray, text: str, random: np.random.Generator) -> Item:
        window = self._window()
        padded = np.pad(wave[:window], (0, max(0, window - len(wave))))
        return Item(self.backbone.prepare(padded), len(wave), tuple(self._labels(text)))

    def _labels(self, text: str) -> list[int]:
        """Tokens with the end, without the start, which the model puts before them.

        A text for Whisper's tokenizer begins with a space: so its first word has the token of a word within a sentence.
        """
        numbers = self.tokenizer(f" {text.strip()}" if self.spaced else text).input_ids
        return list(numbers[1:] if numbers[0] == self.start else numbers)

    def batch(self, items: list[Item]) -> dict[str, Tensor]:
        return {"input_features": torch.stack([item.input for item in items]), "labels": padded_labels(items)}

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        count = (batch["labels"] >= 0).sum()
        return self.model(input_features=batch["input_features"], labels=batch["labels"]).loss * count, count

    def transcribe(self, batch: dict[str, Tensor]) -> list[str]:
        """Text of each clip, decoded greedily until its end token, at most twice as long as its sentence."""
        states = self.model.get_encoder()(batch["input_features"])
        prefix = [self.start, *self._prefix()]
        tokens = torch.tensor([prefix] * len(batch["labels"]), device=batch["labels"].device)
        fed, past, done = tokens, None, torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
        limits = 2 * (batch["labels"] >= 0).sum(1) + len(prefix)
        longest = min(int(limits.max()), int(self.model.config.max_target_positions))
        while tokens.shape[1] < longest and not bool(done.all()):
            out = self.model(encoder_outputs=states, decoder_input_ids=fed, past_key_values=past, use_cache=True)
            fed, past = out.logits[:, -1:].argmax(-1), out.past_key_values
            fed = fed.masked_fill(done[:, None], self.end)
            tokens = torch.cat([tokens, fed], dim=1)
            done = done | (fed[:, 0] == self.end) | (tokens.shape[1] >= limits)
        return [str(text) for text in self.tokenizer.batch_decode(tokens, skip_special_tokens=True)]

    def _prefix(self) -> list[int]:
        """Tokens between the start and the text: language, task, no time stamps."""
        return list(getattr(self.tokenizer, "prefix_tokens", []))[1:]

    def facts(self) -> dict[str, Any]:
        return {"before_text": [*self._prefix(), *([" "] if self.spaced else [])]}

    def doubt(self, loss: float) -> str | None:
        if self.vocabulary is not None or loss < SUSPECT_NATS:
            return None
        return (
            f"{loss:.1f} nats a token before training are too many for a trained decoder: is --language "
            f"{self.language} the corpus's, and is the tokenizer in {self.parent.folder} the checkpoint's own?"
        )

    def save(self, folder: Path) -> None:
        encoder = self.backbone.model
        encoder.embed_positions = self.positions.to(encoder.device)
        encoder.config.max_source_positions = self.positions.num_embeddings
        self.save_model(self.model, folder)
        self.tokenizer.save_pretrained(folder)


def save_encoder(objective: Objective, folder: Path) -> None:
    """Write the parent's checkpoint, of its own class, with the trained encoder in place of the old one."""
    import transformers
    from transformers import WhisperForConditionalGeneration
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    parent, encoder = objective.parent, objective.backbone.model
    full: Any
    if parent.folder is None:
        full = WhisperForConditionalGeneration(encoder.config)
    else:
        architectures = json.loads((parent.folder / "config.json").read_text()).get("architectures") or ["WhisperModel"]
        with quiet_transformers():
            full = getattr(transformers, architectures[0]).from_pretrained(
                parent.folder, dtype=torch.float32, attn_implementation="eager"
            )
    inner = next(module for module in full.modules() if isinstance(module, WhisperEncoder))
    inner.load_state_dict(encoder.state_dict())
    objective.save_model(full, folder)
