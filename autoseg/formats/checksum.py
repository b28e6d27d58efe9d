"""The checksum by which an image is recognised as unchanged, and what the file system says of it, without reading it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg import formats
from autoseg.errors import ImageError
from autoseg.formats.dicom_files import dicom_files, files_below
from autoseg.formats.sidecar import sidecar, sidecar_names
from autoseg.storage import files


@dataclass(frozen=True)
class FileTimes:
    """What the file system says of an image's files.

    Attributes:
        stamp: SHA-256 over the names, sizes, times of change and inodes of all of them; those that are missing count too.
        newest_ns: when the last of them changed, in ns since 1970, by the file system's clock.
    """

    stamp: str
    newest_ns: int


def file_times(path: Path, *, others: Sequence[str]) -> FileTimes:
    """What the file system says of an image's files: where it is the same, and its clock has gone on, so are they.

    Args:
        path: the image's file, or the folder of a series.
        others: as of `other_names`, when its checksum was computed.

    Raises:
        OSError: the file system cannot be asked, or a file may not be read.
    """
    parts = list(files_below(path)) if path.is_dir() else [path, *(path.parent / name for name in others)]
    found: list[list[str | int]] = []
    newest_ns = 0
    for part in parts:
        try:
            status = part.stat()
        except FileNotFoundError:
            found.append([str(part)])
            continue
        with part.open("rb"):
            pass  # what cannot be opened is told now, not when it is read hours later
        found.append([str(part), status.st_size, status.st_mtime_ns, status.st_ino])
        newest_ns = max(newest_ns, status.st_mtime_ns)
    return FileTimes(files.sha256_json(found), newest_ns)


def other_names(path: Path) -> tuple[str, ...]:
    """What else, named as seen from its folder, an image's checksum depends on, whether it is there or not.

    Raises:
        OSError: the file cannot be read.
    """
    if path.is_dir():
        return ()
    with path.open("rb") as stream:
        content = stream.read(formats.HEADER_BYTES)
    found = formats.find_format(content)
    if found is not None and found.describe is not None:
        return sidecar_names(path)
    if found is None or found.in_one_file:
        return ()
    try:
        header = formats.parse(content, path)
    except ImageError:
        return ()
    return () if header is None or header.data_file is None else (header.data_file,)


def image_checksum(path: Path) -> str:
    """SHA-256 over all that an image is stored in.

    A file that is only a header (.mhd, .nhdr, .hdr) stays the same when its voxels change, so the file that holds them
    counts too; one that is missing counts as such: reading the image says so. Files of a series that a header lists one
    by one are not followed. So does the document beside a picture that states its spacing. A folder of a
    DICOM series is what its slices are, whatever they are called.

    Args:
        path: the image's file, or the folder of a series.

    Returns:
        64 hexadecimal digits; for an image in a single file those of the file itself.

    Raises:
        ImageError: a file is missing or cannot be read.
    """
    try:
        if path.is_dir():
            return files.sha256_json(sorted(files.sha256_file(file) for file in dicom_files(path)))
        own = files.sha256_file(path)
        other = _other_file(path)
        if other is None:
            return own
        return files.sha256_json([own, files.sha256_file(other) if other.is_file() else None])
    except FileNotFoundError:
        raise ImageError("the file does not exist", where=path, remedy="Check the path.") from None
    except OSError as cause:
        raise ImageError(
            f"cannot be read ({cause.strerror or cause})", where=path, remedy="Check the file, its permissions and its disk."
        ) from None


def _other_file(path: Path) -> Path | None:
    """The other file that holds the voxels, or states the spacing of a picture, where there is one."""
    with path.open("rb") as stream:
        content = stream.read(formats.HEADER_BYTES)
    found = formats.find_format(content)
    try:
        if found is not None and found.describe is not None:
            return sidecar(path)
        header = None if found is None or found.in_one_file else formats.parse(content, path)
    except ImageError:  # damaged: reading the image says so
        return None
    return None if header is None or header.data_file is None else path.parent / header.data_file
