"""What a plan is asked for, and what of it holds where a plan is made again."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from autoseg import catalogue
from autoseg.planning.decided import in_every_view
from autoseg.planning.overrides import in_order
from autoseg.planning.sections import AskedPlanes, Inputs

_OF_RECIPE: Final = frozenset({"planes", "minutes", "speed_kpx_s", "overrides"})
"""What says how to depart from a recipe; the rest is about data and machine."""


@dataclass(frozen=True)
class Asked:
    """What a plan is asked for; None: nothing is, so that rules and this machine decide.

    Attributes:
        recipe: the recipe.
        planes: planes of the slices.
        not_finite: what is done with NaN and infinite voxels.
        folds: of the cross-validation.
        minutes: length of runs.
        speed_kpx_s: thousand pixels that are learnt from in a second, for `minutes`.
        device: kind of machine.
        memory_gb: GB that a training step may take.
        overrides: values by their path, in the order of the plan.
    """

    recipe: catalogue.Recipe | None = None
    planes: AskedPlanes | None = None
    not_finite: catalogue.NotFinite | None = None
    folds: int | None = None
    minutes: float | None = None
    speed_kpx_s: float | None = None
    device: catalogue.DeviceKind | None = None
    memory_gb: float | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """Options of `autoseg plan` that ask for it, as a shell takes them."""
        planes = self.planes if self.planes is None or isinstance(self.planes, str) else ",".join(self.planes)
        words = {
            "--recipe": self.recipe,
            "--planes": planes,
            "--not-finite": self.not_finite,
            "--folds": self.folds,
            "--minutes": None if self.minutes is None else f"{self.minutes:g}",
            "--speed": None if self.speed_kpx_s is None else f"{self.speed_kpx_s:g}",
            "--device": "cuda" if self.device == "gpu" else self.device,
            "--memory": None if self.memory_gb is None else f"{self.memory_gb:g}",
        }
        asked = [f"{name} {value}" for name, value in words.items() if value is not None]
        return asked + [f"--set {shlex.quote(f'{path}={json.dumps(value)}')}" for path, value in self.overrides.items()]


def asked_in(inputs: Inputs) -> Asked:
    """What an earlier plan was asked for; the speed, which may have been measured, is no part of it."""
    return Asked(
        recipe=None if inputs.recipe == "auto" else inputs.recipe,
        planes=None if inputs.asked_planes == "auto" else inputs.asked_planes,
        not_finite=None if inputs.not_finite == "refuse" else inputs.not_finite,
        folds=inputs.folds,
        minutes=inputs.minutes,
        device=inputs.device if "device" in inputs.asked else None,
        memory_gb=inputs.memory_gb if "memory_gb" in inputs.asked else None,
        overrides=in_order(inputs.overrides),
    )


def held(before: Asked, now: Asked, *, planned_for: catalogue.DeviceKind | None = None) -> Asked:
    """What of an earlier plan holds: what is not asked for otherwise.

    With another recipe, nothing holds that said how to depart from the one before. With another device, the memory of the
    one before does not hold; with other planes, values for views by their number do not.

    Args:
        before: what the earlier plan was asked for.
        now: what is asked for now.
        planned_for: the device that the earlier plan is for, asked for or found.
    """
    gone = {each.name for each in fields(Asked) if each.name != "overrides" and getattr(now, each.name) is not None}
    if now.recipe is not None and now.recipe != (before.recipe or "auto"):
        gone |= _OF_RECIPE
    if now.device is not None and now.device != planned_for:
        gone |= {"memory_gb"}
    overrides = {} if "overrides" in gone else _held_values(before, now)
    none: Any = dict.fromkeys(gone - {"overrides"})
    return replace(before, **none, overrides=overrides)


def _held_values(before: Asked, now: Asked) -> dict[str, Any]:
    other_views = now.planes is not None and now.planes != before.planes
    return {
        path: value
        for path, value in before.overrides.items()
        if not _is_replaced(path, now) and not (other_views and path != in_every_view(path))
    }


def _is_replaced(path: str, now: Asked) -> bool:
    """Whether a value is asked for otherwise: by its path, or for all views."""
    return path in now.overrides or in_every_view(path) in now.overrides


def dropped(before: Asked, now: Asked, holding: Asked) -> Asked:
    """What of an earlier plan does not hold though nothing is asked for in its place."""
    gone: dict[str, Any] = {
        each.name: None
        for each in fields(Asked)
        if each.name != "overrides" and (getattr(now, each.name) is not None or getattr(holding, each.name) is not None)
    }
    overrides = {
        path: value
        for path, value in before.overrides.items()
        if path not in holding.overrides and not _is_replaced(path, now)
    }
    return replace(before, **gone, overrides=overrides)


def together(now: Asked, holding: Asked) -> Asked:
    """What is asked for now, and what holds besides."""
    every: dict[str, Any] = {
        each.name: getattr(now, each.name) if getattr(now, each.name) is not None else getattr(holding, each.name)
        for each in fields(Asked)
    }
    return Asked(**{**every, "overrides": in_order({**holding.overrides, **now.overrides})})
