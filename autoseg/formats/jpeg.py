"""JPEG. Source: ITU-T T.81, annex B."""

import os
import re
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats.format import Format
from autoseg.formats.streams import AGAIN, TAIL_BYTES

_END_OF_IMAGE: Final = b"\xff\xd9"


def check_end(path: Path) -> None:
    """Require the marker that ends an image: decoders fill what is missing with grey.

    Raises:
        ImageError: it is not there.
    """
    # Inside the compressed data the marker cannot occur.
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL_BYTES))
        if _END_OF_IMAGE not in stream.read():
            raise ImageError("the file is cut off", where=path, expected="a JPEG end marker", found="none", remedy=AGAIN)


JPEG = Format(
    name="JPEG",
    suffixes=(".jpeg", ".jpg"),
    magic=re.compile(rb"\xff\xd8\xff"),
    verify=check_end,
    is_lossy=lambda _: True,
    states_spacing=False,
)
