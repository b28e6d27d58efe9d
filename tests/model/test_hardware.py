"""What a network was trained on, as models record it."""

from pathlib import Path

import pytest
import torch

from autoseg.jobs import machine
from autoseg.model import hardware
from autoseg.model.description import Hardware
from autoseg.model.hardware import hardware_of

CPU = torch.device("cpu")


def test_a_processor_has_a_name() -> None:
    assert machine.processor_name().strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "processor\t: 0\nmodel name\t: AMD EPYC 7B13  64-Core\nflags\t: fpu\nmodel name\t: other\n",
            "AMD EPYC 7B13 64-Core",
        ),
        ("processor\t: 0\nBogoMIPS\t: 50.00\n", None),
        (None, None),
    ],
)
def test_it_is_what_the_system_calls_it_else_the_architecture(
    text: str | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine.platform, "system", lambda: "Plan9")
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.platform, "machine", lambda: "riscv64")
    assert machine.processor_name() == (expected or "riscv64")


def test_on_the_processor_its_threads_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_processor", lambda: "EPYC")
    assert hardware_of(CPU, processes=1, threads=4) == Hardware(processor="EPYC", threads=4)
    assert hardware_of(CPU, processes=2, threads=None) == Hardware(processor="EPYC", processes=2)


def test_on_a_gpu_it_is_the_gpu_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_processor", lambda: "EPYC")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"H100 at {device}")
    found = hardware_of(torch.device("cuda:1"), processes=2, threads=4)
    assert found == Hardware(processor="EPYC", gpu="H100 at cuda:1", processes=2)
    assert hardware_of(torch.device("mps"), processes=1, threads=4).gpu == "mps GPU"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Hardware(processor="EPYC"), "EPYC"),
        (Hardware(processor="EPYC", threads=1), "EPYC (1 thread)"),
        (Hardware(processor="EPYC", processes=4, threads=2), "EPYC (4 processes, 2 threads)"),
        (Hardware(processor="EPYC", gpu="H100"), "H100"),
        (Hardware(processor="EPYC", gpu="H100", processes=2), "two H100"),
    ],
)
def test_it_is_said_in_words(found: Hardware, expected: str) -> None:
    assert found.in_words == expected
