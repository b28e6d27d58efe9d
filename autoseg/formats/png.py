"""PNG: its reader verifies the checksums of its chunks."""

import re

from autoseg.formats.format import Format

PNG = Format(
    name="PNG",
    suffixes=(".png",),
    magic=re.compile(rb"\x89PNG\r\n\x1a\n"),
    states_spacing=False,
)
