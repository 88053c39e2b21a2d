"""A run's settings, all of them named, typed and resolved before anything runs.

`Settings` is what `--set section.name=value` changes; a recipe is a named set of them. `RunSpec` is the
whole run; its digest, with those of the data and the weights, is the run's identity.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from affetto.errors import UserError, unknown


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AudioSettings(_Record):
    seconds: float | None = Field(
        4.0, gt=0.1, le=30.0, description="clips are cropped to their first seconds (paper, IV-B); null: whole"
    )


class ModelSettings(_Record):
    pooling: Literal["mean", "without_embedding", "weighted", "layer"] = Field(
        "mean", description="how the L+1 states become one"
    )
    layer: int | Literal["auto"] | None = Field(
        None,
        description="the state that pooling=layer takes (0 … L); null: the last; auto: chosen on inner speaker folds",
    )
    state_norm: Literal["none", "layer"] = Field("none", description="normalise each state before pooling")
    head: Literal["paper", "short", "linear", "statistics"] = Field("paper", description="the downstream classifier")
    head_width: int = Field(256, ge=1, description="width of the head's hidden layers")
    head_dropout: float = Field(0.1, ge=0, lt=1, description="dropout in the head")
    unmasked_mean: bool = Field(False, description="ablation: average over padding too")
    layer_norm_swap: Literal["none", "blocks", "encoder"] = Field(
        "none",
        description="ablation: pre-LayerNorm weights computed in post-LayerNorm order",
    )


class LoraSettings(_Record):
    rank: int = Field(8, ge=1, description="rank of the update")
    alpha: float = Field(1.0, gt=0, description="its scaling is alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before A")
    targets: Literal["ff", "attention", "all"] = Field("ff", description="which linear layers of a block")


class AdapterSettings(_Record):
    bottleneck: int = Field(128, ge=1, description="width of the bottleneck")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout within it")
    scale: float = Field(0.1, gt=0, description="factor on its output")
    placement: Literal["parallel", "sequential", "double_residual"] = Field("parallel", description="where it is added")


class TrainingSettings(_Record):
    epochs: int = Field(30, ge=0, le=10_000, description="passes over the training clips; 0: the warm start as it is")
    warm_start: Literal["none", "probe"] = Field(
        "none", description="probe: the head starts as the logistic regression that the probe would be"
    )
    refit: bool = Field(
        False, description="test a model trained on train + validation, for the epochs that validation has chosen"
    )
    batch_size: int = Field(32, ge=1, description="clips a step")
    optimizer: Literal["adam", "adamw"] = Field(
        "adam", description="adam: weight decay in the gradient (L2); adamw: decoupled"
    )
    lr: float = Field(5e-4, gt=0, description="learning rate at the start")
    method_lr: float | None = Field(
        None, gt=0, description="learning rate of LoRA, Adapter or blocks, where it differs from the head's"
    )
    betas: tuple[float, float] = Field((0.9, 0.98), description="Adam's")
    eps: float = Field(1e-8, gt=0, description="Adam's")
    weight_decay: float = Field(1e-4, ge=0, description="L2 or decoupled, see optimizer")
    lr_decay: float = Field(0.926, gt=0, le=1, description="factor on the learning rate after each epoch")
    class_weights: bool = Field(True, description="inverse class frequency in the loss")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all classes")
    select: Literal["macro_f1", "loss", "last"] = Field(
        "macro_f1", description="the tested epoch: best on validation, or the last"
    )
    first_block: int = Field(0, ge=0, description="Adapter, LoRA and full change this block and those above it")
    length_window: int = Field(4, ge=1, description="batches among which clips are sorted by length; 1: random batches")


class ProbeSettings(_Record):
    strengths: tuple[float, ...] = Field(
        (0.001, 0.003, 0.01, 0.03, 0.1), min_length=1, description="the C of logistic regression to choose from"
    )
    inner_folds: int = Field(5, ge=2, description="speaker-disjoint folds of the non-test clips, to choose state and C")


class AugmentSettings(_Record):
    noise_snr_db: float | None = Field(
        None, description="white noise at this signal-to-noise ratio or better (up to +20 dB)"
    )
    speed: float = Field(0.0, ge=0, lt=0.5, description="speed and pitch drawn from 1 ± this")
    time_mask: float = Field(0.0, ge=0, lt=1, description="longest share of a clip's frames that is set to zero")
    feature_mask: float = Field(0.0, ge=0, lt=1, description="largest share of the features that is set to zero")

    @property
    def waveform(self) -> bool:
        """Whether waves themselves change, so that no prefix can be stored for training."""
        return self.noise_snr_db is not None or self.speed > 0


class ComputeSettings(_Record):
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the backbone's arithmetic; auto: bfloat16 where the device has it natively"
    )


class StoreSettings(_Record):
    precision: Literal["float16", "float32"] = Field("float16", description="of the stored frozen states")


class Settings(_Record):
    audio: AudioSettings = AudioSettings()
    model: ModelSettings = ModelSettings()
    lora: LoraSettings = LoraSettings()
    adapter: AdapterSettings = AdapterSettings()
    training: TrainingSettings = TrainingSettings()
    probe: ProbeSettings = ProbeSettings()
    augment: AugmentSettings = AugmentSettings()
    compute: ComputeSettings = ComputeSettings()
    store: StoreSettings = StoreSettings()

    def told(self) -> dict[str, Any]:
        """The settings as far as they make a run's identity: all of them, but for what came LATER and is off."""
        dump = self.model_dump(mode="json")
        for section, added in LATER.items():
            dump[section] = {k: v for k, v in dump[section].items() if k not in added or v != added[k]}
        return dump


