"""Many files as one, to pass on: a ZIP with a manifest that names the size and digest of every other member.

Nothing is ever unpacked to the disk: members are read into memory by name, one by one and within limits, and what is read
counts only where its digest is the manifest's. So an archive from a stranger can do no more than be refused, and what else a
ZIP may say of its members (types of files, permissions, dates, headers of their own) is not looked at.
"""

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg.errors import BundleError
from autoseg.exporting.untrusted import ASK_AGAIN, MAX_MEMBERS, WEIGHTS_SUFFIX, excess_of, parse_untrusted
from autoseg.storage import files
from autoseg.storage.documents import DocumentType, unchanged

ARCHIVE_SUFFIX: Final = ".autoseg"
MANIFEST: Final = "manifest.json"

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_MAX_DIRECTORY_BYTES: Final = MAX_MEMBERS * 256
_END_BYTES: Final = 22
_END_64_BYTES: Final = 56 + 20
"""Of the records at the end: the plain one, and before it those of archives beyond 4 GB.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 and 4.3.14 to 4.3.16."""

_METHODS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Ways of compression that are read: the standard library unpacks these two within limits, all others at once."""

_ZIP_FAILURES: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, EOFError, OverflowError, OSError,
)  # fmt: skip
"""What reading a damaged or hostile ZIP may raise in the standard library."""


class _Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    written_by: str
    members: tuple[_Member, ...]


_MANIFEST: Final = DocumentType(
    name="manifest",
    model=_Manifest,
    error=BundleError,
    missing=ASK_AGAIN,
    unusable=ASK_AGAIN,
    migrations={1: unchanged},
)


@dataclass(frozen=True)
class Archive:
    """An archive whose table of contents has been checked.

    Attributes:
        path: the file.
        digest: SHA-256 of its manifest, which names the digest of every member.
        written_by: version of autoseg that wrote it.
    """

    path: Path
    digest: str
    written_by: str
    _zip: zipfile.ZipFile
    _members: Mapping[str, _Member]

    @property
    def names(self) -> tuple[str, ...]:
        """All members but the manifest."""
        return tuple(self._members)

    @property
    def weights(self) -> frozenset[str]:
        """SHA-256 of the weights of every network, as the manifest has it."""
        return frozenset(member.sha256 for name, member in self._members.items() if name.endswith(WEIGHTS_SUFFIX))

    def size(self, name: str) -> int:
        """A member's size in bytes, before it is read.

        Raises:
            BundleError: there is no such member.
        """
        return self._member(name).size

    def read(self, name: str) -> bytes:
        """A member's content, verified.

        Raises:
            BundleError: there is no such member, or it is damaged.
        """
        member = self._member(name)
        content = _content(self._zip, name, member.size, path=self.path)
        found = files.sha256_bytes(content)
        if found != member.sha256:
            raise _refused(self.path, f"{name} has changed", expected=f"sha256 {member.sha256}", found=found)
        return content

    def read_json(self, name: str) -> object:
        """A JSON document, verified, and safe to be parsed.

        Raises:
            BundleError: there is no such member, it is damaged, not JSON, or holds too much.
        """
        return parse_untrusted(self.read(name), where=self.place(name))

    def place(self, name: str) -> str:
        """A member as errors name it."""
        return f"{self.path} ({name})"

    def _member(self, name: str) -> _Member:
        if name not in self._members:
            raise _refused(self.path, "a part is missing", expected=name)
        return self._members[name]


def write_archive(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Store files as one, whole or not at all; the same members give the same bytes.

    Args:
        path: the archive.
        members: name to content, or to the file that holds it.

    Raises:
        BundleError: it would be larger than what is read.
        SystemFailureError: the disk is full, or the place may not be written.
    """
    sizes = {name: len(source) if isinstance(source, bytes) else source.stat().st_size for name, source in members.items()}
    if excess := excess_of({**sizes, MANIFEST: 0}):
        raise BundleError(f"would be too large: {excess}", where=path, remedy="Select fewer networks with `autoseg select`.")
    listing = []
    with files.atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as target:
        for name, source in members.items():
            content = source if isinstance(source, bytes) else source.read_bytes()
            listing.append(_Member(name=name, size=len(content), sha256=files.sha256_bytes(content)))
            _add(target, name, content)
        manifest = _Manifest(written_by=version("autoseg"), members=tuple(listing))
        _add(target, MANIFEST, files.json_text(manifest.model_dump(mode="json")).encode())


