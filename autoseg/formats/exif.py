"""EXIF: how a camera was held. Source: CIPA DC-008 (Exif 3.0), whose data are laid out as a TIFF file's."""

import struct
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError

_ORIENTATION: Final = 274
_SHORT: Final = 3
_ENTRY_BYTES: Final = 12
UPRIGHT: Final = 1
"""The orientation of pixels that are shown as they are stored."""


def orientation_of(content: bytes) -> int:
    """The orientation, 1 to 8, by EXIF data from their byte order on; 1 where they state none, or nothing readable."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None:
        return UPRIGHT
    try:
        (position,) = struct.unpack_from(f"{order}I", content, 4)
        (entries,) = struct.unpack_from(f"{order}H", content, position)
        for number in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", content, position + 2 + number * _ENTRY_BYTES)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT


def refuse_turned(path: Path, orientation: int) -> None:
    """Require pixels to be shown as they are stored: label maps are drawn on what is shown, and readers do not turn it.

    Raises:
        ImageError: viewers turn or mirror them.
    """
    if orientation != UPRIGHT:
        raise ImageError(
            "an image that is to be turned for viewing, which readers ignore",
            where=path,
            expected=f"orientation {UPRIGHT}",
            found=f"orientation {orientation}",
            remedy="Turn it for good, in any image editor.",
        )
