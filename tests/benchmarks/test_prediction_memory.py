"""Memory that `autoseg predict` takes at most, of the whole process, for models and scans that once filled any memory.

Run with `pytest -m benchmark -s tests/benchmarks/test_prediction_memory.py`; seconds to ten minutes each, on one core.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.exported_models import exported_members

from autoseg.exporting.archive import write_archive
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.planning.plan import Plan

LARGE: dict[str, Any] = {
    "view": {"patch_px": [512, 512]},
    "network": {"features": [8, 16], "expansion": 1.0},
    "preprocessing": {"normalisation": [{"method": "ct", "lower": 0.0, "upper": 200.0, "mean": 100.0, "std": 50.0}]},
    "prediction": {"batch_size": 16},
}


def exported(make_plan: Callable[..., Plan], folder: Path, *, classes: int, **changes: dict[str, Any]) -> Path:
    """An untrained network of so many classes."""
    named = [{"value": value, "name": f"class {value}"} for value in (0, *range(2, classes + 1))]
    plan = make_plan(data={"classes": named}, training={"class_weights": [1.0] * classes}, **changes)
    path = folder / "model.autoseg"
    write_archive(path, exported_members(plan, folder / "model"))
    return path


def measure(command: list[str]) -> tuple[int, float, float, str]:
    """Exit code, peak of the resident memory in GB, seconds, and what was printed."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024 / 1e9, time.perf_counter() - start, output


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("classes", "shape", "changes", "extra", "code"),
    [
        (3_000, (36, 50, 35), {}, [], 0),
        (65_535, (2, 50, 35), {}, [], 0),
        (65_535, (36, 200, 200), {}, [], 6),
        (2, (36, 50, 35), {"network": {"features": [1] * 12}, "view": {"patch_px": [2048, 2048]}}, [], 6),
        (2, (2, 50, 35), {"network": {"features": [1] * 12}, "view": {"patch_px": [2048, 2048]}}, ["--memory", "5"], 0),
        (100, (16, 512, 512), LARGE, [], 0),
        (100, (48, 512, 512), LARGE, [], 0),
        (100, (16, 512, 512), LARGE, ["--probabilities", "--memory", "2"], 0),
        (3, (1_000, 512, 512), LARGE, [], 0),
        (100, (1_000, 512, 512), LARGE, [], 0),
    ],
    ids=[
        "3000 classes", "65535 classes", "65535 classes, larger", "12 levels", "12 levels, 5 GB", "100 classes, 16 slices",
        "100 classes, 48 slices", "100 classes, probabilities, 2 GB", "3 classes, 1000 slices",
        "100 classes, 1000 slices",
    ],
)  # fmt: skip
def test_the_limit_is_kept(
    make_plan: Callable[..., Plan],
    tmp_path: Path,
    classes: int,
    shape: tuple[int, int, int],
    changes: dict[str, Any],
    extra: list[str],
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = exported(make_plan, tmp_path, classes=classes, **changes)
    scan = np.random.default_rng(0).integers(0, 250, size=shape).astype(np.uint16)
    scan[:, ::2] += 250  # beyond 8 bits, as CT is
    write_labels(tmp_path / "scan.nii.gz", scan, Geometry(shape=shape, spacing_mm=(1.0, 1.0, 1.0)))
    command = [sys.executable, "-m", "autoseg", "predict", str(tmp_path / "scan.nii.gz"), str(tmp_path / "out")]
    command += ["--model", str(model), "--device", "cpu", "--quiet", *extra]
    found, peak_gb, seconds, output = measure(command)
    limit_gb = float(extra[extra.index("--memory") + 1]) if "--memory" in extra else 4.0
    with capsys.disabled():
        print(f"\n{classes} classes, {shape}, {' '.join(extra)}: exit {found}, {peak_gb:.2f} GB, {seconds:.0f} s")
        print(output[-600:] if found else "")
    assert found == code, output
    assert peak_gb < limit_gb
