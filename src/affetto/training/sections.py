"""Sections of a run's settings: a typed field for each value of `--set section.name=value`.

A field carries the conditions under which it has an effect (`affetto.training.effects`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model

from affetto.errors import UserError
from affetto.models.heads.registry import HEADS
from affetto.models.methods.registry import METHODS
from affetto.training import effects
from affetto.training.augment_settings import AugmentSettings
from affetto.training.effects import Acts, Needs, NeedsTarget
from affetto.training.records import Record, Section

if TYPE_CHECKING:
    from affetto.targets.target import LossSettings

    HeadName = str
else:
    HeadName = Literal[tuple(HEADS)]


class AudioSettings(Section):
    """Part of a clip that is used."""

    seconds: float | None = Field(
        4.0, gt=0.1, le=30.0, description="length in seconds to which clips are cropped (paper, IV-B); null: no crop"
    )


TWICE_BALANCED = "a balanced epoch leaves the loss nothing to balance"
AUTO_STATES = (1, 2, 4)
"""Numbers of states among which model.states=auto chooses."""


class ModelSettings(Section):
    """States that are pooled, and the classifier on them."""

    pooling: Annotated[Literal["mean", "without_embedding", "weighted", "layer"], Acts(effects.STEPPED)] = Field(
        "mean", description="how the L+1 states become one state"
    )
    layer: Annotated[
        Annotated[int, Field(ge=0)] | Literal["auto"] | None,
        Acts(effects.ONE_STATE),
        Needs(effects.ONE_STATE, lambda value: value is not None, effects.WITHOUT_PROBE),
        Needs(effects.PROBE_SHAPE, lambda value: value == "auto", effects.WITHOUT_PROBE),
    ] = Field(
        None,
        description="state that pooling=layer takes (0 … L); null: the last; auto: chosen on inner folds of speakers",
    )
    states: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Acts(effects.PROBE_SHAPE),
        Needs(effects.PROBE_SHAPE, lambda value: value != 1, effects.WITHOUT_PROBE),
    ] = Field(
        1,
        description="neighbouring states, model.layer the highest, whose statistics stand side by side; the probe is "
        "solved for each, and their outputs are averaged; auto: 1, 2 or 4, chosen on inner folds of speakers",
    )
    state_norm: Literal["none", "layer"] = Field("none", description="normalisation of each state before pooling")
    head: Annotated[HeadName, Acts(effects.STEPPED)] = Field("paper", description="classifier on the pooled state")
    head_width: Annotated[int, Acts(effects.HIDDEN)] = Field(256, ge=1, description="width of the head's hidden layers")
    head_dropout: Annotated[float, Acts(effects.DROPOUT)] = Field(
        0.1, ge=0, lt=1, description="probability of dropout in the head"
    )
    dropout_samples: Annotated[int, Acts(effects.DROPPED_STATISTICS)] = Field(
        1, ge=1, le=64, description="draws of dropout in each training step, over whose losses the mean is taken"
    )
    unmasked_mean: Annotated[
        bool,
        Acts(effects.FRAME_HEAD),
        Needs(effects.FRAME_HEAD, bool, "set model.unmasked_mean=false with another head"),
    ] = Field(False, description="ablation: the mean over time includes padding")
    layer_norm_swap: Literal["none", "blocks", "encoder"] = Field(
        "none",
        description="ablation: pre-LayerNorm weights computed in post-LayerNorm order",
    )

    @property
    def is_chosen(self) -> bool:
        """True if the highest of the states or their number is chosen on inner folds."""
        return "auto" in (self.layer, self.states)

    @property
    def counts(self) -> tuple[int, ...]:
        """Numbers of states among which is chosen."""
        return AUTO_STATES if self.states == "auto" else (self.states,)


def _not_one(reason: str) -> AfterValidator:
    """Validator of a number that cannot be 1: it raises ValueError with the reason."""

    def check(count: int) -> int:
        if count == 1:
            raise ValueError(reason)
        return count

    return AfterValidator(check)


class TrainingSettings(Section):
    """Optimiser, epochs and the choice of the tested epoch."""

    epochs: Annotated[
        int,
        Acts(effects.STEPPED),
        Needs(effects.STEPPED, lambda value: value > 0, "the probe is solved for and not trained any further"),
        Needs(effects.WARM, lambda value: value == 0, "else nothing is trained at all"),
    ] = Field(30, ge=0, le=10_000, description="passes over the training clips; 0: the warm start as it is")
    warm_start: Annotated[
        Literal["none", "probe"],
        Acts(effects.STEPPED),
        Needs(effects.PROBE_SHAPE, lambda value: value == "probe", effects.WITHOUT_PROBE),
    ] = Field("none", description="probe: the head starts as the logistic regression that the probe would be")
    refit: Annotated[bool, Acts(effects.STEPPED)] = Field(
        False,
        description="test a model trained on training and validation clips, for the epochs that validation chose",
    )
    batch_size: Annotated[int, Acts(effects.STEPS)] = Field(32, ge=1, description="clips per step")
    optimizer: Annotated[Literal["adam", "adamw"], Acts(effects.STEPS)] = Field(
        "adam", description="adam: weight decay in the gradient (L2); adamw: decoupled"
    )
    lr: Annotated[float, Acts(effects.HEAD_RATE)] = Field(5e-4, gt=0, description="learning rate at the start")
    method_lr: Annotated[float | None, Acts(effects.BLOCKS)] = Field(
        None, gt=0, description="learning rate of the method's parameters; null: that of the head, training.lr"
    )
    betas: Annotated[tuple[float, float], Acts(effects.STEPS)] = Field(
        (0.9, 0.98), description="decay rates of Adam's averages"
    )
    eps: Annotated[float, Acts(effects.STEPS)] = Field(1e-8, gt=0, description="constant in Adam's denominator")
    weight_decay: Annotated[float, Acts(effects.STEPS)] = Field(
        1e-4, ge=0, description="strength of the weight decay; its form is that of training.optimizer"
    )
    lr_decay: Annotated[float, Acts(effects.STEPS)] = Field(
        0.926, gt=0, le=1, description="factor on the learning rate after each epoch"
    )
    loss: Annotated[
        Literal["cross_entropy", "focal", "class_balanced", "logit_adjusted"],
        Acts(effects.STEPS),
        Needs(effects.SHUFFLED, lambda value: value in ("class_balanced", "logit_adjusted"), TWICE_BALANCED),
        NeedsTarget("has_classes", lambda value: value != "cross_entropy", "a target of classes"),
    ] = Field(
        "cross_entropy",
        description="loss of a target of classes; focal: easy clips count less; class_balanced: weights by the "
        "effective number of clips; logit_adjusted: outputs plus the logarithm of the classes' shares",
    )
    focal_gamma: Annotated[float, Acts(effects.FOCAL)] = Field(
        2.0, gt=0, description="exponent of 1 - p in the loss focal, where p is the probability of the clip's class"
    )
    class_balanced_beta: Annotated[float, Acts(effects.CLASS_BALANCED)] = Field(
        0.99,
        gt=0,
        lt=1,
        description="β of the effective number (1 - βⁿ) / (1 - β) of n clips; near 1: weights by inverse frequency",
    )
    sampler: Annotated[
        Literal["shuffled", "balanced"],
        Acts(effects.STEPS),
        NeedsTarget("has_classes", lambda value: value != "shuffled", "a target of classes"),
    ] = Field(
        "shuffled",
        description="clips of an epoch; shuffled: each clip once; balanced: as many clips, drawn so that the classes "
        "of each corpus are even, and no class weights in the loss",
    )
    class_weights: bool = Field(
        True,
        description="weight classes by their inverse frequency, in the probe and in the losses cross_entropy and "
        "focal; the other losses and training.sampler=balanced balance classes themselves",
    )
    label_smoothing: Annotated[float, Acts(effects.STEPS)] = Field(
        0.0, ge=0, lt=1, description="share of the target spread over all classes, in proportion to class weights"
    )
    select: Annotated[Literal["macro_f1", "loss", "last"], Acts(effects.STEPS)] = Field(
        "macro_f1",
        description="epoch to test: the best on validation by macro F1 (targets without classes: by their main "
        "measure) or by loss, or the last",
    )
    average: Annotated[
        Literal["none", "ema", "last_k"],
        Acts(effects.STEPS),
        Needs(effects.AVERAGED, lambda value: value != "none", "set training.average=none with this method"),
    ] = Field(
        "none",
        description="weights that are validated and kept; ema: their exponential mean over steps; last_k: their mean "
        "over the last epochs; none: those of the last step",
    )
    average_decay: Annotated[float, Acts(effects.EMA)] = Field(
        0.99, gt=0, lt=1, description="factor on the mean ema in each step; at the start of a fit it is lower"
    )
    average_epochs: Annotated[int, Acts(effects.LAST_EPOCHS)] = Field(
        5, ge=2, le=100, description="epochs whose last weights are averaged by last_k"
    )
    adversary: Annotated[
        Literal["none", "speaker", "gender"],
        Acts(effects.STEPS),
        Needs(effects.ADAPTED_STATISTICS, lambda value: value != "none", "leave it out: nothing could unlearn a voice"),
    ] = Field(
        "none",
        description="layer that guesses each clip's speaker or gender, and from which the backbone gets the gradient "
        "reversed, so that it unlearns voices",
    )
    adversary_weight: Annotated[float, Acts(effects.ADVERSARY)] = Field(
        1.0, gt=0, description="strength of the adversary's reversed gradient at the end of the training"
    )
    cross_fit: Annotated[
        int,
        Acts(effects.CROSS_FIT),
        Needs(effects.CROSS_FIT, lambda value: value > 0, "set training.cross_fit=0"),
        _not_one("groups are 2 or more, or 0 for none"),
    ] = Field(
        0,
        ge=0,
        description="groups of training speakers, 2 or more; each clip is classified by a head that was solved for on "
        "the other groups' clips, and only the method takes steps; 0: off",
    )
    speakers: Annotated[int, _not_one("one speaker trains and another one validates: 2 or more, or 0 for all")] = Field(
        0,
        ge=0,
        description="speakers that each fold learns from, training and validation together, drawn by the run's seed; "
        "the tested clips stay, and no final model is made; 0: all",
    )
    first_block: Annotated[int, Acts(effects.BLOCKS)] = Field(
        0, ge=0, description="lowest block that the method changes"
    )
    length_window: Annotated[int, Acts(effects.STEPS)] = Field(
        4, ge=1, description="batches among which clips are sorted by length; 1: random batches"
    )

    @property
    def draws_evenly(self) -> bool:
        """True if an epoch has as many clips of every class."""
        return self.sampler == "balanced"

    @property
    def loss_settings(self) -> LossSettings:
        """Settings of the loss, as targets take them."""
        from affetto.targets.target import LossSettings  # which imports numpy, as `affetto settings` need not

        return LossSettings(
            kind=self.loss,
            class_weights=self.class_weights and not self.draws_evenly,
            label_smoothing=self.label_smoothing,
            focal_gamma=self.focal_gamma,
            class_balanced_beta=self.class_balanced_beta,
        )


MOST_CLIPS = 2_000
"""Clips, of whole speakers, that suffice to choose a state and a strength by; all of them train the probe."""
SHORT_LIST = 3
"""Number of states, the best under the middle strength, that are tried under every strength."""


class ProbeSettings(Section):
    """Choice of state and strength for the logistic regression."""

    strengths: tuple[float, ...] = Field(
        (0.001, 0.003, 0.01, 0.03, 0.1), min_length=1, description="values of C (inverse regularisation) to choose from"
    )
    inner_folds: int = Field(
        5, ge=2, description="speaker-disjoint folds of the non-test clips on which state and C are chosen"
    )


class TargetSection(Section):
    """Settings of targets. A target takes those that it uses; others must keep their defaults."""

    dimension_loss: Literal["ccc", "mse", "ccc+mse"] = Field(
        "ccc+mse", description="loss of dimensions: 1 - CCC over the batch, the mean squared error, or their sum"
    )
    dimension_weight: float = Field(1.0, gt=0, description="weight of the dimensions' loss in the target joint")
    joint: Literal["classes", "distribution"] = Field(
        "classes", description="what the target joint predicts beside dimensions"
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["1/K", "tuned"] = Field(
        "tuned",
        description="probability from which the target multilabel calls a label: a number, 1/K, or tuned for each "
        "label on validation speakers",
    )


class AuxiliarySettings(Section):
    """Use of auxiliary corpora, whose clips join the training."""

    weight: Annotated[float, Acts(effects.AUXILIARY)] = Field(
        1.0, gt=0, description="factor on the loss of each auxiliary clip, in the probe too"
    )
    balance: Annotated[Literal["none", "corpus"], Acts(effects.AUXILIARY)] = Field(
        "none",
        description="corpus: the clips of each auxiliary corpus together count as much as the training clips of the "
        "tested corpus, times auxiliary.weight",
    )
    standardise: Annotated[Literal["pooled", "corpus"], Acts(effects.AUXILIARY)] = Field(
        "pooled",
        description="constants that standardise statistics in the probe and in the statistics head: pooled over all "
        "training clips, or each corpus's own (the tested corpus's in validation, test and use)",
    )


class ComputeSettings(Section):
    """Arithmetic of the backbone."""

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="precision of the backbone's arithmetic; auto: bfloat16 where the device has it natively"
    )


class StoreSettings(Section):
    """Frozen states on the disk."""

    precision: Literal["float16", "float32"] = Field("float16", description="precision of the stored frozen states")


class CommonSettings(Record):
    """Sections of every method's runs."""

    audio: AudioSettings = AudioSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    probe: ProbeSettings = ProbeSettings()
    augment: AugmentSettings = AugmentSettings()
    target: TargetSection = TargetSection()
    auxiliary: AuxiliarySettings = AuxiliarySettings()
    compute: ComputeSettings = ComputeSettings()
    store: StoreSettings = StoreSettings()


SETTINGS_DOC = "All settings of a run: one section for each part of it, and one for each method that has settings."


def with_methods() -> Any:
    """The class of the common sections and, behind `model`, of those of the registered methods.

    Raises UserError for a method whose section has the name of a common one.
    """
    common = {name: (info.annotation, info.default) for name, info in CommonSettings.model_fields.items()}
    sections = {name: record for method in METHODS.values() for name, record in method.sections().items()}
    for name in sections.keys() & common.keys():
        raise UserError(f"method {name!r} cannot have settings: there is a section {name!r} already; rename it")
    fields: dict[str, Any] = {"audio": common["audio"], "model": common["model"]}
    fields |= {name: (record, record()) for name, record in sections.items()} | common
    return create_model("Settings", __base__=Record, __module__=__name__, __doc__=SETTINGS_DOC, **fields)


if TYPE_CHECKING:
    Settings = CommonSettings  # a type checker sees no sections of methods: they are read by getattr
else:
    Settings = with_methods()
