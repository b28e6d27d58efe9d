"""What an entry of the table of formats says."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoseg.formats.header import Header


def _whole(_: Path) -> None:
    """What there is to verify where a format offers nothing."""


def _lossless(_: Path) -> bool:
    """Most formats keep every value."""
    return False


@dataclass(frozen=True)
class Format:
    """A file format that SimpleITK reads, and what is known about it.

    Attributes:
        name: what it is called in messages.
        magic: how its files begin, matched at their start (once decompressed, where they are compressed as a whole).
        suffixes: endings of names, in small letters, by which files are taken for images of this format; the longest
            first. A format without any is read where a table of cases names its file.
        parse: reads the header from the beginning of a file, so that the voxel data can be verified against it. Raises
            ImageError for what is no scalar image on a grid; KeyError, ValueError or struct.error for a damaged header.
            None: only its reader understands the header, and damage goes unnoticed.
        verify: what else can be verified of a file whose header is not parsed. Raises ImageError.
        is_lossy: whether a file stores values inexactly, so that it cannot hold labels.
        states_spacing: whether its header says reliably how large voxels are.
        gzipped: whether files may be compressed as a whole.
        writable: the suffixes with which label maps can be written.
    """

    name: str
    magic: re.Pattern[bytes]
    suffixes: tuple[str, ...] = ()
    parse: Callable[[bytes, Path], Header] | None = None
    verify: Callable[[Path], None] = _whole
    is_lossy: Callable[[Path], bool] = _lossless
    states_spacing: bool = True
    gzipped: bool = False
    writable: tuple[str, ...] = ()
