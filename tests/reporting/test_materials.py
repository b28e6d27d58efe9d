"""What figures are made from, on what version 0.1 stored."""

from dataclasses import replace
from pathlib import Path

from oracles.version_0_1 import copy_of_0_1

from autoseg.events import Silent
from autoseg.model.identity import ModelId
from autoseg.reporting.data import FinishedRun, gather
from autoseg.reporting.materials import Materials
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"


def test_a_network_is_called_the_same_in_the_curves_of_all_folds() -> None:
    data = gather(Workspace(STORED), Silent())
    unet = next(run for run in data.runs if run.model.architecture == "unet")

    def run(fold: str, seed: int) -> FinishedRun:
        return replace(unet, model=replace(unet.model, id=ModelId("unet", fold, seed=seed), seed=seed))

    several_on_one_fold = replace(data, runs=[run("0", 3), run("0", 4), run("1", 3), run("full", 3)])
    histories = Materials(several_on_one_fold, Silent()).histories
    titles = {fold: list(of_fold) for fold, of_fold in histories.items()}
    assert titles == {"0": ["U-Net, seed 3", "U-Net, seed 4"], "1": ["U-Net, seed 3"], "full": ["U-Net"]}
    assert all(len(epochs) == 8 for of_fold in histories.values() for epochs in of_fold.values())


def test_curves_are_in_the_order_of_the_folds_numbers() -> None:
    data = gather(Workspace(STORED), Silent())
    unet = next(run for run in data.runs if run.model.architecture == "unet")
    runs = [replace(unet, model=replace(unet.model, id=ModelId("unet", fold))) for fold in ("full", "10", "0", "9")]
    assert list(Materials(replace(data, runs=runs), Silent()).histories) == ["0", "9", "10", "full"]


def test_label_maps_of_an_edited_selection_are_said_to_be_of_before(tmp_path: Path) -> None:
    data = gather(Workspace(copy_of_0_1(tmp_path) / "workspace"), Silent())
    assert data.selection is not None
    edited = replace(data, selection=data.selection.model_copy(update={"decided_sha256": "0" * 64}))
    (before,), (now,) = (Materials(each, Silent()).typical for each in (edited, data))
    assert next(iter(before.overlays)) == "Selection before it was edited"
    assert before.predicted.startswith("the selection before it was edited, ")
    assert next(iter(now.overlays)) == "Selection"
    assert "before" not in now.predicted
