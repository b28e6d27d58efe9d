"""Segmentations of 3D Slicer as label maps: segments are classes by their names, layers are put together, crops placed.

Label values tell segments of one file apart and may mean something else in the next; names are what they are called by.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import AutosegError, DatasetError, ImageError
from autoseg.formats.header import Header
from autoseg.formats.segments import Segment
from autoseg.formats.verification import describe
from autoseg.images.geometry import Geometry
from autoseg.images.label_values import LARGEST_LABEL

BACKGROUND: Final = "background"
_LISTED: Final = 10


def merged(
    layers: NDArray[Any], segments: Sequence[Segment], where: Path, *, values: Collection[int] | None
) -> NDArray[np.uint16]:
    """One label map from the layers of a file.

    Args:
        layers: label values, (L, Z, Y, X), of any whole type.
        segments: what they stand for.
        where: the file, for messages.
        values: label values of the classes, background included; as a mapping with their names. None: those of the file.

    Returns:
        (Z, Y, X), uint16: the classes' own values.

    Raises:
        ImageError: segments overlap or are no classes, or a label value is no segment's.
    """
    _refuse_namesakes(segments, where)
    occupied = [set(np.unique(layer).tolist()) for layer in layers]
    # Empty ones may be called anything.
    shown = [segment for segment in segments if segment.value in occupied[segment.layer]]
    chosen = _values(shown, where, values=values) if shown else {}
    labels = np.zeros(layers.shape[1:], dtype=np.uint16)
    taken = np.zeros(layers.shape[1:], dtype=bool)
    for number, layer in enumerate(layers):
        known = {segment.value: segment for segment in segments if segment.layer == number}
        found = occupied[number]
        if strange := sorted(found - known.keys() - {0}):
            raise ImageError(
                "label values that no segment has",
                where=where,
                expected=", ".join(f"{value} ({segment.name})" for value, segment in sorted(known.items())) or "0",
                found=", ".join(map(str, strange[:_LISTED])),
                remedy="Save the segmentation again from 3D Slicer.",
            )
        here = layer != 0
        if (both := taken & here).any():
            raise _overlap(layers, segments, both, where)
        taken |= here
        for value in found - {0}:
            labels[layer == value] = chosen[known[value].name]
    return labels


def placed(labels: NDArray[np.uint16], own: Geometry, scan: Geometry, *, where: Path, other: Path) -> NDArray[np.uint16]:
    """A label map that covers a part of its scan, on the scan's whole grid.

    Args:
        labels: label values, (Z, Y, X).
        own: where they lie.
        scan: the grid of the scan.
        where: file of the label map.
        other: file of the scan.

    Raises:
        ImageError: its voxels do not lie on those of the scan, or labels lie outside of it.
    """
    start = _first_voxel(own, scan)
    if difference := own.difference(_part(scan, start, own.shape)):
        raise ImageError(
            f"no part of the grid of {other}: {difference}",
            where=where,
            remedy="In 3D Slicer, choose the scan as source geometry of the segmentation, and save it again.",
        )
    whole = np.zeros(scan.shape, dtype=np.uint16)
    first, last = np.maximum(start, 0), np.minimum(start + own.shape, scan.shape)
    inside = tuple(slice(low, max(low, high)) for low, high in zip(first, last, strict=True))
    source = tuple(slice(part.start - begin, part.stop - begin) for part, begin in zip(inside, start, strict=True))
    kept = labels[source] if (last > first).all() else labels[:0]
    outside = np.count_nonzero(labels) - np.count_nonzero(kept)
    if outside:
        raise ImageError(
            f"labels outside {other}",
            where=where,
            expected="every labelled voxel inside the scan",
            found=f"{outside} voxels outside",
            remedy="Check that the segmentation was made on this scan.",
        )
    if kept.size:
        whole[inside] = kept
    return whole


def _first_voxel(own: Geometry, scan: Geometry) -> NDArray[np.int64]:
    """Index (Z, Y, X) of the scan's voxel nearest to the first one of a part."""
    columns = np.asarray(scan.direction, dtype=np.float64).reshape(3, 3)
    along_axes_mm = np.subtract(own.origin_mm, scan.origin_mm) @ columns  # X, Y, Z
    return np.rint(along_axes_mm[::-1] / scan.spacing_mm).astype(np.int64)


