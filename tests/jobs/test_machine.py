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
