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


def trained_a_bit(folder: Path) -> Path:
    files.write_text(folder / "checkpoint.json", "{}")
    return folder / "checkpoint.json"


def test_a_restart_discards_once_however_often_its_run_is_begun(session: MakeSession, tmp_path: Path) -> None:
    """A worker that was lost is replaced by another, which has the session of the command."""
    folder = tmp_path / "models" / "unet" / "fold_0"
    command = session(restart=True)
    for _ in range(2):  # a command is one, and another is another
        checkpoint = trained_a_bit(folder)
        with runs.working_on(command, TARGET, events=Silent()):
            assert not checkpoint.exists()
            trained_a_bit(folder)
        with runs.working_on(replace(command, patience_s=1.0), TARGET, events=Silent()):
            assert checkpoint.exists()
        command = session(restart=True)


def test_a_job_that_is_begun_again_goes_on_with_what_it_restarted_and_restarts_the_rest(
    session: MakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(TARGET, model=ModelId("unet", "1"))
    checkpoints = [tmp_path / "models" / "unet" / fold / "checkpoint.json" for fold in ("fold_0", "fold_1")]

    def begin_job(number: str, *, restarts: int) -> list[bool]:
        """Which runs that were there are still there when it begins them."""
        monkeypatch.setenv("SLURM_JOB_ID", number)
        monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
        opened, kept = session(restart=True), []
        for target, checkpoint in zip((TARGET, other), checkpoints, strict=True):
            with runs.working_on(opened, target, events=Silent()):
                kept.append(checkpoint.exists())
                trained_a_bit(checkpoint.parent)
        return kept

    for checkpoint in checkpoints:
        trained_a_bit(checkpoint.parent)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with runs.working_on(session(restart=True), TARGET, events=Silent()):
        assert [checkpoint.exists() for checkpoint in checkpoints] == [False, True]
        trained_a_bit(checkpoints[0].parent)
    assert begin_job("7", restarts=1) == [True, False]
    assert begin_job("7", restarts=2) == [True, True]
    assert begin_job("7", restarts=2) == [False, False], "another command of the same script"
    assert begin_job("8", restarts=0) == [False, False]
    assert begin_job("8", restarts=0) == [False, False], "the same command once more, as in a shell of the job"


@pytest.mark.parametrize("restart", [False, True])
def test_of_a_series_everything_may_be_discarded_before_the_first_run_begins(
    session: MakeSession, tmp_path: Path, *, restart: bool
) -> None:
    targets = [replace(TARGET, model=ModelId("unet", fold)) for fold in "01"]
    checkpoints = [trained_a_bit(tmp_path / "models" / target.model.folder) for target in targets]
    command = session(restart=restart)
    runs.discard_before(command, targets, events=Silent())
    assert [checkpoint.exists() for checkpoint in checkpoints] == [not restart] * 2
    for target, checkpoint in zip(targets, checkpoints, strict=True):
        trained_a_bit(checkpoint.parent)
        with runs.working_on(command, target, events=Silent()):
            assert checkpoint.exists()


def test_a_restart_discards_a_continuation_once(
    session: MakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("discard_unfinished", "complete"):
        monkeypatch.setattr(runs.continuing, name, lambda _, name=name: done.append(name))
    trained_a_bit(tmp_path / "models" / "unet" / "fold_0")
    command, further = session(restart=True), replace(TARGET, trained_times=2)
    for _ in range(2):
        with runs.working_on(command, further, events=Silent()):
            pass
    assert done == ["discard_unfinished", "complete"]


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
