"""Is a file a whole, undamaged image? Answered from its raw bytes, before any reader sees it.

SimpleITK reads cut off and corrupted files without complaint and fills the gap with zeros, so every image passes here
first. Nothing is kept but the header: compressed data are inflated piece by piece, no further than the header claims.

Source: half a `.nii.gz` gave half a volume of zeros, one flipped bit 50 % wrong voxels (docs/explanation/decisions.md).
"""

import zlib
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NoReturn

import numpy as np

from autoseg import formats
from autoseg.errors import ImageError
from autoseg.formats import Header, voxels
from autoseg.formats.tiff import check_tiff, is_lossy_tiff
from autoseg.formats.voxels import NotFinite

TAIL_BYTES: Final = 4096
"""Bytes after the voxel data that pass as padding. Source: chosen, one page; more means that the header is wrong."""

_READ_BYTES = 1 << 16
_PIECE_BYTES = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31
_ZLIB_OR_GZIP_WBITS = 47
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_MAGIC_BYTES = max(map(len, _PICTURES))
_JPEG_END = b"\xff\xd9"
_AGAIN = "Get the file again from its source."


def verify_file(path: Path, *, not_finite: NotFinite = "refuse") -> tuple[str, ...]:
    """Check that a file exists, is an image and holds all the voxels it claims.

    Compressed data are read to their checksum; sizes and spacing come from the raw header. Formats other than NIfTI,
    ANALYZE, MetaImage and NRRD are only recognised and left to their reader.

    Args:
        path: the file.
        not_finite: what to do with NaN and infinite voxels that their reader would take for 0 in silence.

    Returns:
        remarks that the user should know, for example that orientation or spacing are unknown; often none.

    Raises:
        ImageError: the file is missing, unreadable, empty, no image, damaged, or its header cannot be true.
    """
    _check_present(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(formats.HEADER_BYTES)
        if head.startswith(_GZIP_MAGIC):
            return _verify_gzip(path, not_finite=not_finite)
        header = formats.parse(head, path)
        return _verify_other(path, head) if header is None else _verify_data(path, header, not_finite=not_finite)
    except OSError as cause:
        raise ImageError(
            f"cannot be read ({cause.strerror or cause})",
            where=path,
            remedy="Check the file's permissions and its disk.",
        ) from cause


def is_lossy(path: Path) -> bool:
    """Whether a file that was verified stores values inexactly, as JPEG does."""
    with path.open("rb") as stream:
        kind = _picture_kind(stream.read(_MAGIC_BYTES))
    return kind == "JPEG" or (kind == "TIFF" and is_lossy_tiff(path))


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
        raise ImageError("the file is empty", where=path, remedy=_AGAIN)


def _verify_gzip(path: Path, *, not_finite: NotFinite) -> tuple[str, ...]:
    """A NIfTI file compressed as a whole."""
    if path.name.lower().endswith(".nii"):
        raise ImageError("compressed, but named .nii", where=path, remedy=f"Rename it to {path.name}.gz.")
    pieces = _inflate(path, start=0, wbits=_GZIP_WBITS)
    head = _first_bytes(path, pieces)
    header = formats.parse(head, path)
    if header is None or header.kind != "NIfTI":
        _refuse(path, head)
    judge = _Judge(header)
    _check_inflated(path, judge.watch(chain([head], pieces)), expected=header.data_start + header.data_bytes)
    return (*header.notes, *judge.verdict(path, not_finite=not_finite))


def _first_bytes(path: Path, pieces: Iterator[bytes]) -> bytes:
    head = b""
    try:
        for piece in pieces:
            head += piece
            if len(head) >= formats.NIFTI_BYTES:
                break
    except EOFError:
        raise _cut_off(path, expected=f"at least {formats.NIFTI_BYTES} bytes", found=len(head)) from None
    return head


def _verify_data(path: Path, header: Header, *, not_finite: NotFinite) -> tuple[str, ...]:
    """Hold the claims of an uncompressed header against the voxel data, wherever they are."""
    notes = header.notes
    if header.kind == "NIfTI" and path.name.lower().endswith(".gz"):
        notes = (*notes, "plain NIfTI, although its name says that it is compressed")
    data = path if header.data_file is None else path.parent / header.data_file
    if data != path:
        _check_present(data)
    if header.encoding == "unchecked":
        return (*notes, "this way of storing voxels cannot be checked for damage beforehand")
    if header.encoding == "raw":
        _check_length(data, found=data.stat().st_size, expected=header.data_start + header.data_bytes)
        if header.must_be_finite:
            judge = _Judge(header)
            deque(judge.watch(_plain(data)), maxlen=0)
            notes = (*notes, *judge.verdict(path, not_finite=not_finite))
    else:
        stored = data.stat().st_size - header.data_start
        if header.stored_bytes not in {None, stored}:
            raise _cut_off(path, expected=f"{header.stored_bytes} compressed bytes", found=stored)
        wbits = _GZIP_WBITS if header.encoding == "gzip" else _ZLIB_OR_GZIP_WBITS
        _check_inflated(data, _inflate(data, start=header.data_start, wbits=wbits), expected=header.data_bytes)
    return notes


def _verify_other(path: Path, head: bytes) -> tuple[str, ...]:
    """Anything whose voxels only its reader can check."""
    if (expected := formats.format_by_name(path)) is not None:
        if _is_text(head):
            _refuse(path, head)
        raise ImageError(
            f"named like a {expected} file, but begins otherwise", where=path, found=f"{head[:8]!r}", remedy=_AGAIN
        )
    kind = _picture_kind(head)
    if kind is None:
        if _is_text(head) and not head.startswith(b"# vtk"):
            _refuse(path, head)
        return ("files of this format cannot be checked for damage beforehand",)
    if kind == "JPEG" and not _ends_with_marker(path):
        raise ImageError("the file is cut off", where=path, expected="a JPEG end marker", found="none", remedy=_AGAIN)
    if kind == "TIFF":
        check_tiff(path)
    return (f"a {kind} picture states no reliable spacing; distances in mm and volumes in ml are not to be trusted",)


def _picture_kind(head: bytes) -> str | None:
    return next((name for magic, name in _PICTURES.items() if head.startswith(magic)), None)


def _ends_with_marker(path: Path) -> bool:
    # The decoder fills what is missing with grey. Inside the compressed data the marker cannot occur.
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return _JPEG_END in stream.read()


def _is_text(head: bytes) -> bool:
    start = head[:512]
    return b"\0" not in start and all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)


