"""What `--restart` discards, and that a command discards it once, however often its runs are begun.

The same command begins a run again where a worker was lost, and where the batch system begins the command's job again. Then
it goes on with what it has trained: a small file in the folder of the model names the command that trains there.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.storage import files
from autoseg.storage.owner import goes_on_from, parse_owner, written

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


def _file(session: Session, target: Target) -> Path:
    return session.workspace.model(target.model) / _FILE
