"""How devices are named, and which of those asked for there are, with a list of pretended ones."""

from typing import Any

import pytest

from autoseg.catalogue.devices import DeviceChoice, PresentDevices, parse_devices
from autoseg.errors import UsageError

FOUR = PresentDevices(gpus=4)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("auto", "auto"),
        ("cpu", "cpu"),
        ("cuda", "cuda"),
        ("mps", "mps"),
        ("cuda:1", "cuda:1"),
        ("cuda:0,1", "cuda:0 cuda:1"),
        ("cuda:2, 0,3", "cuda:2 cuda:0 cuda:3"),
        ("cuda:0,cuda:2", "cuda:0 cuda:2"),
        ("cpu,cpu", "cpu cpu"),
        (["cuda:0", "cuda:1"], "cuda:0 cuda:1"),
        (("cuda:10", "7"), "cuda:10 cuda:7"),
        (DeviceChoice(("cuda:3",)), "cuda:3"),
    ],
)
def test_devices_are_named_one_by_one(given: Any, names: str) -> None:
    found = parse_devices(given)
    assert found == DeviceChoice(tuple(names.split()))
    assert found.is_list == (" " in names)
    assert parse_devices(str(found)) == found
    assert found.first.names == found.names[:1]
    assert found.kind == found.names[0].partition(":")[0]


@pytest.mark.parametrize(
    "given",
    ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "cuda:0,", ",cuda:0", "cuda:0,x", "cpu:0", "mps:0", "1", "0,1",
     "CPU", "cuda:0;1", "cpu,1", "cuda:٣", "cuda:99999", [], [0, 1], ["cuda", 1], 0, None, b"cpu", {"cpu": 1}],
)  # fmt: skip
def test_what_names_no_device_is_none(given: Any) -> None:
    assert parse_devices(given) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("cuda:0,0", "a GPU is named twice; found cuda:0,cuda:0"),
        ("cuda:1,cuda:2,cuda:1", "named twice"),
        ("cpu,cuda:0", "different kinds.*cpu,cuda:0"),
        ("cuda:0,cpu", "different kinds"),
        ("mps,mps", "`mps` is not one device of several.*single device"),
        ("cpu,mps", "`mps` is not one"),
        ("cuda,cuda:1", "`cuda` is not one device of several.*cuda:0,1"),
        ("auto,cuda:0", "`auto` is not one"),
        (["auto", "auto"], "`auto` is not one"),
    ],
)
def test_devices_that_do_not_go_together_are_refused(given: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_devices(given)


@pytest.mark.parametrize(
    ("asked", "present", "found"),
    [
        ("auto", PresentDevices(), "cpu"),
        ("auto", PresentDevices(mps=True), "mps"),
        ("auto", FOUR, "cuda:0 cuda:1 cuda:2 cuda:3"),
        ("cuda", FOUR, "cuda:0 cuda:1 cuda:2 cuda:3"),
        ("cuda:3", FOUR, "cuda:3"),
        ("cuda:3,1", FOUR, "cuda:3 cuda:1"),
        ("cpu", FOUR, "cpu"),
        ("cpu,cpu,cpu", FOUR, "cpu cpu cpu"),
        ("mps", PresentDevices(mps=True), "mps"),
    ],
)
def test_what_is_asked_for_is_found_among_what_is_there(asked: str, present: PresentDevices, found: str) -> None:
    choice = parse_devices(asked)
    assert choice is not None
    assert choice.among(present) == tuple(found.split())


@pytest.mark.parametrize(
    ("asked", "present", "words"),
    [
        ("cuda", PresentDevices(), "no cuda device here; found cpu.*auto"),
        ("mps", FOUR, "no mps device here; found cpu, cuda:0, cuda:1, cuda:2, cuda:3"),
        ("cuda:4", FOUR, "no cuda:4 device here; found cpu, cuda:0, cuda:1, cuda:2, cuda:3"),
        ("cuda:0,1", PresentDevices(gpus=1), "no cuda:1 device here; found cpu, cuda:0"),
        ("cuda:1", PresentDevices(gpus=1, visible="2"), r"no cuda:1.*found cpu, cuda:0 \(CUDA_VISIBLE_DEVICES is '2'\)"),
        ("cuda", PresentDevices(visible=""), r"found cpu \(CUDA_VISIBLE_DEVICES is ''\)"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(asked: str, present: PresentDevices, words: str) -> None:
    choice = parse_devices(asked)
    assert choice is not None
    with pytest.raises(UsageError, match=words):
        choice.among(present)