def _add(target: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name)  # its date is the same for all
    entry.create_system, entry.external_attr = 3, 0o100644 << 16  # a plain file of Unix, wherever it is written
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(WEIGHTS_SUFFIX) else zipfile.ZIP_DEFLATED
    target.writestr(entry, content)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive after checking everything its table of contents claims.

    Raises:
        BundleError: not an archive, damaged, hostile, or written by a newer autoseg.
    """
    with _opened(path) as stream:
        archive = _zip(stream, path)
        sizes = _check_contents(archive, stream, path)
        if MANIFEST not in sizes:
            raise _refused(path, "not an exported model", expected=f"a member {MANIFEST}", found="none")
        text = _content(archive, MANIFEST, sizes.pop(MANIFEST), path=path)
        manifest = _MANIFEST.parse(parse_untrusted(text, where=f"{path} ({MANIFEST})"), where=path)
        members = {member.name: member for member in manifest.members}
        if {name: member.size for name, member in members.items()} != sizes or len(members) < len(manifest.members):
            raise _refused(path, "the manifest does not describe what is inside")
        yield Archive(path, files.sha256_bytes(text), manifest.written_by, archive, members)


def _opened(path: Path) -> BinaryIO:
    try:
        if path.is_file():  # anything else, such as a pipe, may never end
            return path.open("rb")
    except OSError as cause:
        raise _refused(path, f"cannot be read ({cause.strerror})") from None
    raise _refused(path, "no such file")


def _zip(stream: BinaryIO, path: Path) -> zipfile.ZipFile:
    try:
        _check_end(stream, path)
        return zipfile.ZipFile(stream)
    except _ZIP_FAILURES as cause:
        raise _refused(path, "not an exported model", found=f"a file that is no ZIP archive ({cause})") from None


def _check_end(stream: BinaryIO, path: Path) -> None:
    """Look at how large the table of contents claims to be: the standard library reads all of it before any check."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - _END_BYTES - _END_64_BYTES, 0))
    tail = stream.read()
    end_64, end = tail[:-_END_BYTES], tail[-_END_BYTES:]
    if len(end) < _END_BYTES or end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        found = "a file that does not end as a ZIP archive: another kind, or cut off"
        raise _refused(path, "not an exported model", found=found)
    claims = [int.from_bytes(end[12:16], "little")]
    if end_64[:4] == b"PK\6\6":
        claims.append(int.from_bytes(end_64[40:48], "little"))
    if max(claims) > _MAX_DIRECTORY_BYTES:
        expected = f"a table of at most {_MAX_DIRECTORY_BYTES} bytes"
        raise _refused(path, "too many members", expected=expected, found=max(claims))


def _check_contents(archive: zipfile.ZipFile, stream: BinaryIO, path: Path) -> dict[str, int]:
    """Size of every member by name, after all that the table of contents says of them was found harmless."""
    entries = archive.infolist()
    for entry in entries:
        if not _NAME.fullmatch(entry.orig_filename):
            raise _refused(path, f"the member {entry.filename[:100]!r} has a name that is not allowed")
        if entry.compress_type not in _METHODS:
            raise _refused(path, f"the member {entry.filename!r} is compressed in a way that is not read")
    sizes = {entry.filename: entry.file_size for entry in entries}
    if len(sizes) < len(entries):
        raise _refused(path, "two members have one name")
    if excess := excess_of(sizes):
        raise _refused(path, f"too large: {excess}")
    if sum(entry.compress_size for entry in entries) > stream.seek(0, os.SEEK_END):
        raise _refused(path, "the members claim more bytes than the file has")
    return sizes


def _content(archive: zipfile.ZipFile, name: str, size: int, *, path: Path) -> bytes:
    try:
        with archive.open(name) as stream:
            content = stream.read(size + 1)
    except _ZIP_FAILURES as cause:
        raise _refused(path, f"{name} cannot be read", found=str(cause)) from None
    if len(content) != size:
        raise _refused(path, f"{name} has another size than it claims", expected=size, found=len(content))
    return content


def _refused(where: Path | str, what: str, *, expected: object = None, found: object = None) -> BundleError:
    return BundleError(what, where=where, expected=expected, found=found, remedy=ASK_AGAIN)
