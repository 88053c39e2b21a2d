"""What every registered method promises, on every family: start, gradients, batches, files, merging, frozen weights."""

from __future__ import annotations

import copy
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from torch import Tensor, nn

from affetto.backbones.backbone import Backbone
from affetto.backbones.checkpoints import load_backbone
from affetto.models.classifier import Classifier
from affetto.models.methods.registry import METHODS
from affetto.models.prefix import collate
from affetto.models.saved import assemble, save_classifier
from affetto.training.gradients import check_gradients
from models.systems import FAMILIES, blueprint, clips
from models.test_proofs import card

CPU = torch.device("cpu")
WAVES = clips(0.7, 0.45)
STEPS = 3
COMBINATIONS = ("lora+adapter", "ia3+prefix+conv_adapter")
NAMES = (*METHODS, *COMBINATIONS)
AROUND = {
    "xlsr-mini": {"pooling": "layer", "head": "statistics"},
    "hubert-mini": {"pooling": "weighted", "head": "short"},
}
"""Pooling and head by backbone, where they are not the mean of states and the paper's head."""
every = pytest.mark.parametrize(("key", "name"), [(key, name) for key in FAMILIES for name in NAMES])


@dataclass(frozen=True)
class Course:
    """A classifier's way from its start through training and a file to inference, as far as it is judged."""

    bare: Tensor
    """States of the bare backbone of one clip, (L+1, frames, width)."""
    fresh: Tensor
    states: Tensor
    """After training."""
    started: Tensor
    """Logits at the start, (clips, classes)."""
    restarted: Tensor
    """After training, with the parameters of the start again."""
    together: Tensor
    """After training, of a padded batch."""
    alone: Tensor
    trained: set[str]
    """Parameters that had a gradient in some step."""
    trainable: set[str]
    merged: Tensor
    foreign: set[str]
    """Parameters of the merged encoder that transformers' own does not have, and the other way round."""
    weights: dict[str, Tensor]
    """State of the merged encoder, where the method can be merged."""


def settings(name: str) -> dict[str, Any]:
    """Settings by default, with all targets where there is a choice."""
    method = METHODS.find(name)
    sections = {
        section: ({"targets": "all"} if "targets" in record.model_fields else {})
        for section, record in method.sections().items()
    }
    return method.keywords({s: record(**sections[s]).model_dump() for s, record in method.sections().items()})


def plan(key: str, name: str) -> dict[str, Any]:
    around = AROUND.get(key, {})
    return blueprint("frozen", **around) | {"method": {"name": name, "first_block": 0, "settings": settings(name)}}


@functools.cache
def pristine(key: str) -> Backbone:
    """The backbone that all methods share, as the folds of a run do."""
    return load_backbone(key, random_weights=True)


@functools.cache
def digest(key: str) -> str:
    return load_backbone(key, random_weights=True).weights_digest()


def build(key: str, name: str, *, shared: bool = True) -> Classifier:
    backbone = pristine(key)
    shared = shared and not METHODS.find(name).trains_backbone
    own = backbone.copy_sharing_weights() if shared else copy.deepcopy(backbone)
    torch.manual_seed(0)
    return assemble(own, plan(key, name)).eval()


@torch.no_grad()
def logits(made: Classifier, waves: list[np.ndarray]) -> Tensor:
    return made(*collate([made.prefix(wave) for wave in waves], CPU))


def train(made: Classifier) -> set[str]:
    """Some steps of Adam on the clips → names of the parameters that had a gradient in one of them."""
    parameters = made.trainable()
    optimizer = torch.optim.Adam(parameters.values(), lr=0.01)
    batch, seen = collate([made.prefix(wave) for wave in WAVES], CPU), set()
    made.train()
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(made(*batch), torch.arange(len(WAVES)))
        penalty = made.method.penalty()
        (loss if penalty is None else loss + penalty).backward()
        seen |= {name for name, p in parameters.items() if p.grad is not None and bool(p.grad.any())}
        optimizer.step()
        made.method.after_step(step, STEPS)
    made.eval()
    return seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def courses(folder: Path) -> Iterator[Any]:
    """`courses(key, name)` → Course; each is made once, and its model saved in `folder`."""

    @functools.cache
    def run(key: str, name: str) -> Course:
        made = build(key, name)
        start, parameters = made.snapshot(), set(made.trainable())
        bare, fresh = assemble(pristine(key), plan(key, "frozen")).states(WAVES[0]), made.states(WAVES[0])
        started = logits(made, WAVES)
        check_gradients(made, *collate([made.prefix(wave) for wave in WAVES], CPU))
        trained = train(made)
        together, states = logits(made, WAVES), made.states(WAVES[0])
        alone = torch.cat([logits(made, [wave]) for wave in WAVES])
        save_classifier(made, folder / f"{key} {name}", card(key, made, plan(key, name)))
        end = made.snapshot()
        made.restore(start)
        made.method.restore_step_state({})
        restarted = logits(made, WAVES)
        made.restore(end)
        # Weights of its own: merging writes into them, and the other methods share the rest.
        merged = assemble(copy.deepcopy(pristine(key)), plan(key, name), folder / f"{key} {name}").merge()
        stock = {name for name, _ in pristine(key).model.named_parameters()}
        return Course(
            bare=bare,
            fresh=fresh,
            states=states,
            started=started,
            restarted=restarted,
            together=together,
            alone=alone,
            trained=trained,
            trainable=parameters,
            merged=logits(merged, WAVES),
            foreign=stock ^ {name for name, _ in merged.backbone.model.named_parameters()},
            weights=merged.backbone.model.state_dict() if METHODS.find(name).is_peft else {},
        )

    yield run
    run.cache_clear()


