"""Spoilt TIFF files, thousands of them: each is refused with a cure, or read as Pillow reads it."""

from pathlib import Path

import pytest
from oracles.bounded_runs import Outcomes, attempt_all
from oracles.judged_tiff import COMPRESSIONS, ReadTiff

SEED = 20_266
QUICK, LONG = 1_000, 20_000


def insist(outcomes: Outcomes, *, count: int) -> None:
    """No failure, and enough of every compression refused and compared."""
    assert not outcomes.failures, "\n".join(f"{number}: {failure}" for number, failure in outcomes.failures.items())
    assert outcomes.counts.total() == count
    for kind in COMPRESSIONS:
        assert min(outcomes.counts[f"{outcome} {kind}"] for outcome in ("refused", "accepted")) > count / 50, outcomes.counts


def test_spoilt_files_are_refused_or_read_right(tmp_path: Path) -> None:
    outcomes = attempt_all(ReadTiff(tmp_path, SEED), range(QUICK))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=QUICK)


@pytest.mark.slow
def test_many_more_spoilt_files(tmp_path: Path) -> None:
    outcomes = attempt_all(ReadTiff(tmp_path, SEED + 1), range(LONG))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=LONG)
