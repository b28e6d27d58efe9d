"""What the tags of a TIFF file state about the size of its pixels, and about what its pages are.

Source: TIFF 6.0; the OME data model; what ImageJ writes into the description of its files.
"""

import math
import re
from collections.abc import Mapping
from typing import Final

from autoseg.formats.picture import Density, Spacing
from autoseg.formats.units import is_no_unit, length_mm
from autoseg.wording import counted

_RESOLUTION_UNITS: Final = {2: (25.4, "inch"), 3: (10.0, "cm")}
_ESCAPED: Final = re.compile(r"\\u([0-9A-Fa-f]{4})")


def density_of(columns: float, rows: float, unit: int) -> Density | None:
    """The resolution for printing, from XResolution, YResolution and ResolutionUnit."""
    if unit not in _RESOLUTION_UNITS or not (_positive(columns) and _positive(rows)):
        return None
    length_mm, name = _RESOLUTION_UNITS[unit]
    return Density((rows / length_mm, columns / length_mm), f"{columns:g} x {rows:g} pixels per {name}")


def described_size(description: str, *, columns: float, rows: float) -> tuple[Spacing, str] | None:
    """The physical size that a program wrote into the description of a file, and which program's way it is.

    Args:
        description: the tag.
        columns: XResolution, pixels per unit.
        rows: YResolution.

    Raises:
        ValueError: a unit or a size that cannot be.
    """
    if (fields := _imagej_fields(description)) is not None:
        return _of_imagej(fields, columns=columns, rows=rows)
    return None if (fields := _ome_fields(description)) is None else _of_ome(fields)


def interleaved(description: str, *, pages: int) -> str:
    """What pages are, in words, where they are more than the slices of one volume; empty where nothing says so.

    Pages of a single series count as slices, whether a program calls them slices or points in time.

    Args:
        description: the tag.
        pages: of the file.

    Raises:
        ValueError: a number that is none.
    """
    if (fields := _imagej_fields(description)) is not None:
        channels, times, slices = (int(fields.get(name, 1)) for name in ("channels", "frames", "slices"))
    elif (fields := _ome_fields(description)) is not None:
        times, slices = (int(fields.get(name, 1)) for name in ("SizeT", "SizeZ"))
        channels = pages // max(times * slices, 1)  # colours of one page count as channels there
    else:
        return ""
    if pages == 1 or (channels <= 1 and min(times, slices) <= 1):
        return ""
    return f"{counted(channels, 'channel')}, {counted(times, 'point')} in time, {counted(slices, 'slice')}"


def _imagej_fields(description: str) -> Mapping[str, str] | None:
    if not description.startswith("ImageJ="):
        return None
    return dict(line.partition("=")[::2] for line in description.splitlines())


def _ome_fields(description: str) -> Mapping[str, str] | None:
    found = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", description)
    return None if found is None else dict(re.findall(r"""\b(\w+)=["']([^"']*)["']""", found[0]))


def _of_imagej(fields: Mapping[str, str], *, columns: float, rows: float) -> tuple[Spacing, str] | None:
    unit = _ESCAPED.sub(lambda code: chr(int(code[1], 16)), fields.get("unit", ""))
    if is_no_unit(unit) or not (_positive(columns) and _positive(rows)):
        return None
    across = abs(float(fields.get("spacing", 1)))  # ImageJ leaves a distance of 1 out
    length = _length(unit)
    return _checked((across * length, length / rows, length / columns)), "what ImageJ wrote into it"


def _of_ome(fields: Mapping[str, str]) -> tuple[Spacing, str] | None:
    if "PhysicalSizeX" not in fields or "PhysicalSizeY" not in fields:
        return None
    sizes = []
    for axis in "ZYX":
        unit = fields.get(f"PhysicalSize{axis}Unit", "um")  # by the data model, where none is given
        if is_no_unit(unit) or unit == "reference frame":
            return None
        sizes.append(float(fields.get(f"PhysicalSize{axis}", 1)) * _length(unit))
    if "PhysicalSizeZ" not in fields:
        sizes[0] = 1.0 if fields.get("SizeZ", "1") == "1" else math.nan
    return _checked((sizes[0], sizes[1], sizes[2])), "its OME metadata"


def _length(unit: str) -> float:
    if (length := length_mm(unit)) is None:
        msg = f"an unknown unit of length, {unit[:40]!r}"
        raise ValueError(msg)
    return length


def _checked(spacing_mm: Spacing) -> Spacing:
    if not all(_positive(side) for side in spacing_mm):
        msg = f"a physical size of {spacing_mm} mm (Z, Y, X)"
        raise ValueError(msg)
    return spacing_mm


def _positive(number: float) -> bool:
    return 0 < number < math.inf