LATER: dict[str, dict[str, Any]] = {"model": {"layer_norm_swap": "none"}}
"""Settings that runs were made without, and what stands for that: such a run keeps its identity and its name."""
RECIPES: dict[str, dict[str, Any]] = {
    # The paper to the letter; where it is silent PEFT-SER's code, then its group's later code: the defaults above.
    "paper": {},
    # What gives the best honest result here; the reasons and figures are in docs/decisions.md. Its shape
    # (statistics of one state, warm start, small steps) was informed by EMOVO as a whole; state, strength and
    # epochs are chosen inside each fold on its non-test speakers.
    "recommended": {
        "model": {"pooling": "layer", "layer": "auto", "head": "statistics", "head_dropout": 0.2},
        "lora": {"alpha": 8.0, "dropout": 0.1},
        "adapter": {"scale": 1.0},
        "training": {
            "warm_start": "probe", "refit": True, "epochs": 10, "optimizer": "adamw", "lr": 1e-4, "method_lr": 3e-4,
            "weight_decay": 0.01, "betas": [0.9, 0.999], "lr_decay": 0.8, "label_smoothing": 0.1,
        },
    },
}  # fmt: skip
DEFAULT_RECIPE = "recommended"
PROBE = {
    "model": {"pooling": "layer", "layer": "auto", "head": "statistics", "head_dropout": 0.0},
    "training": {"warm_start": "probe", "refit": True, "epochs": 0},
}
"""What the method `probe` is, under every recipe."""


def settings(
    recipe: str = DEFAULT_RECIPE, overrides: dict[str, str] | None = None, *, method: str | None = None
) -> Settings:
    """A recipe's settings with `{"training.epochs": "1"}` laid over them; `probe` brings its own.

    Raises UserError for an unknown recipe or setting (with the nearest guess) and for a bad value.
    """
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    values: dict[str, Any] = json.loads(json.dumps(PROBE if method == "probe" else RECIPES[recipe]))
    names = setting_names()
    for name, text in (overrides or {}).items():
        if name not in names:
            raise unknown("setting", name, names)
        section, _, field = name.partition(".")
        values.setdefault(section, {})[field] = _parse(text)
    try:
        resolved = Settings.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:2])
        raise UserError(f"setting {name}={first['input']!r}: {first['msg'].lower()} ({names.get(name, '')})") from None
    _check(resolved)
    return resolved


def _check(chosen: Settings) -> None:
    """Raise UserError for settings that contradict each other."""
    model, training = chosen.model, chosen.training
    if isinstance(model.layer, int) and model.layer < 0:
        raise UserError(f"setting model.layer={model.layer}: a state is 0 or more")
    if model.layer is not None and model.pooling != "layer":
        raise UserError(f"setting model.layer={model.layer} needs model.pooling=layer (it is {model.pooling})")
    if (training.warm_start == "probe" or model.layer == "auto") and (model.head, model.pooling) != (
        "statistics",
        "layer",
    ):
        raise UserError(
            "training.warm_start=probe and model.layer=auto need model.head=statistics and model.pooling=layer; "
            "set training.warm_start=none and model.layer=null with another head or pooling"
        )
    if training.epochs == 0 and training.warm_start == "none":
        raise UserError("setting training.epochs=0 needs training.warm_start=probe: else nothing is trained at all")


def setting_names() -> dict[str, str]:
    """{`section.field`: what it does} of every setting."""
    return {
        f"{section}.{name}": info.description or ""
        for section, record in Settings.model_fields.items()
        for name, info in record.annotation.model_fields.items()  # type: ignore[union-attr]
    }


def _parse(text: str) -> Any:
    """`1e-3`, `true`, `null`, `[0.9, 0.99]` as JSON; anything else is a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


class CorpusSpec(_Record):
    """A corpus of a run: its name (None: detected) and where it lies."""

    name: str | None = None
    path: str
    options: dict[str, str] = {}


LARGEST_SEED = 2**31 - 1


class RunSpec(_Record):
    """One run, as asked for."""

    corpora: tuple[CorpusSpec, ...]
    backbone: str
    method: str
    recipe: str = DEFAULT_RECIPE
    split: str | None = None
    split_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    random_weights: bool = False
    weights_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    settings: Settings = Settings()
    labels: dict[str, str] = {}
    """The user's own label names, mapped."""
    skip_bad: bool = False
    allow_duplicates: bool = False
    """Whether copies under two speakers are left out of the test part, instead of an error."""
    probe: bool = True
    """Whether the probe is run beside the method, as the baseline."""
    final: bool = True
    """Whether a run with folds ends with a model trained on all speakers."""
    record_states: bool = False
    """Whether the metrics say how large each hidden state is (`affetto.models.sizes`); it changes no result."""

    def identity(self, facts: dict[str, Any]) -> str:
        """SHA-256 over all that changes the result; paths do not, the content behind them (`facts`) does."""
        without = {"corpora", "backbone", "labels", "recipe", "skip_bad", "settings", "record_states"}
        fields = self.model_dump(mode="json", exclude=without | {"allow_duplicates"})
        fields["settings"] = self.settings.told()
        return hashlib.sha256(json.dumps(fields | facts, sort_keys=True).encode()).hexdigest()
