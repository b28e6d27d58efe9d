"""What `--restart` discards, and that a command discards it once, however often its runs are begun.

The same command begins a run again where a worker was lost, and where the batch system begins the command's job again. Then
it goes on with what it has trained: a small file in the folder of the model names the command that trains there. Somebody
who gives the command again gives another one, which would discard that: they are told.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from autoseg.errors import AutosegError
from autoseg.jobs.interruption import is_interrupted
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.storage import files
from autoseg.storage.owner import goes_on_from, parse_owner, written
from autoseg.training.run_state import CHECKPOINT_FILE, CONTINUED_FOLDER
from autoseg.wording import some

LEAVE_OUT: Final = "To go on with what was trained since, leave out --restart, which would discard it."
"""What is said of a command that has failed or was interrupted after it had discarded something."""

_FILE: Final = ".restarted"


def is_to_restart(session: Session, target: Target) -> bool:
    """Whether what lies in the place of a run is to be discarded before that begins; of a continuation, that alone."""
    if not session.choices.restart:
        return False
    with suppress(OSError):
        earlier = parse_owner(_file(session, target).read_bytes())
        return earlier is None or not goes_on_from(earlier, session.command)
    return True


def note_restart(session: Session, target: Target) -> None:
    """Note that what lies in the place of a run now is of the session's command; the caller holds the lock of the model.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    files.write_bytes(_file(session, target), written(session.command))


def restart_advice(session: Session, targets: Sequence[Target]) -> str:
    """What is said of a command that has failed: where one of its runs was restarted, another command must not do so again.

    Returns:
        the advice, which names runs that are still what they were before; empty: nothing was restarted.
    """
    to_restart = [target for target in targets if is_to_restart(session, target)]
    if not session.choices.restart or len(to_restart) == len(targets):
        return ""
    earlier = [target.model.title for target in to_restart if _place(session, target).exists()]
    return f"{LEAVE_OUT} Still to be restarted, on their own: {some(earlier)}." if earlier else LEAVE_OUT


@contextmanager
def advising(advice: Callable[[], str]) -> Iterator[None]:
    """Context in which failures say what is to be done next, in their remedy, and interruptions in a note.

    Args:
        advice: asked for when something has failed; empty: nothing is said.
    """
    try:
        yield
    except (KeyboardInterrupt, Exception) as failure:
        if said := advice():
            if isinstance(failure, AutosegError) and not is_interrupted(failure):
                failure.remedy = f"{failure.remedy} {said}"
            else:
                failure.add_note(said)
        raise


def _place(session: Session, target: Target) -> Path:
    """The checkpoint of what a restart discards."""
    folder = session.workspace.model(target.model)
    return (folder / CONTINUED_FOLDER if target.further else folder) / CHECKPOINT_FILE


def _file(session: Session, target: Target) -> Path:
    return session.workspace.model(target.model) / _FILE
