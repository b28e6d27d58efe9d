"""DICOM series: found in a folder, and examined before they are read as one volume.

SimpleITK reads a series with a missing slice without complaint and stretches the others over the gap, so positions and
orientations are compared first.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.errors import ImageError

GAP_TOLERANCE: Final = 0.01
"""Gaps between slices may differ by this share of the usual one. Source: ours; positions are often rounded to 0.01 mm."""

ORIENTATION_TOLERANCE: Final = 1e-3
"""Direction cosines of one series may differ by this much. Source: ours; they are often rounded to three decimals."""

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_SERIES_UID, _SERIES_NUMBER = "0020|000e", "0020|0011"
_POSITION, _ORIENTATION = "0020|0032", "0020|0037"
_EXPORT_AGAIN: Final = "Export the series again, or convert it to NIfTI, for example with dcm2niix."


@dataclass(frozen=True)
class Series:
    """The files of one acquisition.

    Attributes:
        number: its number in the examination, as DICOM has it; empty where it has none.
        files: in the order of the slices.
    """

    number: str
    files: tuple[Path, ...]


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content: the letters DICM after 128 bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return stream.read(_PREAMBLE_BYTES + len(_MAGIC))[_PREAMBLE_BYTES:] == _MAGIC


def find_series(paths: Sequence[Path]) -> tuple[Series, ...]:
    """Group DICOM files of one folder by series.

    Args:
        paths: DICOM files.

    Returns:
        the series by rising number.

    Raises:
        ImageError: a file's header cannot be read.
    """
    members: defaultdict[str, list[tuple[Path, Any]]] = defaultdict(list)
    for path in sorted(paths):
        header = _header(path)
        members[_tag(header, _SERIES_UID)].append((path, header))
    found = [
        Series(number=_tag(slices[0][1], _SERIES_NUMBER), files=tuple(path for path, _ in _in_order(slices)))
        for slices in members.values()
    ]
    return tuple(sorted(found, key=lambda series: (series.number.zfill(12), series.files)))


def check_series(paths: Sequence[Path]) -> None:
    """Insist that files are the parallel, evenly spaced slices of one volume.

    Args:
        paths: the files of a series in the order of its slices.

    Raises:
        ImageError: a slice is missing or there twice, or slices differ in size or orientation.
    """
    if len(paths) == 1:  # alone it may also hold all slices
        return
    headers = [_header(path) for path in paths]
    for path, header in zip(paths, headers, strict=True):
        if header.GetSize() != headers[0].GetSize():
            raise _mismatch("the slices of the series differ in size", path, headers[0].GetSize(), header.GetSize())
        turned = np.abs(_numbers(header, _ORIENTATION, path) - _numbers(headers[0], _ORIENTATION, paths[0])).max()
        if turned > ORIENTATION_TOLERANCE:
            first, other = _tag(headers[0], _ORIENTATION), _tag(header, _ORIENTATION)
            raise _mismatch("the slices of the series are not parallel", path, first, other)
    _check_gaps(paths, np.diff([_height_mm(header, path) for path, header in zip(paths, headers, strict=True)]))


def _check_gaps(paths: Sequence[Path], gaps_mm: NDArray[np.float64]) -> None:
    usual_mm = float(np.median(gaps_mm))
    uneven = np.flatnonzero(np.abs(gaps_mm - usual_mm) > GAP_TOLERANCE * usual_mm)
    if usual_mm <= 0 or uneven.size:
        index = int(uneven[0]) if uneven.size else 0
        raise _mismatch(
            "a slice of the series is missing, repeated or out of place",
            paths[index + 1],
            f"{usual_mm:.4g} mm between slices",
            f"{gaps_mm[index]:.4g} mm after {paths[index].name}",
        )


def _mismatch(what: str, path: Path, expected: object, found: object) -> ImageError:
    return ImageError(what, where=path, expected=expected, found=found, remedy=_EXPORT_AGAIN)


def _in_order(slices: Sequence[tuple[Path, Any]]) -> list[tuple[Path, Any]]:
    """By position along the slices' common normal; files without a position keep the order of their names."""
    if any(not header.HasMetaDataKey(_POSITION) for _, header in slices):
        return list(slices)
    return sorted(slices, key=lambda item: (_height_mm(item[1], item[0]), item[0]))


def _height_mm(header: Any, path: Path) -> float:
    """Where a slice lies along its normal."""
    orientation = _numbers(header, _ORIENTATION, path)
    normal = np.cross(orientation[:3], orientation[3:])
    return float(_numbers(header, _POSITION, path) @ normal)


def _numbers(header: Any, tag: str, path: Path) -> NDArray[np.float64]:
    count = {_POSITION: 3, _ORIENTATION: 6}[tag]
    text = _tag(header, tag)
    try:
        values = np.array([float(number) for number in text.split("\\")])
    except ValueError:
        values = np.zeros(0)
    if values.size != count or not np.isfinite(values).all():
        raise ImageError(
            f"DICOM tag ({tag.replace('|', ',')}) does not say where the slice lies",
            where=path,
            expected=f"{count} numbers",
            found=text or "nothing",
            remedy=_EXPORT_AGAIN,
        )
    return values


def _tag(header: Any, tag: str) -> str:
    return str(header.GetMetaData(tag)).strip() if header.HasMetaDataKey(tag) else ""


def _header(path: Path) -> Any:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as cause:
        raise ImageError(
            f"its DICOM header cannot be read ({str(cause).strip().splitlines()[-1]})", where=path, remedy=_EXPORT_AGAIN
        ) from None
    return reader
