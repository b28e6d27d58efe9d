"""What holds the attempts in bounds: without it, a hang or a full memory would go unnoticed."""

import sys

import pytest
from oracles.bounded_runs import attempt_all
from oracles.misbehaviour import Misbehave


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_whatever_an_attempt_does_is_noticed_and_the_others_go_on() -> None:
    outcomes = attempt_all(Misbehave(), range(10), seconds_each=2, hangs_after=5)
    assert outcomes.counts["well"] == 2
    assert sorted(outcomes.failures) == [1, 2, 3, 4, 6, 7, 8, 9]
    for number, what in ((1, "RecursionError: on purpose"), (2, "MemoryError"), (3, "process (-14)"), (4, "process (3)")):
        assert what in outcomes.failures[number]
        assert what in outcomes.failures[number + 5]
