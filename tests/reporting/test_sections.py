"""What sections of the page say."""

import shlex
from typing import Any

import pytest

from autoseg.planning.overrides import parse_overrides, parse_planes
from autoseg.planning.sections import Inputs
from autoseg.reporting.sections import planning_options


def inputs(**changes: Any) -> Inputs:
    values = {"name": "demo", "recipe": "auto", "plane": "auto", "device": "cpu", "memory_gb": 4.0, "folds": None}
    return Inputs(**(values | changes))


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({}, "--recipe auto"),
        ({"recipe": "paper", "plane": "coronal", "folds": 3}, "--recipe paper --planes coronal --folds 3"),
        ({"plane": "coronal", "planes": ("coronal", "axial")}, "--recipe auto --planes coronal,axial"),
        ({"planes": "all"}, "--recipe auto --planes all"),
        ({"minutes": 20.0, "speed_kpx_s": 256.0}, "--recipe auto --minutes 20 --speed 256"),
    ],
)
def test_the_command_that_plans_the_same(asked: Any, options: str) -> None:
    assert " ".join(planning_options(inputs(**asked))) == options


def test_what_was_asked_for_is_asked_for_again() -> None:
    overrides = {"views.patch_px": [32, 64], "training.loss": "dice", "views.1.batch_size": 3}
    _, _, *words = shlex.split(" ".join(planning_options(inputs(overrides=overrides))))
    assert parse_overrides(words[1::2]) == overrides
    assert parse_planes("coronal,axial") == inputs(plane="coronal", planes=("coronal", "axial")).asked_planes
