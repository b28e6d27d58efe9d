"""What headers written as text have in common, and what libraries say."""

import re
from typing import Final

SCALAR_BYTES: Final = {"char": 1, "short": 2, "int": 4, "long": 4, "long_long": 8, "float": 4, "double": 8}
"""Bytes of a voxel by its type's name, without its sign."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def one_file(source: str) -> str:
    """The file that holds the voxels; readers take files that are missing from a series for slices of zeros."""
    if source.upper().startswith("LIST") or "%" in source:
        msg = f"the voxels are said to lie in a series of files ({source[:60]}); convert it to a single file"
        raise ValueError(msg)
    return source


def without_addresses(message: str) -> str:
    """What a library says, without the places in memory that it names.

    Example:
        >>> without_addresses("PNGImageIO(0x55d0c8e0): cannot read <_io.BytesIO object at 0x7f3a>")
        'PNGImageIO: cannot read <_io.BytesIO object>'
    """
    return re.sub(r"\(0x[0-9a-fA-F]+\)| at 0x[0-9a-fA-F]+", "", message)


def next_line(content: bytes, position: int) -> tuple[str, int]:
    """The line at `position` without its end, and where the next one starts."""
    if position >= len(content):
        msg = "it ends too early"
        raise ValueError(msg)
    end = content.find(b"\n", position)
    end = len(content) if end < 0 else end
    line = content[position:end].decode("utf-8", errors="replace").removesuffix("\r")
    if _CONTROL.search(line):  # readers part there, or stop
        msg = f"control characters in the line {line[:60]!r}"
        raise ValueError(msg)
    return line, end + 1
