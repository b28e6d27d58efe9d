"""What sections of the page say."""

import os
import shlex
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoseg.events import Silent
from autoseg.model.description import Origin
from autoseg.model.hardware import Hardware
from autoseg.planning.overrides import parse_overrides, parse_planes
from autoseg.planning.sections import Inputs
from autoseg.reporting.blocks import Table, Text
from autoseg.reporting.data import gather
from autoseg.reporting.sections import _commands, _facts, _learning, planning_options
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"


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
        ({"not_finite": "zero"}, "--recipe auto --not-finite zero"),
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


def test_the_folder_is_read_again_as_it_was() -> None:
    data = gather(Workspace(STORED), Silent())
    asked = {
        "root": Path("/data/My Scans (2024)"),
        "asked_labels": "*_seg (final).nii.gz",
        "asked_channels": ("T1w", "PD w"),
    }
    labelled_in_part = data.plan.data.model_copy(update={"ignore": 255})
    data = replace(
        data,
        dataset=data.dataset.model_copy(update=asked),
        plan=data.plan.model_copy(update={"data": labelled_in_part}),
    )
    command, *_ = _commands(data)
    words = shlex.split(command)
    assert words[:3] == ["autoseg", "plan", "My Scans (2024)/"]
    assert words[3:11] == [
        "--labels", "*_seg (final).nii.gz", "--channel", "T1w", "--channel", "PD w", "--ignore", "255",
    ]  # fmt: skip


def test_a_folder_that_left_no_choice_asks_for_nothing() -> None:
    command, *_ = _commands(gather(Workspace(STORED), Silent()))
    assert not {"--labels", "--channel", "--ignore", "--not-finite"}.intersection(shlex.split(command))


def test_the_top_says_when_on_what_and_for_how_long_networks_were_trained(tmp_path: Path) -> None:
    shutil.copytree(STORED, tmp_path / "run")
    day = time.mktime((2026, 3, 14, 12, 0, 0, 0, 0, -1))  # where the test runs
    for number, bundle in enumerate(sorted((tmp_path / "run" / "models").rglob("bundle.json"))):
        os.utime(bundle, (day - 86_400 * number, day - 86_400 * number))
    data = gather(Workspace(tmp_path / "run"), Silent())
    (first, *others), seconds = data.runs, sum(run.state.elapsed_s for run in data.runs if run.state is not None)
    when, how_long = _facts(data)
    assert when == ("Trained until", "2026-03-14")
    assert how_long == ("Training took", f"{seconds:.0f} s in 3 runs")
    machine = Hardware(processor="Some processor", threads=8)
    first = replace(first, provenance=first.provenance.model_copy(update={"hardware": machine}))
    assert _facts(replace(data, runs=(first, *others)))[2] == ("Trained on", "Some processor (8 threads)")
    assert _facts(replace(data, runs=())) == []


def test_runs_say_what_they_started_from_and_where_nobody_knows_what_that_had_seen(tmp_path: Path) -> None:
    shutil.copytree(STORED, tmp_path / "run")
    data = gather(Workspace(tmp_path / "run"), Silent())
    (first, *others) = data.runs
    origin = Origin(
        weights_sha256="a" * 64, name="unet, fold 0 of b", epochs=9, minutes=1, classes_kept=True, channels_kept=True
    )
    made = first.provenance.model_copy(update={"origin": origin})
    table, unknown = _learning(replace(data, runs=[replace(first, provenance=made), *others]), []).blocks
    assert isinstance(table, Table)
    assert table.columns[-1] == "started from"
    assert [row[-1] for row in table.rows] == ["unet, fold 0 of b after 9 epochs", "", ""]
    assert isinstance(unknown, Text)
    assert "not recorded which scans unet, fold 0 of b had learnt from" in unknown.paragraphs[0]
    (table,) = _learning(data, []).blocks
    assert isinstance(table, Table)
    assert "started from" not in table.columns
