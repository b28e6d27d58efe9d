"""What the header of an image file claims, parsed from its raw bytes before any reader is trusted with the file.

Only as much of each format is understood as is needed to hold the claims against the bytes that follow, and what readers
pass over in silence is refused.
"""

import re
import struct
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats.header import DAMAGED, Header, check_claims
from autoseg.formats.metaimage import parse_metaimage
from autoseg.formats.nifti import NIFTI_BYTES, parse_nifti
from autoseg.formats.nrrd import parse_nrrd

__all__ = ["HEADER_BYTES", "NIFTI_BYTES", "Header", "format_by_name", "parse"]

HEADER_BYTES: Final = 1 << 20
"""No supported header is longer. Source: chosen; NIfTI takes 352 bytes, NRRD with many named segments some 10^5."""

_FORMATS = {
    ".nii": "NIfTI", ".hdr": "NIfTI or ANALYZE", ".mha": "MetaImage", ".mhd": "MetaImage", ".nrrd": "NRRD", ".nhdr": "NRRD",
}  # fmt: skip


def parse(content: bytes, path: Path) -> Header | None:
    """Understand the header at the start of `content`.

    Args:
        content: the first `HEADER_BYTES` of the file, decompressed; fewer where it is shorter.
        path: the file, for messages and the names of files beside it.

    Returns:
        the header, or None where the content begins like none of NIfTI, ANALYZE, MetaImage and NRRD.

    Raises:
        ImageError: the header contradicts itself, or claims something that is no scalar image on a grid.
    """
    try:
        header = _parse_any(content, path)
    except (KeyError, ValueError, struct.error) as cause:
        raise ImageError(f"the header cannot be understood ({cause})", where=path, remedy=DAMAGED) from None
    if header is not None:
        check_claims(header, path)
    return header


def format_by_name(path: Path) -> str | None:
    """The format that a file's name promises, where it is one that is understood here."""
    return _FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def _parse_any(content: bytes, path: Path) -> Header | None:
    if content[:4] in {struct.pack("<i", NIFTI_BYTES), struct.pack(">i", NIFTI_BYTES)}:
        return parse_nifti(content, path)
    if content[:4] in {struct.pack("<i", 540), struct.pack(">i", 540)}:
        raise ImageError(
            "NIfTI-2, which SimpleITK does not read",
            where=path,
            remedy="Convert it to NIfTI-1, for example with nibabel.",
        )
    if re.match(rb"\s*(ObjectType|ObjectSubType|Comment|NDims)\s*=", content):
        return parse_metaimage(content, path)
    if content.startswith(b"NRRD000"):
        return parse_nrrd(content, path)
    return None
