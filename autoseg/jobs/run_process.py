"""What a process does that has been started for one run, and what its end means."""

import signal
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Generic

from autoseg.errors import AutosegError, InterruptedRunError, ProcessEndedError
from autoseg.events import Events
from autoseg.jobs.children import work_as_child
from autoseg.jobs.interruption import Interruptible, Interruption
from autoseg.jobs.relay import Outbox
from autoseg.jobs.work import Result


@dataclass(frozen=True)
class Returned(Generic[Result]):
    """A run that came to its end."""

    result: Result


@dataclass(frozen=True)
class Failed:
    """A run that failed for a reason with a remedy."""

    error: AutosegError


@dataclass(frozen=True)
class Crashed:
    """A run that failed with a bug."""

    traceback: str


End = Returned[Result] | Failed | Crashed
"""How a run ended."""


def do_run(
    work: Callable[..., Result], initialise: Callable[[], None], sender: Connection, *, parent: int | None = None
) -> None:
    """What the process does: a run, whose events are sent, and last how it ended.

    Args:
        work: the run, of which only the events are missing.
        initialise: called before it.
        sender: the writing end of a pipe; gets lists of `relay.Event`s, the last of which ends with an `End`.
        parent: as for `work_as_child`.
    """
    outbox = Outbox(sender)  # its thread begins while signals are held back, which therefore reach this thread alone
    work_as_child(partial(_report, work, initialise, outbox), parent=parent)


def free_slot(taken: Iterable[int]) -> int:
    """The lowest slot that none of the runs under way has."""
    used = set(taken)
    return next(slot for slot in count() if slot not in used)


def outcome_of(name: str, end: End[Result]) -> Result | AutosegError:
    """The result of a run, or its failure.

    Raises:
        RuntimeError: it failed with a bug.
    """
    match end:
        case Returned(result):
            return result
        case Failed(error):
            return error
        case Crashed(where):
            raise RuntimeError(f"{name}, in a process of its own:\n{where}")


def death(exit_code: int | None) -> Failed:
    """Why a process ended without a word."""
    again = "The same command continues from the last epoch."
    if exit_code == InterruptedRunError.exit_code:
        return Failed(ProcessEndedError("its process was told to stop", remedy=again))
    if exit_code is not None and exit_code < 0:
        return Failed(
            ProcessEndedError(
                f"its process was killed ({signal.Signals(-exit_code).name})",
                remedy=f"Often the machine ran out of memory: close other programs, or choose fewer --jobs. {again}",
            )
        )
    return Failed(
        ProcessEndedError(
            f"its process ended with exit code {exit_code} before the run did",
            remedy="The reason stands above. A script of your own that trains side by side must be guarded by "
            "`if __name__ == '__main__':`.",
        )
    )


def _report(work: Callable[..., Result], initialise: Callable[[], None], outbox: Outbox, interruption: Interruption) -> None:
    outbox.close(_attempt(work, initialise, events=Interruptible(outbox, interruption)))


def _attempt(work: Callable[..., Result], initialise: Callable[[], None], *, events: Events) -> End[Result]:
    try:
        initialise()
        return Returned(work(events=events))
    except AutosegError as error:
        return Failed(error)
    except Exception:  # noqa: BLE001 - a bug, which the parent shows and ends with
        return Crashed(traceback.format_exc())
