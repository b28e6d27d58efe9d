"""Is a file a whole, undamaged image? Answered from its raw bytes, before any reader sees it.

SimpleITK reads cut off and corrupted files without complaint and fills the gap with zeros, so every image passes here
first. Nothing is kept but the header: compressed data are inflated piece by piece, no further than the header says.

Source: half a `.nii.gz` gave half a volume of zeros, one flipped bit 50 % wrong voxels (docs/explanation/decisions.md).
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NoReturn

from autoseg import formats
from autoseg.catalogue import NotFinite
from autoseg.errors import ImageError
from autoseg.formats.finite import FiniteScanner
from autoseg.formats.header import Header
from autoseg.formats.picture import Picture, pixel_size
from autoseg.formats.remarks import Remark
from autoseg.formats.streams import AGAIN, GZIP_MAGIC, TAIL_BYTES, check_inflated, check_length, cut_off, inflate, plain

__all__ = ["TAIL_BYTES", "describe", "is_lossy", "verify_file"]

_LEAST_BYTES: Final = 348
"""So much of a stream is decompressed before its format is looked for. Source: the shortest header of such files, NIfTI."""

_UNPACK: Final = "Unpack it, and name what it holds."

_ARCHIVES: Final = (b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
_TAR: Final = b"ustar"
_TAR_AT: Final = 257
"""How archives begin, and what tar files have at this place. Source: their specifications."""

_OTHER_COMPRESSION: Final = {b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd"}
"""How files begin that are compressed so that no reader takes them. Source: their specifications."""


def verify_file(path: Path, *, not_finite: NotFinite = "refuse") -> tuple[str, ...]:
    """Check that a file exists, is an image and holds all the voxels that its header describes.

    Compressed data are read to their checksum; sizes and spacing come from the raw header. Formats whose header is not
    parsed (see `formats.FORMATS`) are only recognised and left to their reader.

    Args:
        path: the file.
        not_finite: what to do with NaN and infinite voxels that their reader would take for 0 in silence.

    Returns:
        warnings that the user should see, for example that orientation or spacing are unknown; often none.

    Raises:
        ImageError: the file is missing, unreadable, empty, no image, damaged, or its header cannot be true.
    """
    _check_present(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(formats.HEADER_BYTES)
        if head.startswith(GZIP_MAGIC):
            return _verify_gzipped(path, not_finite=not_finite)
        header = formats.parse(head, path)
        return _verify_unparsed(path, head) if header is None else _verify_data(path, head, header, not_finite=not_finite)
    except OSError as cause:
        raise ImageError(
            f"cannot be read ({cause.strerror or cause})",
            where=path,
            remedy="Check the file's permissions and its disk.",
        ) from cause


def describe(path: Path) -> Header | Picture | None:
    """What a file that was verified says about itself; None where only its reader understands it."""
    with path.open("rb") as stream:
        head = stream.read(formats.HEADER_BYTES)
    if head.startswith(GZIP_MAGIC):
        head = _first_bytes(path, inflate(path))
    found = formats.find_format(head)
    return formats.parse(head, path) if found is None or found.describe is None else found.describe(path)


def is_lossy(path: Path) -> bool:
    """Whether a file that was verified stores values inexactly, as JPEG does."""
    with path.open("rb") as stream:
        found = formats.find_format(stream.read(formats.HEADER_BYTES))
    return found is not None and found.is_lossy(path)


def _check_present(path: Path) -> None:
    if path.is_dir():
        raise ImageError(
            "a folder, where an image file is expected",
            where=path,
            remedy="Name the file inside it; convert a DICOM series to NIfTI first, for example with dcm2niix.",
        )
    if path.is_symlink() and not path.exists():
        raise ImageError("a broken link", where=path, remedy="Restore the file it points to, or remove the link.")
    if not path.exists():
        raise ImageError("the file does not exist", where=path, remedy="Check the path.")
    if path.stat().st_size == 0:
        raise ImageError("the file is empty", where=path, remedy=AGAIN)


def _verify_gzipped(path: Path, *, not_finite: NotFinite) -> tuple[str, ...]:
    """A file that is compressed as a whole."""
    promised = formats.named_format(path)
    if promised is not None and promised.gzipped and not path.name.lower().endswith(".gz"):
        raise ImageError(f"compressed, but named {path.suffix.lower()}", where=path, remedy=f"Rename it to {path.name}.gz.")
    pieces = inflate(path)
    head = _first_bytes(path, pieces)
    header, found = formats.parse(head, path), formats.find_format(head)
    if header is None or found is None or not found.gzipped:
        _refuse_no_image(path, head)
    scanner = FiniteScanner(header)
    check_inflated(path, scanner.scan(chain([head], pieces)), expected=header.data_start + header.data_bytes)
    return (*header.warnings, *scanner.result(path, not_finite=not_finite))


def _first_bytes(path: Path, pieces: Iterator[bytes]) -> bytes:
    head = b""
    try:
        for piece in pieces:
            head += piece
            if len(head) >= _LEAST_BYTES:
                break
    except EOFError:
        raise cut_off(path, expected=f"at least {_LEAST_BYTES} bytes", found=len(head)) from None
    return head


def _verify_data(path: Path, head: bytes, header: Header, *, not_finite: NotFinite) -> tuple[str, ...]:
    """Check an uncompressed header against the voxel data, wherever they are."""
    found = formats.find_format(head)
    warnings = header.warnings
    if found is not None and found.gzipped and path.name.lower().endswith(".gz"):
        warnings = (*warnings, Remark(f"plain {found.name}, although its name says that it is compressed"))
    data = path if header.data_file is None else path.parent / header.data_file
    if data != path:
        _check_present(data)
    if header.encoding == "unchecked":
        return (*warnings, Remark("this way of storing voxels cannot be checked for damage beforehand"))
    if header.encoding == "raw":
        check_length(data, found=data.stat().st_size, expected=header.data_start + header.data_bytes)
        if header.must_be_finite:
            scanner = FiniteScanner(header)
            deque(scanner.scan(plain(data)), maxlen=0)
            warnings = (*warnings, *scanner.result(path, not_finite=not_finite))
    else:
        stored = data.stat().st_size - header.data_start
        if header.stored_bytes not in {None, stored}:
            raise cut_off(path, expected=f"{header.stored_bytes} compressed bytes", found=stored)
        check_inflated(data, inflate(data, start=header.data_start, encoding=header.encoding), expected=header.data_bytes)
    return warnings


def _verify_unparsed(path: Path, head: bytes) -> tuple[str, ...]:
    """A file whose header only its reader understands."""
    _refuse_packed(path, head)
    found, promised = formats.find_format(head), formats.named_format(path)
    if promised is not None and promised.parse is not None:
        if _is_text(head):
            _refuse_no_image(path, head)
        raise ImageError(
            f"named like a {promised.name} file, but begins otherwise", where=path, found=f"{head[:8]!r}", remedy=AGAIN
        )
    if found is None and _is_text(head):
        _refuse_no_image(path, head)
    if found is None or found.describe is None:
        return (Remark("files of this format cannot be checked for damage beforehand"),)
    return (Remark(pixel_size(path, found.describe(path)).remark),)


def _is_text(head: bytes) -> bool:
    start = head[:512]
    return b"\0" not in start and all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)


def _refuse_packed(path: Path, head: bytes) -> None:
    if head.startswith(_ARCHIVES) or head[_TAR_AT:].startswith(_TAR):
        raise ImageError("an archive of files, not an image", where=path, remedy=_UNPACK)
    for magic, name in _OTHER_COMPRESSION.items():
        if head.startswith(magic):
            raise ImageError(f"compressed with {name}, which is not read", where=path, remedy=_UNPACK)


def _refuse_no_image(path: Path, head: bytes) -> NoReturn:
    _refuse_packed(path, head)
    if head.startswith(GZIP_MAGIC):
        found = "a file that is compressed twice"
    elif _is_text(head):
        found = f"text that begins {head[:40].decode('utf-8', errors='replace')!r}"
    else:
        found = f"something else inside the compression ({head[:8]!r})"
    raise ImageError("not an image", where=path, expected="image data", found=found, remedy=AGAIN)
