"""Which devices runs use, with a list of pretended ones."""

import pytest
import torch
from oracles.watched_runs import Recorder

from autoseg.catalogue.devices import parse_devices
from autoseg.errors import UsageError
from autoseg.model.compute import Compute
from autoseg.runs.devices import devices_of_runs, runs_at_a_time


def used(asked: str, present: str, *, runs: int, jobs: int) -> tuple[str, list[str]]:
    """The devices that are used, and what is said."""
    choice, events = parse_devices(asked), Recorder()
    assert choice is not None
    computes = [Compute(torch.device(name), bfloat16=False) for name in present.split()]
    found = devices_of_runs(computes, choice=choice, runs=runs, jobs=jobs, events=events)
    return " ".join(str(compute.device) for compute in found), events.notes


@pytest.mark.parametrize(
    ("jobs", "runs", "devices", "expected"),
    [("auto", 6, 1, 1), ("auto", 6, 4, 4), ("auto", 3, 4, 3), (1, 6, 4, 1), (8, 6, 4, 6), (3, 6, 1, 3)],
)
def test_as_many_runs_at_a_time_as_there_are_devices(jobs: object, runs: int, devices: int, expected: int) -> None:
    assert runs_at_a_time(jobs, runs=runs, devices=devices) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "present", "runs", "jobs", "expected"),
    [
        ("auto", "cpu", 1, 1, "cpu"),
        ("auto", "cpu", 6, 3, "cpu"),
        ("auto", "cuda:0 cuda:1", 1, 1, "cuda:0"),  # a single run takes the first
        ("auto", "cuda:0 cuda:1 cuda:2", 6, 2, "cuda:0 cuda:1"),
        ("auto", "cuda:0 cuda:1", 6, 2, "cuda:0 cuda:1"),
        ("cuda:1", "cuda:1", 6, 1, "cuda:1"),
        ("cpu,cpu", "cpu cpu", 2, 2, "cpu cpu"),
    ],
)
def test_runs_at_a_time_have_a_device_each(asked: str, present: str, runs: int, jobs: int, expected: str) -> None:
    assert used(asked, present, runs=runs, jobs=jobs) == (expected, [])


def test_more_runs_than_devices_share_them_evenly_and_that_is_said() -> None:
    found, (said,) = used("auto", "cuda:0 cuda:1", runs=9, jobs=5)
    assert found == "cuda:0 cuda:1"
    assert said == "5 runs at a time share what there is: 3 on cuda:0, 2 on cuda:1"
    assert used("cuda:1", "cuda:1", runs=2, jobs=2)[1] == ["2 runs at a time share what there is: 2 on cuda:1"]


def test_devices_that_were_named_for_nothing_are_said() -> None:
    found, (said,) = used("cuda:0,1,2", "cuda:0 cuda:1 cuda:2", runs=6, jobs=1)
    assert found == "cuda:0"
    assert said.startswith("cuda:1, cuda:2: nothing to do")
    assert used("auto", "cuda:0 cuda:1 cuda:2", runs=6, jobs=1) == ("cuda:0", [])


def test_one_run_uses_all_devices_that_are_named() -> None:
    assert used("cuda:0,1", "cuda:0 cuda:1", runs=1, jobs=1) == ("cuda:0 cuda:1", [])


def test_several_devices_of_one_run_elsewhere_are_refused() -> None:
    with pytest.raises(UsageError, match="this machine alone"):
        used("cuda:0,1", "", runs=1, jobs=1)
