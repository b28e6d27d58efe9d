"""How fast this machine is: recorded, or measured in another process."""

import json
import math
import sys
from pathlib import Path

import pytest

import autoseg
from autoseg.errors import UsageError
from autoseg.runs import speed
from autoseg.runs.speed import nearest_power_of_two
from autoseg.runs.workspace import Workspace


@pytest.mark.parametrize(
    ("measured", "kept"), [(512, 512), (363, 512), (361, 256), (0.3, 0.25), (1, 1), (724, 512), (725, 1024)]
)
def test_what_is_measured_is_kept_to_a_factor_of_two(measured: float, kept: float) -> None:
    assert nearest_power_of_two(measured) == kept


def test_a_plan_for_some_minutes_measures_once(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(speed, "_measured", lambda device, _: asked.append(str(device)) or 300_000.0)
    first = autoseg.plan(cohort, workspace=tmp_path / "run", minutes=5, device="cpu").plan
    assert (first.inputs.minutes, first.inputs.speed_kpx_s, first.training.minutes) == (5, 256, 5)
    again = autoseg.plan(cohort, workspace=tmp_path / "run", minutes=20, device="cpu").plan
    assert (again.inputs.speed_kpx_s, again.training.minutes) == (256, 20)
    assert asked == ["cpu"]
    autoseg.plan(cohort, workspace=tmp_path / "run", minutes=20, device="cuda", memory_gb=8)  # another kind of machine
    assert asked == ["cpu", "cuda"]


def test_a_speed_that_is_given_is_not_measured(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_measured", None)
    fast = autoseg.plan(cohort, workspace=tmp_path / "run", minutes=60, speed=1e6, device="cpu").plan
    slow = autoseg.plan(cohort, workspace=tmp_path / "run", minutes=60, speed=0.001, device="cpu").plan
    usual = autoseg.plan(cohort, workspace=tmp_path / "usual", device="cpu").plan
    assert (fast.network.features[0], usual.network.features[0], slow.network.features[0]) == (32, 16, 8)
    assert (fast.inputs.speed_kpx_s, usual.inputs.speed_kpx_s) == (1e6, None)
    assert (fast.training.epochs, fast.training.minutes) == (None, 60)
    assert "chosen and not measured" in fast.decisions["network.features"].reason


def test_without_minutes_plans_have_none_of_it(cohort: Path, tmp_path: Path) -> None:
    autoseg.plan(cohort, workspace=tmp_path / "run", device="cpu")
    stored = json.loads(Workspace(tmp_path / "run").plan_file.read_text())["inputs"]
    assert (stored["minutes"], stored["speed_kpx_s"]) == (None, None)


def test_a_budget_without_use_is_refused_before_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="recipe paper is the published method"):
        autoseg.plan(tmp_path / "nowhere", recipe="paper", minutes=5)


@pytest.mark.gate
def test_a_machine_is_measured_in_another_process(cohort: Path, tmp_path: Path) -> None:
    plan = autoseg.plan(cohort, workspace=tmp_path / "run", minutes=1, device="cpu").plan
    assert plan.inputs.speed_kpx_s is not None
    assert math.log2(plan.inputs.speed_kpx_s).is_integer()


@pytest.mark.gate
@pytest.mark.skipif(sys.platform == "darwin", reason="the device may be here")
def test_a_device_that_is_not_here_cannot_be_measured(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no (cuda|mps) device here"):
        autoseg.plan(cohort, workspace=tmp_path / "run", minutes=1, device="mps")
