"""Segmentations of 3D Slicer as label maps: segments are classes by their names, layers are put together, crops placed.

Label values tell segments of one file apart and may mean something else in the next; names are what they are called by.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import AutosegError, DatasetError, ImageError
from autoseg.formats import named_format
from autoseg.formats.header import Header
from autoseg.formats.nrrd import NRRD
from autoseg.formats.segments import Segment
from autoseg.formats.verification import describe
from autoseg.images.geometry import Geometry
from autoseg.images.label_values import LARGEST_LABEL
from autoseg.wording import listing

BACKGROUND: Final = "background"
_NO_CLASSES: Final = {BACKGROUND, "ignore"}
"""What label values are called that are no class's."""

_LISTED: Final = 10
_AUTOMATIC: Final = re.compile(r"(segment|label|class)[ _]?\d+", re.IGNORECASE)
"""Names that say nothing: of 3D Slicer's new segments, of label maps opened as segmentations, and of classes without any."""


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
    names = [segment.name for segment in segments]
    _refuse_namesakes(names, names, where)
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
    """Classes by the names of segments, whatever the case of their letters; None where no label map names any.

    Where some label maps have no segments, only their values tell what is in them. Then names of the kind that 3D Slicer
    gives by itself count only for values that no other name has.

    Raises:
        DatasetError: a file names two segments alike, or some label maps name nothing, and the same value has several names
            in the others, or the same name several values.
    """
    found = {path: _segments_in(path) for path in label_maps}
    unnamed = [path for path, segments in found.items() if not segments]
    if unnamed:
        found = _without_automatic(found)
    spellings: dict[str, set[str]] = defaultdict(set)
    for path, segments in found.items():
        names = [segment.name for segment in segments]
        keys = [_folded(name) for name in names]
        _refuse_namesakes(names, keys, path)
        for key, name in zip(keys, names, strict=True):
            spellings[key].add(name)
    if not spellings:
        return None
    spellings.pop(BACKGROUND, None)
    contradiction = _contradiction(found)
    if unnamed and contradiction:
        raise DatasetError(
            "segments are told by their names, and this label map has none",
            where=unnamed[0],
            expected="named segments, or label values that mean the same in all files",
            found=contradiction,
            remedy="Save it from 3D Slicer with named segments, or give all segments of one name the same label value.",
        )
    if contradiction:
        numbered = dict(enumerate(sorted(map(min, spellings.values())), start=1))
    else:
        by_key = {_folded(segment.name): segment.value for segments in found.values() for segment in segments}
        numbered = dict(sorted((by_key[key], min(names)) for key, names in spellings.items()))
    return NamedClasses({0: BACKGROUND, **numbered}, own=contradiction is None)


def _segments_in(path: Path) -> tuple[Segment, ...]:
    if named_format(path) is not NRRD:
        return ()
    try:
        described = describe(path)
    except (OSError, AutosegError):  # reading it will say what is wrong
        return ()
    return described.segments if isinstance(described, Header) else ()


def _without_automatic(found: Mapping[Path, Sequence[Segment]]) -> dict[Path, tuple[Segment, ...]]:
    """The segments without those that Slicer named and whose values others name; none where it named all of them."""
    named = {one.value for segments in found.values() for one in segments if not _AUTOMATIC.fullmatch(one.name)}
    return {
        path: tuple(one for one in segments if named and not (_AUTOMATIC.fullmatch(one.name) and one.value in named))
        for path, segments in found.items()
    }


def _contradiction(found: Mapping[Path, Sequence[Segment]]) -> str | None:
    """Where a name has two label values, or a value two names; None: values mean the same in all files."""
    by_name: dict[str, tuple[Segment, Path]] = {}
    by_value: dict[int, tuple[Segment, Path]] = {}
    for path, segments in found.items():
        for segment in segments:
            name, value = _folded(segment.name), segment.value
            if name == BACKGROUND:
                continue
            for first, where in (by_name.setdefault(name, (segment, path)), by_value.setdefault(value, (segment, path))):
                if (_folded(first.name), first.value) != (name, value):
                    return f"{first.name} is {first.value} in {where}, {segment.name} is {value} in {path}"
    return None


def _folded(name: str) -> str:
    """A name for comparing, whatever the case of its letters and their Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


def _refuse_namesakes(names: Sequence[str], keys: Sequence[Hashable], where: Path) -> None:
    """Refuse segments that share what they are told by."""
    counts = Counter(keys)
    if repeated := list(dict.fromkeys(name for name, key in zip(names, keys, strict=True) if counts[key] > 1)):
        raise DatasetError(
            "several segments of one name",
            where=where,
            found=", ".join(repeated),
            remedy="Give each segment a name of its own in 3D Slicer.",
        )


def _values(segments: Sequence[Segment], where: Path, *, values: Collection[int] | None) -> dict[str, int]:
    """The class value of every segment by its name.

    Segments with the name of a class have its value. Those that 3D Slicer named keep theirs where it is a class's that no
    other segment has; all do where the classes have no names that say anything.
    """
    classes: Mapping[int, str] = values if isinstance(values, Mapping) else {}
    own = {segment.name: segment.value for segment in segments}
    chosen = _called(own, classes)
    _refuse_namesakes(list(chosen), list(chosen.values()), where)
    rest = {name: value for name, value in own.items() if name not in chosen}
    if chosen or any(name not in _NO_CLASSES and not _AUTOMATIC.fullmatch(name) for name in classes.values()):
        free = classes.keys() - chosen.values()
        if unknown := sorted(name for name, value in rest.items() if value not in free or not _AUTOMATIC.fullmatch(name)):
            raise ImageError(
                "segments that are no classes",
                where=where,
                expected=", ".join(dict.fromkeys(classes.values())),
                found=", ".join(unknown),
                remedy="Rename them in 3D Slicer, or declare them as classes.",
            )
    if len(set(rest.values())) < len(rest) or max(rest.values(), default=0) > LARGEST_LABEL:
        raise ImageError(
            "segments in several layers share label values, and none is called like a class",
            where=where,
            expected="names of classes" + (f" ({', '.join(classes.values())})" if classes else ""),
            found=", ".join(sorted(rest)),
            remedy="Rename them in 3D Slicer like the classes.",
        )
    return chosen | rest


def _called(names: Collection[str], classes: Mapping[int, str]) -> dict[str, int]:
    """The values of the classes that segments are called like, where that leaves no doubt."""
    exact = {name: value for value, name in classes.items()}
    counts = Counter(map(_folded, exact))
    alike = {_folded(name): value for name, value in exact.items() if counts[_folded(name)] == 1}
    found = {name: exact.get(name, alike.get(_folded(name))) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _overlap(layers: NDArray[Any], segments: Sequence[Segment], both: NDArray[np.bool_], where: Path) -> ImageError:
    first = tuple(int(index) for index in np.unravel_index(np.argmax(both), both.shape))
    there = [segment.name for segment in segments if layers[(segment.layer, *first)] == segment.value]
    return ImageError(
        "segments that overlap",
        where=where,
        expected="at most one segment at each voxel",
        found=f"{np.count_nonzero(both)} voxels in several, the first at {first} (Z, Y, X): {listing(there)}",
        remedy="Remove the overlap in 3D Slicer (Segment Editor, masking: overwrite other segments).",
    )
