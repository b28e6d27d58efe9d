"""What the page on metrics says to do about another tolerance does it."""

import json
import math
import shutil
from pathlib import Path

from oracles.version_0_1 import STORED, copy_of_0_1

import autoseg
from autoseg.events import Silent
from autoseg.planning.plan import write_plan
from autoseg.reporting.data import gather
from autoseg.runs.inventory import ComparedNetwork
from autoseg.runs.workspace import Workspace

SEED = json.loads((STORED / "expected.json").read_text())["seed"]


def test_held_out_cases_are_scored_at_another_tolerance_after_their_folder_was_deleted(tmp_path: Path) -> None:
    workspace = Workspace(copy_of_0_1(tmp_path / "v0_1") / "workspace")
    plan = workspace.plan()
    evaluation = plan.evaluation.model_copy(update={"tolerances_mm": (2.0, 3.0, 2.0)})
    write_plan(plan.model_copy(update={"evaluation": evaluation}), workspace.plan_file)

    def shown() -> list[float]:
        cases = gather(workspace, Silent()).main.scores[ComparedNetwork("unet")]
        return [scores.number("nsd") for case in cases for scores in case.classes if scores.name == "GM"]

    assert all(map(math.isnan, shown()))
    shutil.rmtree(workspace.models / "unet" / "fold_0" / "validation")
    (model,) = autoseg.train("unet", fold=0, workspace=workspace.root, seed=SEED, device="cpu", precision="float32").models
    assert not model.trained_now
    assert not any(map(math.isnan, shown()))
