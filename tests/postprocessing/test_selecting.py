"""What a selection needs of the disk meanwhile: enough space, and nothing of it stays."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from autoseg.errors import SystemFailureError
from autoseg.events import Silent
from autoseg.jobs.work import Apply, Jobs
from autoseg.planning.plan import Plan
from autoseg.postprocessing.held_out import HeldOutCase
from autoseg.postprocessing.inputs import SelectionInputs
from autoseg.postprocessing.selecting import make_selection


class Late:
    """An executor whose worker writes one more label map after the command has failed, and then ends."""

    is_local: Final = True
    tasks: Final = 1

    def __init__(self, folder: Path) -> None:
        self.folder, self.wrote = folder, False

    @contextmanager
    def workers(self, *, most: int) -> Iterator[Apply]:
        assert most
        (place,) = self.folder.iterdir()
        try:
            yield lambda work, items, /, **_: map(work, items)
        finally:
            (place / "search").mkdir(parents=True)
            (place / "search" / "c0.1.npz").write_bytes(b"half")
            self.wrote = True

    def outcomes(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def inputs(make_held_out: Callable[..., HeldOutCase], tiny_plan: Plan, tmp_path: Path) -> SelectionInputs:
    cases = tuple(make_held_out(tmp_path, f"c{number}", classes=2, seed=number) for number in range(3))
    return SelectionInputs(tiny_plan, models=(), cases=cases, missing=(), data_key="0" * 64)


def select(inputs: SelectionInputs, folder: Path, jobs: Jobs = 1) -> None:
    make_selection(inputs, folder, jobs=jobs, events=Silent())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_stays_of_a_selection_that_ends_early(
    inputs: SelectionInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    there: list[Path] = []

    def scored(*_: Any, **__: Any) -> None:
        there.extend(tmp_path.glob("selection/.autoseg-*"))
        raise error

    monkeypatch.setattr("autoseg.postprocessing.search.score_case", scored)
    late = Late(tmp_path / "selection")
    for jobs in (1, late):
        with pytest.raises(error):
            select(inputs, tmp_path / "selection", jobs)
        assert list((tmp_path / "selection").iterdir()) == []
    assert len(there) == 2
    assert late.wrote


def test_a_disk_that_is_too_small_is_found_out_first(
    inputs: SelectionInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = 3 * 4 * 24 * 18
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("autoseg.postprocessing.selecting.verify", None)  # no case is looked at
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=voxels // 2))
    with pytest.raises(SystemFailureError, match="the disk has too little space"):
        select(inputs, tmp_path / "selection")
    assert list((tmp_path / "selection").iterdir()) == []