def _refuse(path: Path, head: bytes) -> NoReturn:
    if head.startswith(_GZIP_MAGIC):
        found = "a file that is compressed twice"
    elif _is_text(head):
        found = f"text that begins {head[:40].decode('utf-8', errors='replace')!r}"
    else:
        found = f"something else inside the compression ({head[:8]!r})"
    raise ImageError("not an image", where=path, expected="image data", found=found, remedy=_AGAIN)


def _check_inflated(path: Path, pieces: Iterator[bytes], *, expected: int) -> None:
    """Count what comes out of a compressed stream, and stop where it exceeds all claims."""
    found = 0
    try:
        for piece in pieces:
            found += len(piece)
            if found > expected + TAIL_BYTES:
                break
    except EOFError:
        raise _cut_off(path, expected=f"{expected} bytes and a checksum", found=found) from None
    _check_length(path, found=found, expected=expected)


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


class _Judge:
    """Looks at the voxels of a file as it passes by, where SimpleITK would read NaN and infinities as 0."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._wrong = 0
        self._first = 0

    def watch(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the pieces of a file on."""
        header = self._header
        if header.must_be_finite is None:
            yield from pieces
            return
        kind = np.dtype(header.must_be_finite)
        passed = 0
        position = -header.data_start  # of the next piece, in bytes of voxel data
        rest = b""
        for piece in pieces:
            yield piece
            data = rest + piece[max(0, -position) : max(0, header.data_bytes - position)]
            position += len(piece)
            whole = len(data) // kind.itemsize
            rest = data[whole * kind.itemsize :]
            bad = np.flatnonzero(~np.isfinite(np.frombuffer(data, kind, count=whole)))
            if bad.size and not self._wrong:
                self._first = passed + int(bad[0])
            self._wrong += bad.size
            passed += whole

    def verdict(self, path: Path, *, not_finite: NotFinite) -> tuple[str, ...]:
        """What there is to say once all has passed.

        Raises:
            ImageError: some voxels are not finite, and that was not allowed.
        """
        if not self._wrong:
            return ()
        if not_finite == "zero":
            return (voxels.zeroed(self._wrong),)
        sizes = self._header.sizes
        padded = (*sizes, 1)[: max(3, len(sizes))]  # a 2D image has one slice
        raise voxels.not_finite(path, count=self._wrong, first=np.unravel_index(self._first, padded[::-1]))


def _check_length(path: Path, *, found: int, expected: int) -> None:
    if found < expected:
        raise _cut_off(path, expected=f"{expected} bytes", found=found)
    if found > expected + TAIL_BYTES:
        raise ImageError(
            "more data than the header accounts for",
            where=path,
            expected=f"{expected} bytes",
            found=f"at least {found} bytes",
            remedy="Header and data do not belong together: get the file again, or correct the sizes in its header.",
        )


def _cut_off(path: Path, *, expected: str, found: int) -> ImageError:
    return ImageError(
        "the file is cut off, or its header claims too much",
        where=path,
        expected=f"{expected} by its header",
        found=f"{found} bytes",
        remedy=_AGAIN,
    )


def _inflate(path: Path, *, start: int, wbits: int) -> Iterator[bytes]:
    """Pieces of at most `_PIECE_BYTES` of a stream of one or several members, each checked against its checksum.

    Raises:
        EOFError: the stream ends before its checksum.
        ImageError: it is damaged.
    """
    decoder = zlib.decompressobj(wbits)
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            while block := stream.read(_READ_BYTES):
                while block:
                    if decoder.eof:
                        block = block.lstrip(b"\0")  # padding between and after members
                        decoder = zlib.decompressobj(wbits) if block else decoder
                        continue
                    if piece := decoder.decompress(block, _PIECE_BYTES):
                        yield piece
                    block = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        while not decoder.eof:
            piece = decoder.decompress(b"", _PIECE_BYTES)
            if not piece:
                raise EOFError
            yield piece
    except zlib.error as cause:
        raise ImageError(
            f"damaged: its compressed data or their checksum are wrong ({cause})", where=path, remedy=_AGAIN
        ) from None
