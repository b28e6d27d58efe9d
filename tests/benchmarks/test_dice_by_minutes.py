"""The figure of Dice against minutes, from workspaces that hold nothing but scores."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.tables import write_cases


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dice_by_minutes", Path(__file__).with_name("dice_by_minutes.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scored(run: Path, *, minutes: float | None, **dice: float) -> None:
    (run / "validation").mkdir(parents=True)
    config = {"architecture": "unet", "minutes": minutes}
    (run / "checkpoint.json").write_text(json.dumps({"state": {"config": config}}))
    scores = [CaseMetrics(case, (ClassMetrics(1, "organ", {"dice": value}),)) for case, value in dice.items()]
    write_cases(run / "validation" / "metrics.csv", scores)


def test_folds_and_seeds_are_pooled_case_by_case(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "scans" / "auto" / "5" / "models" / "unet"
    scored(runs / "fold_0", minutes=5.0, a=0.5, b=0.7)
    scored(runs / "fold_0" / "seed_1", minutes=5.0, a=0.7, b=0.9)
    scored(runs / "fold_1", minutes=5.0, c=0.9)
    scored(runs / "full", minutes=5.0, d=0.1)
    scored(tmp_path / "scans" / "auto" / "epochs" / "models" / "unet" / "fold_0", minutes=None, a=0.1)

    script.main([str(tmp_path)])

    (line,) = (tmp_path / "dice_by_minutes.csv").read_text().splitlines()[1:]
    assert line == 'scans,"auto, unet",5.0,3,3,0.76667,0.08819,,'  # cases .6, .8, .9; no distance was written
    assert "3 cases, 3 runs" in capsys.readouterr().out
    assert (tmp_path / "dice_by_minutes.svg").read_text().startswith("<?xml")


def test_nothing_to_draw_is_said(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no scored runs"):
        script.main([str(tmp_path)])
