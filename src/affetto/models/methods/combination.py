"""Combinations of methods on the same blocks, such as `lora+adapter`."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from affetto.errors import UserError
from affetto.models.methods.base import PARTS, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from affetto.backbones.backbone import Backbone

SIGN = "+"


class Combination(Method):
    """Several methods, each on its own part of the blocks. `combine` makes the class of a combination."""

    components: ClassVar[tuple[type[Method], ...]]
    """In the order in which they adapt the backbone: from the inside of a block to the outside."""

    def __init__(self, backbone: Backbone, blocks: range, **settings: dict[str, Any]) -> None:
        super().__init__(backbone, blocks)
        self._hold(backbone.model, [method(backbone, blocks, **settings[method.name]) for method in self.components])

    @classmethod
    def of(cls, model: nn.Module, members: Sequence[Method]) -> Combination:
        """The combination of methods that have adapted `model`, the backbone's, already."""
        combination = cls.__new__(cls)
        super(Method, combination).__init__()
        combination._hold(model, members)
        return combination

    def _hold(self, model: nn.Module, members: Sequence[Method]) -> None:
        from torch import nn

        self.members = nn.ModuleDict({member.name: member for member in members})
        self.lowest_block = min(member.lowest_block for member in members)
        self.__dict__["model"] = model  # not registered: it is the backbone's

    def _members(self) -> list[Any]:
        return list(self.members.values())

    @classmethod
    def sections(cls) -> Mapping[str, type[MethodSettings]]:
        return {name: record for method in cls.components for name, record in method.sections().items()}

    @classmethod
    def keywords(cls, sections: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        return {method.name: method.keywords(sections) for method in cls.components}

    @property
    def acts_in_steps(self) -> bool:
        return any(member.acts_in_steps for member in self._members())

    def cast_together(self) -> list[Tensor]:
        return [weight for member in self._members() for weight in member.cast_together()]

    def penalty(self) -> Tensor | None:
        penalties = [penalty for member in self._members() if (penalty := member.penalty()) is not None]
        return sum(penalties[1:], start=penalties[0]) if penalties else None

    def after_step(self, step: int, total: int) -> None:
        for member in self._members():
            member.after_step(step, total)

    def step_state(self) -> dict[str, Tensor]:
        states = {member.name: member.step_state() for member in self._members()}
        return {f"{name}.{key}": tensor for name, state in states.items() for key, tensor in state.items()}

    def restore_step_state(self, state: dict[str, Tensor]) -> None:
        for member in self._members():
            prefix = f"{member.name}."
            member.restore_step_state(
                {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
            )

    def save(self, folder: Path) -> None:
        """Write the weights of each method to a sub-folder of its name."""
        for member in self._members():
            (folder / member.name).mkdir(parents=True, exist_ok=True)
            member.save(folder / member.name)

    @classmethod
    def average(cls, folders: Sequence[Path], settings: dict[str, Any], out: Path) -> dict[str, Any] | None:
        means = {
            method.name: method.average(
                [folder / method.name for folder in folders], settings[method.name], out / method.name
            )
            for method in cls.components
        }
        return None if None in means.values() else means

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        methods = [
            method.load(backbone, blocks, folder / method.name, settings[method.name]) for method in cls.components
        ]
        return cls.of(backbone.model, methods)

    def merge(self) -> None:
        """Merge the methods that can be merged; the others stay on the blocks."""
        modules: dict[str, nn.Module] = dict(self.__dict__["model"].named_modules())
        for member in self._members():
            member.merge()
        # A merge may put a plain layer where another method's hooks were.
        for name, module in self.__dict__["model"].named_modules():
            before = modules.get(name, module)
            if before is not module:
                module._forward_pre_hooks.update(before._forward_pre_hooks)
                module._forward_hooks.update(before._forward_hooks)

    def after_merge(self) -> Method:
        members = [member for member in self._members() if not member.mergeable]
        components = tuple(method for method in self.components if not method.mergeable)
        if len(members) > 1:
            return combine(components).of(self.__dict__["model"], members)
        return members[0] if members else self

    @classmethod
    def plan_after_merge(cls, plan: dict[str, Any]) -> dict[str, Any]:
        components = [method.name for method in cls.components if not method.mergeable]
        settings = {name: plan["settings"][name] for name in components}
        if len(components) > 1:
            return plan | {"name": SIGN.join(components), "settings": settings}
        if components:
            return plan | {"name": components[0], "settings": settings[components[0]]}
        return super().plan_after_merge(plan)


@functools.cache
def combine(components: tuple[type[Method], ...]) -> type[Combination]:
    """The combination of these methods. Raises UserError where they cannot be combined."""
    name = SIGN.join(method.name for method in components)
    for method in components:
        if components.count(method) > 1:
            raise UserError(f"method {name!r} has {method.name!r} twice; leave one out")
        if method.part is None:
            raise UserError(
                f"method {name!r}: {method.name!r} cannot be combined, since it trains {method.trains}; use it alone"
            )
    ordered = sorted(components, key=lambda method: PARTS.index(method.part or ""))
    for first, second in itertools.pairwise(ordered):
        if first.part == second.part:
            raise UserError(
                f"method {name!r}: {first.name} and {second.name} both change the {first.part} of a block; "
                "leave one out"
            )
    if list(components) != ordered:
        raise UserError(f"method {name!r}: write {SIGN.join(method.name for method in ordered)!r}")
    return type(
        name,
        (Combination,),
        {
            "__module__": __name__,
            "name": name,
            "title": " + ".join(method.title for method in components),
            "trains": " and ".join(method.trains for method in components),
            "source": "; ".join(method.source for method in components if method.source),
            "components": components,
            "mergeable": all(method.mergeable for method in components),
            "is_averaged": all(method.is_averaged for method in components),
            "has_random_start": any(method.has_random_start for method in components),
            "starts_as_backbone": all(method.starts_as_backbone for method in components),
            "stackable": all(method.stackable for method in components),
            "step_cost": max(method.step_cost for method in components),
        },
    )
