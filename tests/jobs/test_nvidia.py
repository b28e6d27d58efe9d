"""Graphics cards, whose driver is pretended."""

import sys
from pathlib import Path

import pytest
from oracles.gpus import pretend_gpus

from autoseg.catalogue.devices import DeviceChoice, parse_devices
from autoseg.jobs.nvidia import GpuMemory, gpu_memory, nvidia_gpus

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the driver's program is pretended by a shell script")

H100 = "81559, GPU-8a1b5c, Disabled, NVIDIA H100 80GB HBM3"
SMALL = "2048, GPU-11c0de, [N/A], NVIDIA GT 1030"
A100 = "81920, GPU-8a1bff, Disabled, NVIDIA A100-SXM4-80GB"
SPLIT = "81920, GPU-90abcd, Enabled, NVIDIA A100-SXM4-80GB"
SHARED = "[N/A], GPU-70abcd, [N/A], NVIDIA GB10"
SMALL_GB, A100_GB = 2.15, 85.90


def memory_gb(device: str = "auto") -> float | None:
    """What is known for certain, in GB with two digits."""
    choice = parse_devices(device)
    assert choice is not None
    memory = gpu_memory(choice)
    assert (memory.gb is None) == bool(memory.remark)
    return None if memory.gb is None else round(memory.gb, 2)


@pytest.mark.parametrize(
    ("lines", "ends", "expected_gb"),
    [
        ([H100], 0, 85.52),
        ([A100, SMALL], 0, SMALL_GB),  # the smaller of two
        (["No devices were found"], 0, None),
        ([H100], 9, None),
        ([], 0, None),
    ],
)
def test_the_memory_of_a_graphics_card_is_asked_of_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], ends: int, expected_gb: float | None
) -> None:
    pretend_gpus(monkeypatch, tmp_path, *lines, ends=ends)
    memory = gpu_memory(DeviceChoice())
    assert memory.gb == (None if expected_gb is None else pytest.approx(expected_gb, abs=0.01))
    assert memory.remark == ""


def test_without_a_driver_nothing_is_known_of_a_graphics_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_memory(DeviceChoice(("cuda:1",))) == GpuMemory()
    assert nvidia_gpus() == ()


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ([H100, "8192, GPU-1, [N/A], Tesla M60, of 2016"], ("NVIDIA H100 80GB HBM3", "Tesla M60, of 2016")),
        ([SPLIT, SHARED], ("NVIDIA A100-SXM4-80GB", "NVIDIA GB10")),
        (["No devices were found"], ()),
    ],
)
def test_graphics_cards_have_the_names_that_their_driver_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], names: tuple[str, ...]
) -> None:
    pretend_gpus(monkeypatch, tmp_path, *lines)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert nvidia_gpus() == names


@pytest.mark.parametrize(
    ("visible", "device", "expected_gb"),
    [
        (None, "cuda", SMALL_GB),
        (None, "cuda:0", SMALL_GB),
        (None, "cuda:1", A100_GB),
        (None, "cuda:0,1", SMALL_GB),
        (None, "cuda:2", None),
        ("1", "auto", A100_GB),
        ("1", "cuda", A100_GB),
        ("1", "cuda:0", A100_GB),
        ("1", "cuda:1", None),
        ("1,0", "cuda:0", A100_GB),
        ("1, 0", "cuda:1", SMALL_GB),
        ("1,0", "auto", SMALL_GB),
        ("1,2,0", "auto", A100_GB),  # what follows a number of none is not seen
        ("1,-1,0", "auto", A100_GB),
        ("1,1", "auto", None),
        ("GPU-8a1bff", "auto", A100_GB),
        ("GPU-8", "cuda:0", A100_GB),
        ("GPU-11,GPU-8", "cuda:1", A100_GB),
        ("GPU-8,GPU-8a", "auto", None),
        ("GPU-", "auto", None),  # of several
        ("GPU-77", "auto", None),
        ("", "cuda", None),
        ("-1", "cuda", None),
        ("MIG-11", "auto", None),
        ("MIG-11,MIG-22", "cuda:1", None),
    ],
)
def test_only_the_graphics_cards_count_that_are_visible_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, device: str, expected_gb: float | None
) -> None:
    pretend_gpus(monkeypatch, tmp_path, SMALL, A100)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert memory_gb(device) == expected_gb


@pytest.mark.parametrize(
    ("visible", "device", "certain", "expected_gb"),
    [
        (None, "auto", True, SMALL_GB),
        ("0,1", "auto", True, SMALL_GB),
        ("GPU-8", "auto", True, A100_GB),
        ("GPU-8,GPU-11", "cuda:0", True, A100_GB),
        ("1", "auto", False, SMALL_GB),
        (None, "cuda:1", False, SMALL_GB),
    ],
)
def test_a_number_says_nothing_of_a_graphics_cards_memory_where_cuda_numbers_by_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, device: str, certain: bool, expected_gb: float
) -> None:
    pretend_gpus(monkeypatch, tmp_path, SMALL, A100)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    choice = parse_devices(device)
    assert choice is not None
    memory = gpu_memory(choice)
    assert memory.gb == pytest.approx(expected_gb, abs=0.01)
    assert ("CUDA_DEVICE_ORDER is PCI_BUS_ID" not in memory.remark) == certain == (memory.remark == "")


def test_graphics_cards_of_one_size_are_known_by_any_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, tmp_path, A100, A100.replace("8a1bff", "ffff"))
    assert memory_gb("cuda:1") == A100_GB
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert memory_gb() == A100_GB


@pytest.mark.parametrize("line", [SPLIT, SHARED])
def test_the_memory_of_a_part_is_not_that_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    pretend_gpus(monkeypatch, tmp_path, line)
    assert memory_gb() is None
    pretend_gpus(monkeypatch, tmp_path, line, A100)
    assert memory_gb() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8")
    assert memory_gb() == A100_GB
