"""Spoilt models, thousands of them: each is refused with a cure, or predicts what the weights in it predict."""

from pathlib import Path

import pytest
from oracles.bounded_runs import Outcomes, attempt_all
from oracles.exported_models import exported_members
from oracles.judged_models import ReadModels

from autoseg.model.archive import write_archive
from autoseg.planning.plan import Plan

SEED = 20_261
QUICK, LONG = 1_000, 10_000


@pytest.fixture
def models(tiny_plan: Plan, tmp_path: Path) -> tuple[Path, Path]:
    """A bundle and an exported model."""
    write_archive(tmp_path / "sound.autoseg", exported_members(tiny_plan, tmp_path / "bundle"))
    return tmp_path / "bundle", tmp_path / "sound.autoseg"


def insist(outcomes: Outcomes, *, count: int) -> None:
    """No failure, and enough of either kind refused and compared."""
    assert not outcomes.failures, "\n".join(f"{number}: {failure}" for number, failure in outcomes.failures.items())
    assert outcomes.counts.total() == count
    for kind in ("bundle", "archive"):
        refused, accepted = (outcomes.counts[f"{outcome} {kind}"] for outcome in ("refused", "accepted"))
        assert refused > count / 8, outcomes.counts
        assert accepted > count / 50, outcomes.counts


def test_spoilt_models_are_refused_or_predict_what_is_written(models: tuple[Path, Path]) -> None:
    outcomes = attempt_all(ReadModels(*models, SEED), range(QUICK))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=QUICK)


@pytest.mark.slow
def test_many_more_spoilt_models(models: tuple[Path, Path]) -> None:
    outcomes = attempt_all(ReadModels(*models, SEED + 1), range(LONG))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=LONG)
