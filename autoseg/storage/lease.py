"""A lock that works between machines: a file with its owner's name, made by whoever is first, and kept fresh meanwhile.

Nothing here needs locks of the operating system, which are local to one machine on some file systems, refused on others,
and hang on some. What is needed is that a name is given to one file only (a hard link, or a file made exclusively), that
renaming replaces in one step, and that all machines see this, as on NFS since version 3.

The owner touches its file every `HEARTBEAT_S`. It has ended where its process is known to have: on the same machine, by its
number and the time it started; in a batch system, where this process is the same job begun again. Else, of other machines,
where the file was not touched for `LIMIT_S` by the file system's own clock: that of a file which is made beside it, so that
no two machines' clocks are compared.

Of several that find an owner to have ended, one takes over: the one that is first to make the claim named by that owner's
token. It becomes the owner by renaming its own file over the lock, where that is still the file it judged. Whoever claims
and ends before that leaves its claim, which is judged in the same way, and claimed by its own token.
"""

import errno
import glob
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.storage.owner import Owner, parse_owner, runs, this_process, written
from autoseg.storage.temporary import file_system_now_s, temporary_beside
from autoseg.wording import duration

HEARTBEAT_S: Final = 10.0
"""Time between two signs of life."""

LIMIT_S: Final = 120.0
"""Time without a sign of life after which the owner on another machine has ended. Source: ours; twelve signs of
life, which outlast most pauses of a file server, and about what batch systems wait before they begin a job again."""

_WRITING_S: Final = 5.0
"""Time a file without an owner's name may be one that is being written; then it is one of version 0.1, of nobody."""

_NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
"""What file systems without hard links say."""

_MOST_BYTES: Final = 10_000


@dataclass(frozen=True)
class Sighting:
    """A lock that was found.

    Attributes:
        owner: whose it is; None: not known.
        token: tells it apart from any other.
        silent_s: seconds since the last sign of life.
    """

    owner: Owner | None
    token: str
    silent_s: float

    @property
    def ended(self) -> bool:
        """Whether the owner has ended, by the rule above."""
        if self.owner is None:
            return self.silent_s > _WRITING_S
        known = runs(self.owner)
        return self.silent_s > LIMIT_S if known is None else not known

    @property
    def silent(self) -> bool:
        """Whether nothing but its silence tells of the owner."""
        return self.owner is not None and runs(self.owner) is None

    @property
    def left_s(self) -> float | None:
        """Seconds until the lock is free if its owner has ended; None where the owner is known to run."""
        return LIMIT_S - self.silent_s if self.silent else None

    def __str__(self) -> str:
        if self.owner is None:
            return "another process"
        return f"{self.owner}, last sign of life {duration(self.silent_s)} ago"


class Lease:
    """One lock.

    Args:
        path: its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.followed: Sighting | None = None
        """From whom it was taken over."""
        self._me = this_process()

    def take(self) -> Sighting | None:
        """Take it without waiting; gives who holds it where that is somebody else.

        Raises:
            OSError: the place cannot be written.
        """
        if (running := self._running_holder()) is not None:
            return running
        with temporary_beside(self.path) as own:
            with own.open("r+b") as stream:  # not emptied first: ext4 would put the few bytes on the disk when it is closed
                stream.write(written(self._me))
            while not _publish(own, self.path):
                os.utime(own)
                found = _look(self.path, now_s=own.stat().st_mtime)
                if found is None:
                    continue  # given back meanwhile
                if found.token == self._me.token:
                    break  # made by a request whose answer was lost
                last, claim = self._claim_after(found, own)
                if claim is None:
                    if last.ended:
                        continue  # another has just taken over
                    return last
                if self._replaced(found, own, claim):
                    self.followed = found
                    break
        return None

    def is_held(self) -> bool:
        """Whether the file is still this lock's."""
        try:
            return self._me.token.encode() in _content(self.path)
        except FileNotFoundError:
            return False

    def touch(self) -> None:
        """Give a sign of life."""
        with suppress(OSError):  # what keeps the disk from answering keeps others from it, too, or passes
            if self.is_held():
                os.utime(self.path)

    def release(self) -> None:
        """Give it back."""
        with suppress(OSError):
            if self.is_held():
                self.path.unlink()

    def holder(self) -> str:
        """Who holds it now, in words."""
        try:
            owner = parse_owner(_content(self.path))
        except FileNotFoundError:
            return "nobody, because its file was removed"
        return "another process" if owner is None else str(owner)

    def _running_holder(self) -> Sighting | None:
        """The holder where it runs on this machine: those who wait look often, and nothing need be written for that."""
        with suppress(OSError):
            found = _look(self.path, now_s=time.time())
            if found is not None and found.owner is not None and runs(found.owner):
                return found
        return None

    def _claim_after(self, found: Sighting, own: Path) -> tuple[Sighting, Path | None]:
        """Claim what an owner that has ended held, or who claimed it and ended, and so on; no claim: another has one."""
        last = found
        while last.ended:
            claim = self._claim(last.token)
            if _publish(own, claim):
                return last, claim
            following = _look(claim, now_s=own.stat().st_mtime)
            if following is None:
                break
            last = following
        return last, None

    def _replaced(self, found: Sighting, own: Path, claim: Path) -> bool:
        """Take the place of an owner that has ended, which is over where its file is another's meanwhile."""
        now = _look(self.path, now_s=0.0)
        if now is None or now.token != found.token:
            claim.unlink(missing_ok=True)
            return False
        own.replace(self.path)
        for other in self.path.parent.glob(f"{glob.escape(self.path.name)}-*"):  # claims on owners before this one
            if other != self._claim(self._me.token):
                other.unlink(missing_ok=True)
        return True

    def _claim(self, token: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{token}")


def seen(place: Path) -> Sighting | None:
    """Who holds a lock that nobody takes now; None where nobody does, or has ended.

    A file is made and removed beside the lock where its owner's silence has to be judged by the file system's clock.
    """
    try:
        found = _look(place, now_s=time.time())
        if found is not None and (found.owner is None or found.silent):
            found = _look(place, now_s=_clock_s(place.parent))
    except OSError:
        return None
    return None if found is None or found.ended else found


def _clock_s(folder: Path) -> float:
    """The time by the clock of a folder's file system; by this machine's where nothing may be written there."""
    try:
        return file_system_now_s(folder)
    except OSError:
        return time.time()


def _publish(own: Path, place: Path) -> bool:
    """Give a file a name, in one step with its content; False: another file has it."""
    try:
        os.link(own, place)
    except FileExistsError:
        return False
    except OSError as refusal:
        if refusal.errno not in _NO_LINKS:
            raise
    else:
        return True
    try:
        with place.open("xb") as stream:
            stream.write(own.read_bytes())
    except FileExistsError:
        return False
    return True


def _look(place: Path, *, now_s: float) -> Sighting | None:
    """What a lock's file says, now by the file system's clock; None where it is gone."""
    try:
        with place.open("rb") as stream:
            content, about = stream.read(_MOST_BYTES), os.fstat(stream.fileno())
    except FileNotFoundError:
        return None
    owner = parse_owner(content)
    token = owner.token if owner is not None else f"{about.st_ino:x}-{about.st_mtime_ns:x}"
    return Sighting(owner, token, max(0.0, now_s - about.st_mtime))


def _content(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MOST_BYTES)
