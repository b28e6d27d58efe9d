"""Spoilt image files, thousands of them: each is refused with a cure, or read as an independent decoding says."""

from pathlib import Path

import pytest
from oracles.bounded_runs import Outcomes, attempt_all
from oracles.judged_images import ReadImages

SEED = 20_261
QUICK, LONG = 3_000, 60_000
FORMATS = ("nifti", "gzip", "mha", "mhd", "nrrd", "nhdr")


def insist(outcomes: Outcomes, *, count: int) -> None:
    """No failure, and enough of every format refused and compared."""
    assert not outcomes.failures, "\n".join(f"{number}: {failure}" for number, failure in outcomes.failures.items())
    assert outcomes.counts.total() == count
    for kind in FORMATS:
        refused, accepted = (outcomes.counts[f"{outcome} {kind}"] for outcome in ("refused", "accepted"))
        assert refused > count / 300, outcomes.counts
        assert accepted > count / 300, outcomes.counts


def test_spoilt_images_are_refused_or_read_right(tmp_path: Path) -> None:
    outcomes = attempt_all(ReadImages(tmp_path, SEED), range(QUICK))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=QUICK)


@pytest.mark.slow
def test_many_more_spoilt_images(tmp_path: Path) -> None:
    outcomes = attempt_all(ReadImages(tmp_path, SEED + 1), range(LONG))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=LONG)
