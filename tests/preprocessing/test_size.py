"""What arrays take is told before they are made; here they are made, too."""

from pathlib import Path

import pytest

from autoseg.preprocessing.size import arrays_bytes, voxels_of
from autoseg.runs.workspace import Workspace

HEADER = 128
"""Of a file of numpy."""


@pytest.mark.gate
def test_what_was_told_is_what_they_take(trained: Path) -> None:
    workspace = Workspace(trained)
    plan = workspace.plan()
    for case in workspace.fingerprint().cases:
        stored = [path.stat().st_size - HEADER for path in (trained / "preprocessed" / case.id).glob("*.npy")]
        assert stored
        assert arrays_bytes(case, plan) == sum(stored)


def test_a_case_has_the_voxels_of_its_box_on_the_pixels_of_the_view(trained: Path) -> None:
    workspace = Workspace(trained)
    plan, case = workspace.plan(), workspace.fingerprint().cases[0]
    whole = plan.model_copy(update={"preprocessing": plan.preprocessing.model_copy(update={"crop": "none"})})
    view = plan.views[0].model_copy(update={"spacing_mm": None})
    shape = case.shape[0] * case.shape[1] * case.shape[2]
    assert voxels_of(case, whole, view) == shape
    assert voxels_of(case, plan, view) <= shape
