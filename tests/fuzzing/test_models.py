"""Spoilt models, thousands of them: each is refused with a cure, or predicts what the weights in it predict."""

from pathlib import Path

import pytest
from oracles.bounded_runs import insist
from oracles.exported_models import exported_members
from oracles.judged_models import ReadModels

from autoseg.exporting.archive import write_archive
from autoseg.planning.plan import Plan


@pytest.fixture
def models(tiny_plan: Plan, tmp_path: Path) -> tuple[Path, Path]:
    """A bundle and an exported model."""
    write_archive(tmp_path / "sound.autoseg", exported_members(tiny_plan, tmp_path / "bundle"))
    return tmp_path / "bundle", tmp_path / "sound.autoseg"


@pytest.mark.parametrize(("seed", "count"), [(20_261, 1_000), pytest.param(20_262, 10_000, marks=pytest.mark.slow)])
def test_spoilt_models_are_refused_or_predict_what_is_written(models: tuple[Path, Path], seed: int, count: int) -> None:
    insist(ReadModels(*models, seed), count=count, kinds=("bundle", "archive"), refused=8, accepted=50)
