"""Many attempts in a process that may neither hang nor fill the memory; whichever does so is named by its number."""

import multiprocessing
import resource
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Collection, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from _pytest.mark import ParameterSet

_MORE_BYTES = 1 << 30
_SECONDS_EACH = 20
"""Of processor time, which other work on the machine does not shorten."""

_HANGS_AFTER = 600
"""Seconds after which an attempt that computes nothing has hung."""

_ENOUGH_FAILURES = 20


class Attempt(Protocol):
    """Something to try by number; sent to another process, so it holds plain data only."""

    def prepare(self) -> None:
        """Import and load whatever every attempt needs: this is not counted against the memory."""

    def __call__(self, number: int) -> str:
        """Try one; says how it ended."""


class Outcomes(NamedTuple):
    """How attempts ended, counted, and what must not happen: by number, what did."""

    counts: Counter[str]
    failures: dict[int, str]


def attempt_all(
    attempt: Attempt, numbers: range, *, seconds_each: int = _SECONDS_EACH, hangs_after: int = _HANGS_AFTER
) -> Outcomes:
    """Try every number, in one process as long as it lives; one that dies is replaced and goes on behind."""
    outcomes = Outcomes(Counter(), {})
    while numbers and len(outcomes.failures) < _ENOUGH_FAILURES:
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_attempt, args=(attempt, numbers, sender, seconds_each, hangs_after))
        process.start()
        sender.close()
        for number, outcome, failure in _received(receiver):
            numbers = range(number + 1, numbers.stop)
            outcomes.counts[outcome] += 1
            if failure:
                outcomes.failures[number] = failure
        process.join()
        if numbers:
            outcomes.failures[numbers.start] = (
                f"ended the process ({process.exitcode}): a crash, {seconds_each} s of work, or a hang"
            )
            numbers = numbers[1:]
    return outcomes


def require_outcomes(attempt: Attempt, *, count: int, kinds: Collection[str], refused: int, accepted: int) -> None:
    """Try so many numbers: none fails, and of every kind more than one in so many are refused, and accepted."""
    outcomes = attempt_all(attempt, range(count))
    print(sorted(outcomes.counts.items()))
    assert not outcomes.failures, "\n".join(f"{number}: {failure}" for number, failure in outcomes.failures.items())
    assert outcomes.counts.total() == count, outcomes.counts
    for kind in kinds:
        assert outcomes.counts[f"refused {kind}"] > count / refused, outcomes.counts
        assert outcomes.counts[f"accepted {kind}"] > count / accepted, outcomes.counts


def amounts(seed: int, *, default: int, gate: int, slow: int) -> list[ParameterSet]:
    """Seeds with counts: few attempts by default, more in the gate, very many on request."""
    return [
        pytest.param(seed, default),
        pytest.param(seed, gate, marks=pytest.mark.gate),
        pytest.param(seed + 1, slow, marks=pytest.mark.slow),
    ]


def _received(receiver: Connection) -> Iterable[tuple[int, str, str]]:
    while True:
        try:
            yield receiver.recv()
        except EOFError:
            return


def _attempt(attempt: Attempt, numbers: range, sender: Connection, seconds_each: int, hangs_after: int) -> None:
    attempt.prepare()
    _limit_memory()
    for number in numbers:
        signal.setitimer(signal.ITIMER_PROF, seconds_each)  # ends the process, even inside a library
        signal.alarm(hangs_after)
        try:
            sender.send((number, attempt(number), ""))
        except Exception:  # noqa: BLE001 - any exception is what these runs look for
            sender.send((number, "failed", traceback.format_exc(limit=-6)))
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)


def _limit_memory() -> None:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + _MORE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
