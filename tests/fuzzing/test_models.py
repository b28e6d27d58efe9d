"""Corrupted models, by the hundred: each is refused with a cure, or predicts what the weights in it predict."""

from pathlib import Path

import pytest
from oracles.bounded_runs import amounts, require_outcomes
from oracles.decoded_models import ReadModels
from oracles.exported_models import exported_members

from autoseg.exporting.archive import write_archive
from autoseg.planning.plan import Plan


@pytest.fixture
def models(tiny_plan: Plan, tmp_path: Path) -> tuple[Path, Path]:
    """A bundle and an exported model."""
    write_archive(tmp_path / "intact.autoseg", exported_members(tiny_plan, tmp_path / "bundle"))
    return tmp_path / "bundle", tmp_path / "intact.autoseg"


@pytest.mark.parametrize(("seed", "count"), amounts(20_261, default=100, gate=300, slow=10_000))
def test_corrupted_models_are_refused_or_predict_what_is_written(models: tuple[Path, Path], seed: int, count: int) -> None:
    require_outcomes(ReadModels(*models, seed), count=count, kinds=("bundle", "archive"), refused=8, accepted=50)
