"""Many files as one, to pass on: a ZIP whose every member is checked before any of it is used.

Nothing is ever unpacked to the disk: members are read into memory one by one, within limits, and held against the
manifest's digests. An archive from a stranger is data, and can do no more than be refused.
"""

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg import files
from autoseg.errors import BundleError

ARCHIVE_SUFFIX: Final = ".autoseg"
MANIFEST: Final = "manifest.json"
FORMAT: Final = 1

MOST_MEMBERS: Final = 500
MOST_TEXT_BYTES: Final = 16 << 20
MOST_WEIGHTS_BYTES: Final = 2 << 30
MOST_BYTES: Final = 8 << 30
"""Limits on what is read. Source: ours; a hundred times what the largest plan on IBSR18 needs."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_WEIGHTS: Final = ".safetensors"
_LOCAL_HEADER_BYTES: Final = 30
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_REMEDY: Final = "Ask for the file again, or make it anew with `autoseg export`."
_ZIP_FAILURES: Final = (
    zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, OverflowError, OSError,
)  # fmt: skip
"""What reading a damaged or hostile ZIP may raise in the standard library."""


class _Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = FORMAT
    written_by: str
    members: tuple[_Member, ...]


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

    def read(self, name: str) -> bytes:
        """A member's content, verified.

        Raises:
            BundleError: there is no such member, or it is damaged.
        """
        if name not in self._members:
            raise _refused(self.path, "a part is missing", expected=name)
        member = self._members[name]
        content = _content(self._zip, name, member.size, path=self.path)
        found = files.sha256_bytes(content)
        if found != member.sha256:
            raise _refused(self.path, f"{name} has changed", expected=f"sha256 {member.sha256}", found=found)
        return content

    def place(self, name: str) -> str:
        """A member as errors name it."""
        return f"{self.path} ({name})"


def write_archive(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Store files as one, whole or not at all; the same members give the same bytes.

    Args:
        path: the archive.
        members: name to content, or to the file that holds it.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    listing = []
    with files.atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as target:
        for name, source in members.items():
            content = source if isinstance(source, bytes) else source.read_bytes()
            listing.append(_Member(name=name, size=len(content), sha256=files.sha256_bytes(content)))
            _add(target, name, content)
        manifest = _Manifest(written_by=version("autoseg"), members=tuple(listing))
        _add(target, MANIFEST, files.json_text(manifest.model_dump(mode="json")).encode())


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive after checking everything its table of contents claims.

    Raises:
        BundleError: not an archive, damaged, hostile, or written by a newer autoseg.
    """
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise _refused(path, "no such file") from None
    except _ZIP_FAILURES as cause:
        raise _refused(path, "not an exported model", found=f"a file that is no ZIP archive ({cause})") from None
    with archive:
        sizes = _check_contents(archive, path)
        if MANIFEST not in sizes:
            raise _refused(path, "not an exported model", expected=f"a member {MANIFEST}", found="none")
        text = _content(archive, MANIFEST, sizes.pop(MANIFEST), path=path)
        manifest = _parse_manifest(text, path)
        members = {member.name: member for member in manifest.members}
        if {name: member.size for name, member in members.items()} != sizes or len(members) < len(manifest.members):
            raise _refused(path, "the manifest does not describe what is inside")
        yield Archive(path, files.sha256_bytes(text), manifest.written_by, archive, members)


def _add(target: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_DATE)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    compression = zipfile.ZIP_STORED if name.endswith(_WEIGHTS) else zipfile.ZIP_DEFLATED
    target.writestr(entry, content, compress_type=compression)


def _check_contents(archive: zipfile.ZipFile, path: Path) -> dict[str, int]:
    """Size of every member by name, after everything that is claimed about them was found harmless."""
    entries = archive.infolist()
    if len(entries) > MOST_MEMBERS:
        raise _refused(path, "too many members", expected=f"at most {MOST_MEMBERS}", found=len(entries))
    for entry in entries:
        if problem := _problem(entry):
            raise _refused(path, f"the member {entry.filename[:100]!r} {problem}")
    names = [entry.filename for entry in entries]
    if len({name.lower() for name in names}) < len(names):
        raise _refused(path, "two members have one name")
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise _refused(path, "too large", expected=f"at most {MOST_BYTES} bytes when read")
    _refuse_overlap(entries, end=archive.start_dir, path=path)
    return {entry.filename: entry.file_size for entry in entries}


def _problem(entry: zipfile.ZipInfo) -> str | None:
    """What is wrong with what the table of contents says of a member."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    most = MOST_WEIGHTS_BYTES if entry.filename.endswith(_WEIGHTS) else MOST_TEXT_BYTES
    stored = entry.compress_type == zipfile.ZIP_STORED
    problems = {
        "has a name that is not allowed": not _NAME.fullmatch(entry.filename) or entry.filename != entry.orig_filename,
        "is not a plain file": entry.is_dir() or kind not in {0, stat.S_IFREG},
        "is encrypted": entry.flag_bits & 1,
        "is compressed in a way that is not read": not stored and entry.compress_type != zipfile.ZIP_DEFLATED,
        "has two sizes": stored and entry.compress_size != entry.file_size,
        f"is too large ({entry.file_size} bytes, at most {most})": entry.file_size > most,
    }
    return next((what for what, found in problems.items() if found), None)


def _refuse_overlap(entries: list[zipfile.ZipInfo], *, end: int, path: Path) -> None:
    """Members that share bytes unfold to more than the file holds."""
    position = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < position:
            raise _refused(path, "members overlap")
        position = entry.header_offset + _LOCAL_HEADER_BYTES + len(entry.filename) + entry.compress_size
    if position > end:
        raise _refused(path, "a member reaches beyond the end")


def _content(archive: zipfile.ZipFile, name: str, size: int, *, path: Path) -> bytes:
    try:
        with archive.open(name) as stream:
            content = stream.read(size + 1)
    except _ZIP_FAILURES as cause:
        raise _refused(path, f"{name} cannot be read", found=str(cause)) from None
    if len(content) != size:
        raise _refused(path, f"{name} has another size than it claims", expected=size, found=len(content))
    return content


def _parse_manifest(text: bytes, path: Path) -> _Manifest:
    document = files.parse_json(text, error=BundleError, where=f"{path} ({MANIFEST})", remedy=_REMEDY)
    if isinstance(document, dict) and isinstance(document.get("version"), int) and document["version"] > FORMAT:
        raise BundleError(
            "the model was exported by a newer autoseg",
            where=path,
            expected=f"format {FORMAT} or older",
            found=f"format {document['version']}, written by autoseg {document.get('written_by', 'of unknown version')}",
            remedy="Update autoseg to at least that version.",
        )
    try:
        return _Manifest.model_validate_json(text)
    except ValidationError as invalid:
        raise _refused(path, f"not a manifest: {invalid.errors()[0]['msg']}") from None


def _refused(path: Path, what: str, *, expected: object = None, found: object = None) -> BundleError:
    return BundleError(what, where=path, expected=expected, found=found, remedy=_REMEDY)
