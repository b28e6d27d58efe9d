"""Spoilt DICOM slices, thousands of them: each is refused with a cure, or read as an independent decoding says."""

from pathlib import Path

import pytest
from oracles.bounded_runs import Outcomes, attempt_all
from oracles.judged_dicom import SYNTAXES, ReadDicom

SEED = 20_264
QUICK, LONG = 2_000, 40_000


def insist(outcomes: Outcomes, *, count: int) -> None:
    """No failure, and enough of every transfer syntax refused and compared."""
    assert not outcomes.failures, "\n".join(f"{number}: {failure}" for number, failure in outcomes.failures.items())
    assert outcomes.counts.total() == count
    for kind in SYNTAXES:
        assert min(outcomes.counts[f"{outcome} {kind}"] for outcome in ("refused", "accepted")) > count / 30, outcomes.counts


def test_spoilt_slices_are_refused_or_read_right(tmp_path: Path) -> None:
    outcomes = attempt_all(ReadDicom(tmp_path, SEED), range(QUICK))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=QUICK)


@pytest.mark.slow
def test_many_more_spoilt_slices(tmp_path: Path) -> None:
    outcomes = attempt_all(ReadDicom(tmp_path, SEED + 1), range(LONG))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=LONG)
