"""Spoilt documents, thousands of them: each is refused with a cure, or says exactly what is written."""

from pathlib import Path

import pytest
from oracles.bounded_runs import Outcomes, attempt_all
from oracles.judged_documents import READERS, ReadDocuments

SEED = 20_260
QUICK, LONG = 3_000, 50_000


def insist(outcomes: Outcomes, *, count: int) -> None:
    """No failure, and enough of every kind refused and compared."""
    assert not outcomes.failures, "\n".join(f"{number}: {failure}" for number, failure in outcomes.failures.items())
    assert outcomes.counts.total() == count
    for kind in READERS:
        refused, accepted = (outcomes.counts[f"{outcome} {kind}"] for outcome in ("refused", "accepted"))
        assert refused > count / len(READERS) / 3, outcomes.counts
        assert accepted > count / len(READERS) / 50, outcomes.counts


def test_spoilt_documents_are_refused_or_say_what_is_written(documents: Path) -> None:
    outcomes = attempt_all(ReadDocuments(documents, SEED), range(QUICK))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=QUICK)


@pytest.mark.slow
def test_many_more_spoilt_documents(documents: Path) -> None:
    outcomes = attempt_all(ReadDocuments(documents, SEED + 1), range(LONG))
    print(sorted(outcomes.counts.items()))
    insist(outcomes, count=LONG)
