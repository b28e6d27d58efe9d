"""Planning the real data sets. `AUTOSEG_REALDATA` names the folder that holds `IBSR18` and `Task04_Hippocampus`.

Run with `AUTOSEG_REALDATA=... pytest -m realdata`.
"""

import os
from pathlib import Path
from statistics import median

import pytest

from autoseg.commands import plan, preprocess
from autoseg.events import Silent

FOLDER = Path(os.environ.get("AUTOSEG_REALDATA", "no such folder"))

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="AUTOSEG_REALDATA names no folder"),
]


def make(name: str, workspace: Path) -> plan.PlanResult:
    return plan.run(plan.PlanOptions(FOLDER / name, workspace=workspace, device="cpu"), Silent())


def test_ibsr18_is_planned_as_its_description_says(tmp_path: Path) -> None:
    result = make("IBSR18", tmp_path)
    values = result.plan
    assert [label.name for label in values.data.classes] == ["background", "CSF", "GM", "WM"]
    assert values.planes == ("coronal",)
    assert values.folds == 5
    for found, published in zip(values.training.class_weights, (1, 10, 3, 3), strict=True):
        assert found == pytest.approx(published, rel=0.25)
    dataset = result.workspace.dataset()
    assert len(dataset.training) == 10
    assert {case.subset for case in dataset.cases if case.label is None} == {"test"}


def test_typical_hippocampus_slices_fit_whole(tmp_path: Path) -> None:
    result = make("Task04_Hippocampus", tmp_path)
    store = preprocess.run(preprocess.PreprocessOptions(tmp_path), Silent()).store
    assert result.plan.planes == ("axial", "coronal", "sagittal")
    for number, view in enumerate(result.plan.views):
        images = [store.load(case.id).stack(number).image for case in result.workspace.dataset().training]
        for axis, side in enumerate(view.patch_px, start=2):
            assert median(image.shape[axis] for image in images) <= side
