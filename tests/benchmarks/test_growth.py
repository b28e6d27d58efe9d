"""Nothing but time, disk and files grows with the cases.

Run with `pytest -m benchmark -s tests/benchmarks/test_growth.py`; it takes about ten minutes on a core of its own.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FEW, MANY = 50, 400


@pytest.fixture
def growth() -> ModuleType:
    spec = importlib.util.spec_from_file_location("growth", Path(__file__).with_name("growth.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.benchmark
def test_growth(growth: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {cases: growth.measure(cases, tmp_path / str(cases)) for cases in (FEW, MANY)}
    with capsys.disabled():
        print(f"\n{growth.table(found)}")
    for name in growth.COMMANDS:
        few, many = found[FEW][name], found[MANY][name]
        assert many.descriptors < 100, name
        assert many.memory_mb < few.memory_mb + 0.1 * (MANY - FEW) + 20, name  # .1 MB a case: tables and lists, no voxels
        assert many.files <= max(20, few.files) * MANY / FEW, name
        assert many.cpu_s < few.cpu_s * MANY / FEW, name  # what a command takes to start alone makes this wide
