"""Checksums of a workspace's scans and label maps, remembered: what the file system says is unchanged is not read again.

A scan whose files have the size, the time of change and the inode that they had when it was hashed is taken for unchanged,
as git takes files for unchanged. Where one changed so shortly before it was hashed that a later change might have the same
time, its checksum is not remembered. Several processes may remember at once: what one of them loses is hashed again.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg.data import places
from autoseg.data.dataset import Case
from autoseg.errors import AutosegError, SystemFailureError
from autoseg.formats.checksum import FileTimes, file_times, image_checksum, other_names
from autoseg.planning.fingerprint import Fingerprint
from autoseg.preprocessing.keys import case_checksum
from autoseg.storage import files
from autoseg.storage.documents import DocumentType
from autoseg.storage.utf8 import is_utf8

SETTLED_NS: Final = 2_000_000_000
"""Age from which a file's time of change tells it from a later change, in ns.

Source: the coarsest clock of a file system in use, that of FAT."""


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(description="checksum of the image")
    stamp: str = Field(description="of its files, as of `FileTimes`")
    others: tuple[str, ...] = Field(default=(), description="other files that it is stored in, as of `other_names`")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    images: dict[str, _Known] = Field(description="by path")
    digest: str = Field(description="over all of them: a damaged checksum would be that of other data")


_TYPE: Final = DocumentType(
    name="list of checksums",
    model=_Document,
    missing="Nothing is wrong: it is written again.",
    unusable="Delete it: it is written again.",
    compact=True,
)


class SourceChecksums:
    """The checksums of images, read from a document and added to it.

    Args:
        file: the document.
        verify: whether to hash what is remembered all the same.
    """

    def __init__(self, file: Path, *, verify: bool = False) -> None:
        self._file = file
        self._known = {} if verify else _read(file)
        self._found: dict[str, _Known] = {}

    def of(self, path: Path) -> str:
        """The checksum of an image; see `image_checksum`.

        Raises:
            ImageError: a file is missing or cannot be read.
        """
        known = self._found.get(str(path)) or self._known.get(str(path))
        with suppress(OSError):
            if known is not None and file_times(path, others=known.others).stamp == known.stamp:
                return known.sha256
        return self.hash(path)

    def hash(self, path: Path) -> str:
        """Compute an image's checksum, and remember it; errors as of `of`."""
        before = Unread.of(path)
        found = image_checksum(path)
        if before is not None:
            self.remember(before, found)
        return found

    def remember(self, before: "Unread", sha256: str) -> None:
        """Remember the checksum of an image that was read, unless it changed meanwhile, or shortly before.

        Args:
            before: the image before it was read.
            sha256: its checksum.
        """
        now = Unread.of(before.path)
        if now is not None and now.times == before.times and before.settled and is_utf8(before.path):
            self._found[str(before.path)] = _Known(sha256=sha256, stamp=now.times.stamp, others=now.others)

    def store(self) -> None:
        """Add what was remembered to the document, if there is anything new; one that may not be written stays as it is."""
        if all(self._known.get(path) == known for path, known in self._found.items()):
            return
        earlier = {path: known for path, known in _read(self._file).items() if Path(path).exists()}
        images = {**earlier, **self._found}
        with suppress(SystemFailureError):
            _TYPE.write(self._file, _Document(images=images, digest=_digest(images)))


@dataclass(frozen=True)
class Unread:
    """An image before it is read.

    Attributes:
        path: of the image.
        others: other files that it is stored in, as of `other_names`.
        times: of its files.
        at_ns: when that was, in ns since 1970.
    """

    path: Path
    others: tuple[str, ...]
    times: FileTimes
    at_ns: int

    @classmethod
    def of(cls, path: Path) -> "Unread | None":
        """An image as it is now; None where the file system cannot be asked."""
        at_ns = time.time_ns()
        try:
            others = other_names(path)
            return cls(path, others, file_times(path, others=others), at_ns)
        except OSError:
            return None

    @property
    def settled(self) -> bool:
        """Whether any later change of its files has a later time."""
        return self.times.newest_ns < self.at_ns - SETTLED_NS


def case_checksums(
    file: Path,
    cases: Iterable[Case],
    *,
    verify: bool,
    remember: bool = True,
    ended: Callable[[], None] = lambda: None,
) -> dict[str, str]:
    """`case_checksum` of some cases, by id; what is known to be unchanged is not read.

    Args:
        file: the document of the workspace.
        cases: the cases.
        verify: whether to read all of them.
        remember: whether the document is written.
        ended: called after each case.
    """
    known, found = SourceChecksums(file, verify=verify), {}
    for case in cases:
        found[case.id] = case_checksum(case, known.of)
        ended()
    if remember:
        known.store()
    return found


def unread(cases: Iterable[Case]) -> tuple[Unread, ...]:
    """The images of some cases before they are read, as far as the file system can be asked."""
    paths = (path for case in cases for path in places.files_of(case))
    return tuple(one for one in map(Unread.of, paths) if one is not None)


def remember(file: Path, before: Sequence[Unread], cases: Iterable[Case], fingerprint: Fingerprint) -> None:
    """Remember the checksums that planning has computed.

    Args:
        file: the document of the workspace.
        before: of `unread`, before planning.
        cases: the cases that were planned.
        fingerprint: their checksums.
    """
    planned = {case.id: (*case.image_sha256, case.label_sha256) for case in fingerprint.cases}
    sha256 = {
        path: digest
        for case in cases
        if case.id in planned
        for path, digest in zip(places.files_of(case), planned[case.id], strict=True)
    }
    known = SourceChecksums(file)
    for one in before:
        if one.path in sha256:
            known.remember(one, sha256[one.path])
    known.store()


def _read(file: Path) -> dict[str, _Known]:
    """What a document remembers; nothing where it is missing or damaged."""
    try:
        document = _TYPE.read(file)
    except AutosegError:
        return {}
    return document.images if document.digest == _digest(document.images) else {}


def _digest(images: Mapping[str, _Known]) -> str:
    return files.sha256_json({path: [known.sha256, known.stamp, *known.others] for path, known in images.items()})
