"""The segments that 3D Slicer names in the header of a `.seg.nrrd`.

Source: Slicer's documentation of the file format: pairs `Segment<n>_Name`, `Segment<n>_LabelValue` and `Segment<n>_Layer`.
Segments that overlap lie in layers, each with label values of its own. Before Slicer 4.11 a segment was a layer of 0 and 1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_KEY: Final = re.compile(r"Segment(\d+)_(ID|Name|LabelValue|Layer)")
_MOST_SEGMENTS: Final = 65_535
"""As many as label values."""


@dataclass(frozen=True)
class Segment:
    """One segment of a file.

    Attributes:
        name: what it is called.
        layer: in which it lies.
        value: label value that stands for it there.
    """

    name: str
    layer: int
    value: int


def segments_of(pairs: Mapping[str, str], *, layers: int) -> tuple[Segment, ...]:
    """The segments that the pairs of a header name, in their order; none where it is no segmentation of Slicer.

    Args:
        pairs: keys and values of the header.
        layers: of the file.

    Raises:
        ValueError: they contradict themselves.
    """
    said: dict[int, dict[str, str]] = {}
    for key, value in pairs.items():
        if (found := _KEY.fullmatch(key)) is not None:
            said.setdefault(int(found[1]), {})[found[2]] = value
    segments = tuple(_segment(number, fields) for number, fields in sorted(said.items()))
    _check(segments, layers=layers)
    return segments


def _segment(number: int, fields: Mapping[str, str]) -> Segment:
    name = fields.get("Name") or fields.get("ID") or f"Segment_{number + 1}"
    old = "LabelValue" not in fields
    return Segment(
        name=name.strip(),
        layer=int(fields.get("Layer", number if old else 0)),
        value=1 if old else int(fields["LabelValue"]),
    )


def _check(segments: tuple[Segment, ...], *, layers: int) -> None:
    if len(segments) > _MOST_SEGMENTS:
        msg = f"{len(segments)} segments"
        raise ValueError(msg)
    if outside := [segment.name for segment in segments if not 0 <= segment.layer < layers]:
        msg = f"segments in layers that are not there ({', '.join(outside)})"
        raise ValueError(msg)
    if any(segment.value < 1 for segment in segments):
        msg = "segments with label values below 1"
        raise ValueError(msg)
    places = [(segment.layer, segment.value) for segment in segments]
    if len(set(places)) < len(places):
        msg = "several segments with one label value in one layer"
        raise ValueError(msg)