def _part(scan: Geometry, start: NDArray[np.int64], shape: tuple[int, int, int]) -> Geometry:
    """The part of a grid that begins at a voxel (Z, Y, X), which may lie outside."""
    columns = np.asarray(scan.direction, dtype=np.float64).reshape(3, 3)
    x, y, z = scan.origin_mm + columns @ (start * scan.spacing_mm)[::-1]
    return replace(scan, shape=shape, origin_mm=(float(x), float(y), float(z)))


@dataclass(frozen=True)
class NamedClasses:
    """Classes by the names of segments.

    Attributes:
        names: by label value, rising, background included.
        own: whether these are the files' own values, because they mean the same in all of them; else numbers from 1 in the
            order of the names.
    """

    names: Mapping[int, str]
    own: bool


def named_classes(label_maps: Sequence[Path]) -> NamedClasses | None:
    """Classes by the names of segments; None unless every label map is a segmentation that names them.

    Raises:
        DatasetError: a file names two segments alike.
    """
    if not label_maps:
        return None
    values: dict[str, set[int]] = defaultdict(set)
    unique = True
    for path in label_maps:
        segments = _segments_in(path)
        if not segments:
            return None
        _refuse_namesakes(segments, path)
        own = [segment.value for segment in segments]
        unique = unique and len(set(own)) == len(own)
        for segment in segments:
            values[segment.name].add(segment.value)
    values.pop(BACKGROUND, None)
    agreed = {name: next(iter(found)) for name, found in values.items() if len(found) == 1}
    shared = unique and len(agreed) == len(values) == len(set(agreed.values()))
    numbered = agreed if shared else {name: number for number, name in enumerate(sorted(values), start=1)}
    return NamedClasses({0: BACKGROUND, **dict(sorted((value, name) for name, value in numbered.items()))}, own=shared)


def _segments_in(path: Path) -> tuple[Segment, ...]:
    if not path.name.lower().endswith(".nrrd"):
        return ()
    try:
        described = describe(path)
    except (OSError, AutosegError):  # reading it will say what is wrong
        return ()
    return described.segments if isinstance(described, Header) else ()


def _refuse_namesakes(segments: Sequence[Segment], where: Path) -> None:
    repeated = [name for name, count in Counter(segment.name for segment in segments).items() if count > 1]
    if repeated:
        raise DatasetError(
            "several segments of one name",
            where=where,
            found=", ".join(repeated),
            remedy="Give each segment a name of its own in 3D Slicer.",
        )


def _values(segments: Sequence[Segment], where: Path, *, values: Collection[int] | None) -> dict[str, int]:
    """The class value of every segment by its name."""
    names = {segment.name for segment in segments}
    if isinstance(values, Mapping):
        by_name = {name: value for value, name in values.items()}
        if names & by_name.keys():
            if unknown := sorted(names - by_name.keys()):
                raise ImageError(
                    "segments that are no classes",
                    where=where,
                    expected=", ".join(by_name),
                    found=", ".join(unknown),
                    remedy="Rename them in 3D Slicer, or declare them as classes.",
                )
            return {name: by_name[name] for name in names}
    own = {segment.name: segment.value for segment in segments}
    if len(set(own.values())) < len(own) or max(own.values()) > LARGEST_LABEL:
        raise ImageError(
            "segments in several layers share label values, and none is called like a class",
            where=where,
            expected="names of classes" + (f" ({', '.join(values.values())})" if isinstance(values, Mapping) else ""),
            found=", ".join(sorted(names)),
            remedy="Rename them in 3D Slicer like the classes.",
        )
    return own


def _overlap(layers: NDArray[Any], segments: Sequence[Segment], both: NDArray[np.bool_], where: Path) -> ImageError:
    first = tuple(int(index) for index in np.unravel_index(np.argmax(both), both.shape))
    there = [segment.name for segment in segments if layers[(segment.layer, *first)] == segment.value]
    return ImageError(
        "segments that overlap",
        where=where,
        expected="at most one segment at each voxel",
        found=f"{np.count_nonzero(both)} voxels in several, the first at {first} (Z, Y, X): {' and '.join(there)}",
        remedy="Remove the overlap in 3D Slicer (Segment Editor, masking: overwrite other segments).",
    )
