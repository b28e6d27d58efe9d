"""What an entry of the table of formats says."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoseg.formats.header import Header
from autoseg.formats.picture import Picture


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
        describe: for pictures, which are not made for scans: what the file says about itself, with all that can be verified
            of it. Raises ImageError.
        is_lossy: whether a file stores values inexactly, so that it cannot hold labels.
        gzipped: whether files may be compressed as a whole.
        in_one_file: whether a file always holds the voxels itself.
        writable: the suffixes with which label maps can be written.
    """

    name: str
    magic: re.Pattern[bytes]
    suffixes: tuple[str, ...] = ()
    parse: Callable[[bytes, Path], Header] | None = None
    describe: Callable[[Path], Picture] | None = None
    is_lossy: Callable[[Path], bool] = _lossless
    gzipped: bool = False
    in_one_file: bool = False
    writable: tuple[str, ...] = ()
