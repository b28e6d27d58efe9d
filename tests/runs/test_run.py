from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from autoseg.data.splits import Fold
from autoseg.errors import TrainingError, WorkspaceError
from autoseg.events import Silent
from autoseg.model.identity import ModelId
from autoseg.runs import run as runs
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.storage import files

MakeSession = Callable[..., Session]
TARGET = Target(ModelId("unet", "0"), Fold(training=("b",), validation=("a",)))


def test_a_full_gpu_is_a_failure_with_a_cure(session: MakeSession) -> None:
    with pytest.raises(TrainingError, match=r"unet, fold 0.*--jobs"), runs.working_on(session(), TARGET, events=Silent()):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_two_processes_do_not_work_on_one_model(session: MakeSession) -> None:
    with (
        runs.working_on(session(), TARGET, events=Silent()),
        pytest.raises(WorkspaceError, match="in use by"),
        runs.working_on(session(), TARGET, events=Silent()),
    ):
        pass


@pytest.mark.parametrize("restart", [False, True])
def test_only_a_restart_discards_what_is_there(session: MakeSession, tmp_path: Path, *, restart: bool) -> None:
    folder = tmp_path / "models" / "unet" / "fold_0"
    left = [folder / "checkpoint.json", folder / "bundle.json", folder / "validation" / "a.npy"]
    for path in left:
        files.write_text(path, "{}")
    with runs.working_on(session(restart=restart), TARGET, events=Silent()):
        assert [path.exists() for path in left] == [not restart] * 3


def test_a_restart_leaves_the_models_of_other_seeds(session: MakeSession, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "unet" / "fold_0"
    other = folder / "seed_1" / "checkpoint.json"
    for path in (folder / "checkpoint.json", other):
        files.write_text(path, "{}")
    with runs.working_on(session(restart=True), TARGET, events=Silent()):
        assert not (folder / "checkpoint.json").exists()
        assert other.exists()
    files.write_text(folder / "coronal" / "seed_1" / "checkpoint.json", "{}")
    beside = replace(TARGET, model=ModelId("unet", "0", seed=1), seed=1)
    files.write_text(folder / "checkpoint.json", "{}")
    with runs.working_on(session(restart=True), beside, events=Silent()):
        assert (folder / "checkpoint.json").exists()
        assert not other.exists()
    with runs.working_on(
        session(restart=True), replace(TARGET, model=ModelId("unet", "0", view="coronal")), events=Silent()
    ):
        assert (folder / "coronal" / "seed_1" / "checkpoint.json").exists()


@pytest.mark.parametrize(("threads", "cores", "expected"), [(4, 2, 2), (1, 2, 1)])
def test_a_share_of_the_cores_limits_threads_and_never_adds_any(threads: int, cores: int, expected: int) -> None:
    try:
        torch.set_num_threads(threads)
        runs.limit_threads(cores)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("minutes", [0, 1, 30])
def test_drawing_the_curves_takes_no_noticeable_part_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    now_s, drawn_s = 0.0, 0.4

    def draw(_runs: object, _path: Path) -> None:
        nonlocal now_s
        now_s += drawn_s
        times.append(now_s)

    times: list[float] = []
    monkeypatch.setattr(runs.time, "monotonic", lambda: now_s)
    curves = runs.Curves(tmp_path / "curves.png", "unet", draw)
    while now_s < 60 * minutes:
        now_s += 5.0
        curves([])
        assert len(times) * drawn_s <= runs.DRAWING_FRACTION * now_s
    assert bool(times) == (minutes > 2)
    curves.draw([])
    assert times[-1] == now_s
