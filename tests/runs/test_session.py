from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from autoseg.data.dataset import Case, Dataset
from autoseg.data.splits import Fold, Splits
from autoseg.model.identity import ModelId
from autoseg.runs.session import Session, Target, targets_of

MakeSession = Callable[..., Session]
CASES = tuple(
    Case(id=name, images=(Path(f"/d/{name}.nii"),), label=Path(f"/d/{name}_seg.nii"), subject=name, subset="training")
    for name in ("a", "b")
)
DATASET = Dataset(name="d", root=Path("/d"), layout="ibsr18", channels=("T1",), classes=None, cases=CASES)
SPLITS = Splits(folds=(Fold(training=("b",), validation=("a",)), Fold(training=("a",), validation=("b",))), official=None)


def test_targets_go_fold_by_fold() -> None:
    found = targets_of(("unet", "sepres"), "all", dataset=DATASET, splits=SPLITS)
    assert [target.model.title for target in found] == ["unet, fold 0", "sepres, fold 0", "unet, fold 1", "sepres, fold 1"]
    assert [target.members for target in found] == [SPLITS.folds[0], SPLITS.folds[0], SPLITS.folds[1], SPLITS.folds[1]]


def test_all_cases_train_the_full_model() -> None:
    (target,) = targets_of(("unet",), "full", dataset=DATASET, splits=SPLITS)
    assert target == Target(ModelId("unet", "full"), Fold(training=("a", "b"), validation=()))


@pytest.mark.parametrize(("device", "cores", "expected"), [("cuda", 16, 8), ("cuda", 4, 3), ("cuda", 1, 0), ("cpu", 16, 0)])
def test_loading_processes_stay_within_the_share(
    session: MakeSession, device: Literal["cpu", "cuda"], cores: int, expected: int
) -> None:
    assert session(device=device, cores=cores).loading_processes == expected
    assert session(device=device, cores=cores, workers=5).loading_processes == 5
