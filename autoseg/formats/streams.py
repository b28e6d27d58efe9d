"""The bytes of voxel data, read piece by piece and counted: plain, or compressed with a checksum. Nothing is kept."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from autoseg.errors import ImageError

TAIL_BYTES: Final = 4096
"""Bytes after the voxel data that pass as padding. Source: chosen, one page; more means that the header is wrong."""

GZIP_MAGIC: Final = b"\x1f\x8b"
AGAIN: Final = "Get the file again from its source."

_READ_BYTES = 1 << 16
_PIECE_BYTES = 1 << 18
_WINDOW_BITS: Final = {"gzip": 31, "zlib": 47}
"""zlib's numbers for streams of gzip only, and of either kind."""


def plain(path: Path) -> Iterator[bytes]:
    """Pieces of a file."""
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def inflate(path: Path, *, start: int = 0, encoding: Literal["gzip", "zlib"] = "gzip") -> Iterator[bytes]:
    """Pieces of a compressed stream of one or several members, each checked against its checksum.

    Args:
        path: the file.
        start: where the stream begins in it.
        encoding: how it is compressed; "zlib" takes gzip as well.

    Raises:
        EOFError: the stream ends before its checksum.
        ImageError: it is damaged.
    """
    decoder = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            while block := stream.read(_READ_BYTES):
                while block:
                    if decoder.eof:
                        block = block.lstrip(b"\0")  # padding between and after members
                        decoder = zlib.decompressobj(_WINDOW_BITS[encoding]) if block else decoder
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
            f"damaged: its compressed data or their checksum are wrong ({cause})", where=path, remedy=AGAIN
        ) from None


def check_inflated(path: Path, pieces: Iterator[bytes], *, expected: int) -> None:
    """Count what comes out of a compressed stream, and stop where it exceeds what the header accounts for.

    Raises:
        ImageError: there is less or more, or the stream is damaged.
    """
    found = 0
    try:
        for piece in pieces:
            found += len(piece)
            if found > expected + TAIL_BYTES:
                break
    except EOFError:
        raise cut_off(path, expected=f"{expected} bytes and a checksum", found=found) from None
    check_length(path, found=found, expected=expected)


def check_length(path: Path, *, found: int, expected: int) -> None:
    """Require as many bytes as the header accounts for, and little more.

    Raises:
        ImageError: there are less, or many more.
    """
    if found < expected:
        raise cut_off(path, expected=f"{expected} bytes", found=found)
    if found > expected + TAIL_BYTES:
        raise ImageError(
            "more data than the header accounts for",
            where=path,
            expected=f"{expected} bytes",
            found=f"at least {found} bytes",
            remedy="Header and data do not belong together: get the file again, or correct the sizes in its header.",
        )


def cut_off(path: Path, *, expected: str, found: int) -> ImageError:
    """The error for a file that holds less than it should."""
    return ImageError(
        "the file is cut off, or its header asks for too much",
        where=path,
        expected=f"{expected} by its header",
        found=f"{found} bytes",
        remedy=AGAIN,
    )
