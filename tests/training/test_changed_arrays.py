"""Arrays that change while a run learns from them are noticed, and nothing is learnt from them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autoseg.errors import WorkspaceError
from autoseg.events import Silent
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.preprocessing.mapped import OpenArrays
from autoseg.preprocessing.stored import CaseFiles, StoredCase
from autoseg.storage.arrays import map_array, write_array
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.history import read_steps
from autoseg.training.loop import train

CPU = Compute(torch.device("cpu"), bfloat16=False)
CONFIG = TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32", "epochs": 3})


@pytest.fixture
def stored(fold: FoldData, tmp_path: Path) -> FoldData:
    """The fold on disk, of which one array is mapped at a time."""
    arrays = OpenArrays(most=1)

    def kept(name: str, case: StoredCase) -> StoredCase:
        stack, place = case.stack(0), CaseFiles(tmp_path / "preprocessed" / name, "0123")
        place.write(stack.image, stack.label, stack.footprint)
        return StoredCase((place.read(arrays),))

    training = [(name, kept(name, case)) for name, case in fold.training]
    return replace(fold, training=training, validation=[(name, kept(name, case)) for name, case in fold.validation])


def test_what_is_on_disk_is_learnt_from_as_what_is_in_memory(
    make_plan: Callable[..., Plan], fold: FoldData, stored: FoldData, tmp_path: Path
) -> None:
    plan = make_plan(training={"slices": {"rule": "foreground_weighted", "fraction": 0.5}})
    for name, data in (("memory", fold), ("disk", stored)):
        train(plan, CONFIG, data, context=RunContext(tmp_path / name, CPU, 0, Silent()))
    assert read_steps(tmp_path / "memory" / "steps.csv")
    for one, other in zip(*(read_steps(tmp_path / name / "steps.csv") for name in ("memory", "disk")), strict=True):
        assert one.loss == other.loss


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["image", "label"])
def test_a_changed_array_ends_the_run_by_name(
    kind: str, workers: int, make_plan: Callable[..., Plan], stored: FoldData, tmp_path: Path
) -> None:
    path = tmp_path / "preprocessed" / "case1" / f"0123.{kind}.npy"

    def change(epochs: object) -> None:
        write_array(path, np.array(map_array(path))[..., ::-1])

    context = RunContext(tmp_path / "run", CPU, workers, Silent(), on_epoch=change)
    plan = make_plan(training={"slices": {"rule": "all"}, "steps_per_epoch": 8})
    with pytest.raises(WorkspaceError, match=r"case1/0123\.\w+\.npy: the preprocessed array has changed"):
        train(plan, CONFIG, stored, context=context)
    assert len(read_steps(tmp_path / "run" / "steps.csv")) == 8, "the epoch before it changed"
