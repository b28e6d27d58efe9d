"""What sections of the page say."""

import os
import shlex
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoseg.data.dataset import Adoption
from autoseg.data.splits import SPLITS, Splits
from autoseg.events import Silent
from autoseg.model.description import Origin
from autoseg.model.hardware import Hardware
from autoseg.planning.overrides import parse_overrides, parse_planes
from autoseg.planning.sections import Inputs
from autoseg.postprocessing.selection import NestedFold, NestedScore
from autoseg.reporting.blocks import Table, Text
from autoseg.reporting.data import gather
from autoseg.reporting.sections import _commands, _facts, _learning, planning_options
from autoseg.runs.workspace import Workspace
from autoseg.training.run_state import Stretch

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


AT = "--workspace runs/workspace"


def test_the_commands_give_these_results_again() -> None:
    data = gather(Workspace(STORED), Silent())
    plan, *others = _commands(data)
    assert shlex.split(plan)[-2:] == AT.split()
    trained = [f"autoseg train --arch {name} --fold 0" for name in ("attention", "sepres", "unet")]
    assert [command[: len(begun)] for command, begun in zip(others, trained, strict=False)] == trained
    assert others[3:] == [f"autoseg select {AT}", f"autoseg report {AT}"]
    config = {"minutes": None, "epochs": 12, "seed": 4, "precision": "bfloat16", "threads": 2, "memory_format": "contiguous"}
    (first, *rest), again = data.runs, {"epochs": 3, "minutes": 2.5, "seed": 4, "precision": "float32"}
    assert first.state is not None
    stretches = [Stretch(config=first.state.config.model_copy(update=changes)) for changes in (config, again)]
    state = first.state.model_copy(update={"config": stretches[0].config, "stretches": tuple(stretches)})
    assert _commands(replace(data, runs=[replace(first, state=state), *rest]))[1].splitlines() == [
        f"{trained[0]} --epochs 12 --seed 4 --precision bfloat16 --threads 2 --memory-format contiguous {AT}",
        f"{trained[0]} --minutes 2.5 --epochs 3 --seed 4 --precision float32 --continue {AT}",
    ]
    unknown = _commands(replace(data, runs=[replace(first, state=None), *rest]))[1]
    assert unknown == f"{trained[0]} --seed {first.provenance.seed} --precision {first.provenance.precision} {AT}"


def test_the_commands_say_what_was_done_by_hand(tmp_path: Path) -> None:
    workspace = Workspace(Path(shutil.copytree(STORED, tmp_path / "my run")))
    data = gather(workspace, Silent())
    assert data.selection is not None
    assert not [line for line in _commands(data) if line.startswith("#")]
    score = data.selection.score
    fold = NestedFold(fold="0", cases=2, networks=("unet",), views=(), log_shift=(), postprocessing=())
    nested = NestedScore(score=score, optimism=score.dice, folds=(fold,))
    edited = data.selection.model_copy(update={"nested": nested, "decided_sha256": "0" * 64})
    case = data.dataset.cases[0].model_copy(update={"adopted": Adoption(revision=2, corrected=False, label_sha256="0" * 64)})
    dataset = data.dataset.model_copy(update={"cases": (case, *data.dataset.cases[1:]), "revision": 2})
    changed = replace(
        data,
        plan=data.plan.model_copy(update={"planned_digest": "0" * 64}),
        dataset=dataset,
        splits=data.splits.model_copy(update={"assigned_sha256": "0" * 64}),
        selection=edited,
    )
    assert [line for line in _commands(changed) if not line.startswith("autoseg train")][1:-1] == [
        "# put this plan.json in the place of the new one: it was edited by hand",
        "# adopt the 1 label map of revision 2: autoseg adopt RESULTS",
        "# put this splits.json in the place of the new one: the folds were edited by hand",
        "autoseg select --nested --workspace 'runs/my run'",
        "# put this selection.json in the place of the new one: it was edited by hand",
    ]


def test_folds_that_a_fresh_plan_does_not_give_are_to_be_put_back(tmp_path: Path) -> None:
    workspace = Workspace(Path(shutil.copytree(STORED, tmp_path / "run")))
    splits = workspace.stored_splits()
    one, other = splits.folds
    turned = Splits(folds=(other, one), official=splits.official)
    SPLITS.write(workspace.splits_file, turned.model_copy(update={"assigned_sha256": turned.sha256}))
    told = "# put this splits.json in the place of the new one: cases joined or left these folds since they were assigned"
    assert told in _commands(gather(workspace, Silent()))
