"""MetaImage. Source: the MetaIO format definition, and what MetaIO 5.4 does with what breaks it."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

from autoseg.formats.format import Format
from autoseg.formats.grid import sheared
from autoseg.formats.header import SHEARED, UNSPACED, Encoding, Header
from autoseg.formats.text import SCALAR_BYTES, next_line, one_file
from autoseg.formats.units import stated_mm

_VECTORS = ("DimSize", "ElementSpacing", "ElementSize", "Offset", "Position", "Origin", "CenterOfRotation")
_UNIT_TOLERANCE = 0.01  # of the length of an axis; what three decimals round is less
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_SWITCHES = ("BinaryData", "CompressedData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_SYNONYMS = (("Offset", "Position", "Origin"), _MATRICES, _SWITCHES[2:])
_KEYS = {
    *_VECTORS, *_MATRICES, *_SWITCHES, "ObjectType", "NDims", "ElementType", "HeaderSize", "ElementNumberOfChannels",
    "ElementDataFile", "CompressedDataSize", "DistanceUnits",
}  # fmt: skip


def parse_metaimage(content: bytes, path: Path) -> Header:
    """Parse a MetaImage header, and nothing that MetaIO would ignore.

    Args:
        content: the beginning of the file.
        path: the file.

    Raises:
        ImageError: it is no header of a scalar image.
        KeyError, ValueError: it breaks the format's definition.
    """
    fields: dict[str, str] = {}
    position = 0
    while "ElementDataFile" not in fields:
        line, position = next_line(content, position)
        key, separator, value = (part.strip() for part in line.partition("="))
        if not separator or key in fields:
            msg = f"the line {line[:60]!r} " + ("repeats a key" if separator else "is not of the form key = value")
            raise ValueError(msg)
        fields[key] = value
    _check_fields(fields)
    _check_lengths(fields)
    components = int(fields.get("ElementNumberOfChannels", 1))
    if components < 1:
        msg = f"ElementNumberOfChannels = {components}"
        raise ValueError(msg)
    sizes = tuple(int(size) for size in fields["DimSize"].split())
    spacing = tuple(float(number) for number in fields.get("ElementSpacing", fields.get("ElementSize", "")).split())
    source = one_file(fields["ElementDataFile"])
    own = source.upper() == "LOCAL"
    return Header(
        sizes=sizes,
        spacing_mm=spacing[:3],
        voxel_bytes=components * SCALAR_BYTES[fields["ElementType"].removeprefix("MET_").lower().removeprefix("u")],
        components=components,
        data_start=position if own else max(0, int(fields.get("HeaderSize", 0))),
        data_file=None if own else source,
        encoding=_encoding(fields),
        stored_bytes=_stored_bytes(fields),
        unit_mm=stated_mm(fields.get("DistanceUnits", ""), where=path),
        warnings=(*(() if spacing else (UNSPACED,)), *((SHEARED,) if sheared(_axes(fields)) else ())),
    )


def _check_fields(fields: Mapping[str, str]) -> None:
    # MetaIO takes what it does not understand for 0, False or absent, without a word.
    known = {key.lower() for key in _KEYS}
    misspelt = [key for key in fields if key.lower() in known and key not in _KEYS]
    if misspelt or fields.get("ObjectType", "Image") != "Image":
        msg = f"unknown key {misspelt[0]}" if misspelt else f"ObjectType {fields['ObjectType']}"
        raise ValueError(msg)
    for key in (*_VECTORS, *_MATRICES):
        if not all(math.isfinite(float(number)) for number in fields.get(key, "").split()):
            msg = f"{key} = {fields[key]}"
            raise ValueError(msg)
    for key in _SWITCHES:
        if fields.get(key, "True").lower() not in {"true", "false"}:
            msg = f"{key} = {fields[key]}"
            raise ValueError(msg)
    for synonyms in _SYNONYMS:
        if len({fields[key] for key in synonyms if key in fields}) > 1:
            msg = f"{' and '.join(key for key in synonyms if key in fields)} differ"
            raise ValueError(msg)


def _axes(fields: Mapping[str, str]) -> list[tuple[float, ...]]:
    """The directions of the axes.

    Raises:
        ValueError: they have another length than 1, which ITK keeps beside the spacing, or never ends to invert.
    """
    dimensions = int(fields["NDims"])
    key = next((key for key in _MATRICES if key in fields), _MATRICES[0])  # the others say the same
    numbers = [float(number) for number in fields.get(key, "").split()]
    axes = [tuple(numbers[start : start + dimensions]) for start in range(0, len(numbers), dimensions)]
    for axis in axes:
        if abs(math.hypot(*axis) - 1) > _UNIT_TOLERANCE:
            msg = f"an axis of length {math.hypot(*axis):.4g} in {key}, where the spacing should say so"
            raise ValueError(msg)
    return axes


def _check_lengths(fields: Mapping[str, str]) -> None:
    # MetaIO 5.4 trusts NDims: a wrong one makes it write beyond its memory, which ends the whole process.
    dimensions = int(fields["NDims"])
    vectors = dict.fromkeys(_VECTORS, dimensions)
    matrices = dict.fromkeys(_MATRICES, dimensions**2)
    for key, length in {**vectors, **matrices}.items():
        if key in fields and len(fields[key].split()) != length:
            msg = f"{key} has not the {length} numbers that NDims = {dimensions} asks for"
            raise ValueError(msg)


def _stored_bytes(fields: Mapping[str, str]) -> int | None:
    # Without this key MetaIO takes compressed data for voxels.
    return int(fields["CompressedDataSize"]) if fields.get("CompressedData", "False").lower() == "true" else None


def _encoding(fields: Mapping[str, str]) -> Encoding:
    counted_from_end = int(fields.get("HeaderSize", 0)) < 0
    text = fields.get("BinaryData", "True").lower() == "false"
    if counted_from_end or text:
        return "unchecked"
    return "zlib" if fields.get("CompressedData", "False").lower() == "true" else "raw"


METAIMAGE = Format(
    name="MetaImage",
    suffixes=(".mha", ".mhd"),
    magic=re.compile(rb"\s*(ObjectType|ObjectSubType|Comment|NDims)\s*="),
    parse=parse_metaimage,
    writable=(".mha",),
)
