import os
import sys
from pathlib import Path

import pytest

from autoseg.jobs import machine
from autoseg.model.compute import choose_compute


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (4, 4), (8, 8), (64, 8)])
def test_processes_suit_the_machine_where_that_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    assert machine.processes("auto") == expected
    assert machine.processes(3) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="the driver's program is pretended by a shell script")
@pytest.mark.parametrize(
    ("does", "expected_gb"),
    [
        ("echo 81559, NVIDIA H100 80GB HBM3", 85.52),
        ("echo 24576, NVIDIA A10; echo 8192, Tesla M60", 8.59),  # the smaller of two
        ("echo 'No devices were found'", None),
        ("echo; exit 9", None),
        ("true", None),
    ],
)
def test_the_memory_of_a_graphics_card_is_asked_of_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, expected_gb: float | None
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\ntest "$1" = --query-gpu=memory.total,name || exit 1\n{does}\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.gpu_memory_gb() == (None if expected_gb is None else pytest.approx(expected_gb, abs=0.01))
    assert machine.device_kind() == "gpu"


@pytest.mark.skipif(sys.platform == "win32", reason="the driver's program is pretended by a shell script")
@pytest.mark.parametrize(
    ("does", "names"),
    [
        ("echo 24576, NVIDIA A10; echo '8192, Tesla M60, of 2016'", ("NVIDIA A10", "Tesla M60, of 2016")),
        ("echo 'No devices were found'", ()),
    ],
)
def test_graphics_cards_have_the_names_that_their_driver_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, names: tuple[str, ...]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert machine.nvidia_gpus() == names


def test_without_a_driver_nothing_is_known_of_a_graphics_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpu_memory_gb() is None


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="the driver's program is pretended; a Mac has its own card")
@pytest.mark.parametrize(
    ("visible", "kind"),
    [(None, "gpu"), ("0", "gpu"), ("1,0", "gpu"), ("GPU-8a1b", "gpu"), ("", "cpu"), ("-1", "cpu"), ("-1,0", "cpu")],
)
def test_a_graphics_card_that_may_not_be_used_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, kind: str
) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.device_kind() == kind


@pytest.mark.skipif(sys.platform != "linux", reason="which flags a processor has is asked of Linux")
def test_the_number_format_of_a_processor_is_that_which_training_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device_kind", lambda: "cpu")
    assert machine.processor_precision() == choose_compute("cpu").precision
    monkeypatch.setattr(machine, "device_kind", lambda: "gpu")
    assert machine.processor_precision() is None
