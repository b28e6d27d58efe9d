from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from autoseg.data.dataset import Case, Dataset
from autoseg.data.splits import Fold, Splits
from autoseg.errors import TrainingError, WorkspaceError
from autoseg.model.compute import Compute
from autoseg.model.identity import ModelId
from autoseg.runs import run as runs
from autoseg.runs.workspace import Workspace
from autoseg.storage import files

CASES = tuple(
    Case(id=name, images=(Path(f"/d/{name}.nii"),), label=Path(f"/d/{name}_seg.nii"), subject=name, subset="training")
    for name in ("a", "b")
)
DATASET = Dataset(name="d", root=Path("/d"), layout="ibsr18", channels=("T1",), classes=None, cases=CASES)
SPLITS = Splits(folds=(Fold(training=("b",), validation=("a",)), Fold(training=("a",), validation=("b",))), official=None)
TARGET = runs.Target(ModelId("unet", "0"), SPLITS.folds[0])


def session(root: Path, *, device: str = "cpu", **changes: Any) -> runs.Session:
    without: Any = None  # parts that the tests below never touch
    return replace(
        runs.Session(
            workspace=Workspace(root),
            plan=without,
            cases={case.id: case for case in CASES},
            store=without,
            compute=Compute(torch.device(device), bfloat16=False),
            cores=1,
            seed=0,
            epochs=None,
            minutes=None,
            workers=None,
            restart=False,
            track=None,
        ),
        **changes,
    )


def test_targets_go_fold_by_fold() -> None:
    found = runs.targets_of(("unet", "sepres"), "all", dataset=DATASET, splits=SPLITS)
    assert [target.model.title for target in found] == ["unet, fold 0", "sepres, fold 0", "unet, fold 1", "sepres, fold 1"]
    assert [target.members for target in found] == [SPLITS.folds[0], SPLITS.folds[0], SPLITS.folds[1], SPLITS.folds[1]]


def test_all_cases_train_the_full_model() -> None:
    (target,) = runs.targets_of(("unet",), "full", dataset=DATASET, splits=SPLITS)
    assert target == runs.Target(ModelId("unet", "full"), Fold(training=("a", "b"), validation=()))


def test_a_full_gpu_is_a_failure_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"unet, fold 0.*--jobs"), runs.working_on(session(tmp_path), TARGET):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_two_processes_do_not_work_on_one_model(tmp_path: Path) -> None:
    with (
        runs.working_on(session(tmp_path), TARGET),
        pytest.raises(WorkspaceError, match="in use by"),
        runs.working_on(session(tmp_path), TARGET),
    ):
        pass


@pytest.mark.parametrize("restart", [False, True])
def test_only_a_restart_discards_what_is_there(tmp_path: Path, *, restart: bool) -> None:
    folder = tmp_path / "models" / "unet" / "fold_0"
    left = [folder / "checkpoint.json", folder / "bundle.json", folder / "validation" / "a.npy"]
    for path in left:
        files.write_text(path, "")
    with runs.working_on(session(tmp_path, restart=restart), TARGET):
        assert [path.exists() for path in left] == [not restart] * 3


@pytest.mark.parametrize(("device", "cores", "expected"), [("cuda", 16, 8), ("cuda", 4, 3), ("cuda", 1, 0), ("cpu", 16, 0)])
def test_loading_processes_stay_within_the_share(
    tmp_path: Path, device: Literal["cpu", "cuda"], cores: int, expected: int
) -> None:
    assert session(tmp_path, device=device, cores=cores).loading_processes == expected
    assert session(tmp_path, device=device, cores=cores, workers=5).loading_processes == 5


@pytest.mark.parametrize(("threads", "cores", "expected"), [(4, 2, 2), (1, 2, 1)])
def test_a_share_of_the_cores_limits_threads_and_never_adds_any(threads: int, cores: int, expected: int) -> None:
    try:
        torch.set_num_threads(threads)
        runs.limit_threads(cores)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(1)
