"""Where work is done: what the user may choose together, and what is said where it cannot be."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from autoseg.errors import SystemFailureError, UsageError
from autoseg.events import Silent
from autoseg.jobs.executors import EXECUTORS, open_executor
from autoseg.jobs.local import Local
from autoseg.jobs.work import ExecutorName


@dataclass(frozen=True)
class Chosen:
    jobs: Any = "auto"
    executor: Any = "local"
    scheduler: str | None = None
    slurm_settings: Path | None = None


def test_every_name_has_an_entry() -> None:
    assert tuple(EXECUTORS) == get_args(ExecutorName)


def test_local_is_this_machine(tmp_path: Path) -> None:
    with open_executor(Chosen(jobs=3), folder=tmp_path, events=Silent()) as executor:
        assert executor == Local(3)
        assert executor.is_local
        assert executor.tasks == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (Chosen(executor="dask"), "needs the address of a scheduler"),
        (Chosen(scheduler="tcp://a:1"), "the executor is not dask"),
        (Chosen(executor="slurm", scheduler="tcp://a:1"), "the executor is not dask"),
        (Chosen(slurm_settings=Path("a.toml")), "the executor is not slurm"),
    ],
)
def test_choices_that_contradict_one_another_are_refused(chosen: Chosen, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        open_executor(chosen, folder=tmp_path, events=Silent())


@pytest.mark.parametrize("chosen", [Chosen(executor="dask", scheduler="tcp://a:1"), Chosen(executor="slurm")])
def test_a_missing_extra_is_named(chosen: Chosen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else found(name))
    with pytest.raises(UsageError) as caught:
        open_executor(chosen, folder=tmp_path, events=Silent())
    assert "found no distributed" in str(caught.value)
    assert "pip install '.[cluster]'" in str(caught.value)


def test_a_machine_without_slurm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "slurm.toml").write_text('time = "1"\nmemory = "1G"\n')
    chosen = Chosen(executor="slurm", slurm_settings=tmp_path / "slurm.toml")
    with pytest.raises(SystemFailureError, match="SLURM is not there; found no sbatch"):
        open_executor(chosen, folder=tmp_path, events=Silent()).__enter__()