def apart(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max() / second.abs().max())


@every
def test_a_fresh_model_is_the_bare_backbone_where_it_promises_so(courses: Any, key: str, name: str) -> None:
    course = courses(key, name)
    # PiSSA's difference of two products is zero but for rounding.
    assert (apart(course.fresh, course.bare) <= 2e-6) == METHODS.find(name).starts_as_backbone


@every
def test_every_trainable_parameter_trains(courses: Any, key: str, name: str) -> None:
    course = courses(key, name)
    # A key bias shifts all of a query's logits alike: its gradient is rounding, of either kind.
    assert {parameter for parameter in course.trainable if not parameter.endswith("k_proj.bias")} <= course.trained


@every
def test_training_moves_the_output(courses: Any, key: str, name: str) -> None:
    course = courses(key, name)
    assert apart(course.together, course.started) > 1e-4
    moved = apart(course.states, course.fresh) > 1e-5
    assert moved == METHODS.find(name).changes_blocks


@every
def test_a_clip_s_logits_do_not_depend_on_the_clips_beside_it(courses: Any, key: str, name: str) -> None:
    course = courses(key, name)
    assert apart(course.together, course.alone) <= 1e-4
    assert apart(course.together[:1], course.together[1:]) > 1e-3, "clips must differ, else nothing is shown"


@every
def test_another_fit_starts_where_the_first_did(courses: Any, key: str, name: str) -> None:
    course = courses(key, name)
    assert torch.equal(course.restarted, course.started)
    assert pristine(key).weights_digest() == digest(key), "the weights that all models share have changed"


@every
def test_merged_is_unmerged_and_plain_where_it_promises_so(courses: Any, key: str, name: str) -> None:
    course, method = courses(key, name), METHODS.find(name)
    assert apart(course.merged, course.together) <= 5e-5
    assert not (course.foreign if method.mergeable else set())


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.settings and "dropout" in m.settings.model_fields])
def test_dropout_acts_in_training_alone(name: str) -> None:
    parts = plan("wav2vec2-mini", name)
    parts["head"]["dropout"] = 0.0
    parts["method"]["settings"]["dropout"] = 0.5
    torch.manual_seed(0)
    model = assemble(pristine("wav2vec2-mini").copy_sharing_weights(), parts)
    with torch.no_grad():
        for parameter in model.trainable().values():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    training, evaluation = ([logits(model.train(mode), WAVES) for _ in range(2)] for mode in (True, False))
    assert not torch.equal(*training)
    assert torch.equal(*evaluation)


@every
def test_bfloat16_is_near(key: str, name: str) -> None:
    exact = build(key, name).states(WAVES[0])
    made = build(key, name, shared=False).compute_in("bfloat16")
    assert apart(made.states(WAVES[0]), exact) <= 0.05
    assert train(made) and {p.dtype for p in made.trainable().values()} == {torch.float32}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("key", "name"), [(k, n) for k in FAMILIES for n in METHODS if METHODS[n].is_peft])
def test_peft_opens_what_is_its_own_on_transformers_classes(courses: Any, folder: Path, key: str, name: str) -> None:
    course, model = courses(key, name), pristine(key).model
    stock = type(model)(model.config)
    stock.load_state_dict(model.state_dict())
    opened = peft.PeftModel.from_pretrained(stock, folder / f"{key} {name}" / "method")
    weights = opened.merge_and_unload().state_dict()
    assert weights.keys() == course.weights.keys()
    changed = 0
    for tensor, before in model.state_dict().items():
        assert torch.allclose(weights[tensor], course.weights[tensor], rtol=1e-5, atol=1e-6), tensor
        changed += not torch.allclose(weights[tensor], before, rtol=1e-4, atol=1e-5)
    assert changed >= 2 * len(pristine(key).blocks), "the method must do something, else nothing is shown"


IN_A_NEW_PROCESS = """
import json, sys, numpy as np, torch
from pathlib import Path
from affetto.models.prefix import collate
from affetto.models.saved import load_classifier
waves, out = list(np.load(sys.argv[1]).values()), {}
for folder in sorted(Path(sys.argv[2]).iterdir()):
    made, _ = load_classifier(folder)
    assert not made.trainable()
    with torch.no_grad():
        out[folder.name] = made(*collate([made.prefix(w) for w in waves], torch.device("cpu"))).tolist()
print(json.dumps(out))
"""


def test_saved_models_give_the_same_logits_in_a_new_process(courses: Any, folder: Path, tmp_path: Path) -> None:
    expected = {f"{key} {name}": courses(key, name).together for key in FAMILIES for name in NAMES}
    plain = tmp_path / "plain"
    plain.touch()  # as the umask allows: a model is for others too
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.stat().st_mode for file in files} == {plain.stat().st_mode}
    np.savez(tmp_path / "waves.npz", *WAVES)
    command = [sys.executable, "-c", IN_A_NEW_PROCESS, str(tmp_path / "waves.npz"), str(folder)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded = {model: torch.tensor(values) for model, values in json.loads(output.splitlines()[-1]).items()}
    assert loaded.keys() == expected.keys()
    assert {model for model in expected if apart(loaded[model], expected[model]) > 1e-6} == set()
