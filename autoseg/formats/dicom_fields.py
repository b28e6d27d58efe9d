"""DICOM: the elements that are kept of a file, by tag, and how their values are stored. Source: the standard, part 6."""

import struct
from enum import StrEnum
from typing import Final

Tag = tuple[int, int]


class Field(StrEnum):
    """The elements that decide what is read, how slices belong together and what scans are called, by tag."""

    IMAGE_TYPE = "0008|0008"
    SOP_CLASS = "0008|0016"
    SOP_UID = "0008|0018"
    STUDY_DATE = "0008|0020"
    ACQUISITION_DATE_TIME = "0008|002a"
    STUDY_TIME = "0008|0030"
    ACQUISITION_TIME = "0008|0032"
    CONTENT_TIME = "0008|0033"
    MODALITY = "0008|0060"
    SERIES_DESCRIPTION = "0008|103e"
    PATIENT_NAME = "0010|0010"
    PATIENT_ID = "0010|0020"
    ECHO_TIME = "0018|0081"
    INVERSION_TIME = "0018|0082"
    ECHO_NUMBER = "0018|0086"
    TRIGGER_TIME = "0018|1060"
    DETECTOR_SPACING = "0018|1164"
    KERNEL = "0018|1210"
    FLIP_ANGLE = "0018|1314"
    B_VALUE = "0018|9087"
    GRADIENT = "0018|9089"
    STUDY_UID = "0020|000d"
    SERIES_UID = "0020|000e"
    SERIES_NUMBER = "0020|0011"
    ACQUISITION_NUMBER = "0020|0012"
    INSTANCE_NUMBER = "0020|0013"
    POSITION = "0020|0032"
    ORIENTATION = "0020|0037"
    TEMPORAL_POSITION = "0020|0100"
    SAMPLES = "0028|0002"
    GREYS = "0028|0004"
    FRAMES = "0028|0008"
    ROWS = "0028|0010"
    COLUMNS = "0028|0011"
    SPACING = "0028|0030"
    BITS_ALLOCATED = "0028|0100"
    BITS_STORED = "0028|0101"
    HIGH_BIT = "0028|0102"
    SIGNED = "0028|0103"
    INTERCEPT = "0028|1052"
    SLOPE = "0028|1053"
    LOSSY = "0028|2110"
    GREY_TABLE = "0028|3000"

    @property
    def tag(self) -> Tag:
        """As numbers."""
        group, element = self.split("|")
        return int(group, 16), int(element, 16)


FIELDS: Final = {field.tag: field for field in Field}

_WHOLE_NUMBERS: Final = frozenset(
    {Field.SAMPLES, Field.ROWS, Field.COLUMNS, Field.BITS_ALLOCATED, Field.BITS_STORED, Field.HIGH_BIT, Field.SIGNED}
)
_REQUIRED_VRS: Final = {
    Field.SERIES_UID: b"UI",
    Field.SERIES_NUMBER: b"IS",
    Field.FRAMES: b"IS",
    Field.GREYS: b"CS",
    **dict.fromkeys(_WHOLE_NUMBERS, b"US"),
    **dict.fromkeys(
        (Field.POSITION, Field.ORIENTATION, Field.DETECTOR_SPACING, Field.SPACING, Field.INTERCEPT, Field.SLOPE), b"DS"
    ),
}
"""Value representations (VR) of what is read. The other fields only tell files apart: they are text as good as it goes."""

_DOUBLES: Final = frozenset({Field.B_VALUE, Field.GRADIENT})


SYNTAXES: Final = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "lossless JPEG",
    "1.2.840.10008.1.2.4.70": "lossless JPEG",
    "1.2.840.10008.1.2.4.80": "lossless JPEG-LS",
    "1.2.840.10008.1.2.4.81": "JPEG-LS",
    "1.2.840.10008.1.2.4.90": "lossless JPEG 2000",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.110": "lossless JPEG XL",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.201": "lossless high-throughput JPEG 2000",
    "1.2.840.10008.1.2.4.202": "lossless high-throughput JPEG 2000",
    "1.2.840.10008.1.2.4.203": "high-throughput JPEG 2000",
    "1.2.840.10008.1.2.5": "run lengths",
}
"""What compressed transfer syntaxes are called. Source: the standard, part 6, annex A."""


def field_text(field: Field, value: bytes, *, vr: bytes, order: str) -> str:
    """The value of a field as text: stripped, whole numbers in digits, several values divided by a backslash.

    Args:
        field: the field.
        value: as it is stored.
        vr: its value representation; empty where the file names none.
        order: of bytes, as `struct` writes it.

    Raises:
        ValueError: it is stored in another way than the standard demands, and decides what is read.
        struct.error: a number is not as long as it should be.
    """
    expected = _REQUIRED_VRS.get(field)
    if vr and expected is not None and vr != expected:
        msg = f"({field.replace('|', ',')}) has the VR {vr.decode()}, not {expected.decode()}"
        raise ValueError(msg)
    if field in _WHOLE_NUMBERS:
        return str(*struct.unpack(f"{order}H", value))
    if field in _DOUBLES and vr in {b"", b"FD", b"UN"}:
        count = len(value) // 8
        return "\\".join(f"{number:g}" for number in struct.unpack_from(f"{order}{count}d", value))
    return value.decode("ascii", errors="replace").strip("\x00 ")
