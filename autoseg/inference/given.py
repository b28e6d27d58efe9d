"""A scan as callers give it: an array with what places its voxels, or the files that say all of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import NotFinite
from autoseg.errors import ImageError, UsageError
from autoseg.formats.finite import not_finite_in_words, zero_not_finite
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.inference.scan_files import Channels
from autoseg.inference.scans import Scan, find_scans
from autoseg.inference.segmenter import Segmenter

Given = NDArray[Any] | str | Path | Sequence[str | Path]
"""An array; a file; a folder of one DICOM series; or a file for each channel, in whatever order if their names tell it."""

Direction = Sequence[float] | Sequence[Sequence[float]]
"""Nine direction cosines, row by row, or three rows of three."""

_DIRECTION: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_REMEDY: Final = "See the help of LoadedModel.predict."


@dataclass(frozen=True)
class Placed:
    """What places the voxels of an array; None: the default, or what the files say.

    Attributes:
        spacing_mm: along the spatial axes of the array.
        direction: nine direction cosines, or three rows of three.
        origin_mm: position of the first voxel.
    """

    spacing_mm: Sequence[float] | None = None
    direction: Direction | None = None
    origin_mm: Sequence[float] | None = None

    @property
    def is_given(self) -> bool:
        """Whether any of it is."""
        return any(each is not None for each in (self.spacing_mm, self.direction, self.origin_mm))


def given_image(given: Given, placed: Placed, segmenter: Segmenter, *, with_uncertainty: bool = False) -> Image:
    """The scan, after it was found to be one that a model reads and that there is memory for.

    Raises:
        ImageError: it is none: wrong axes or channels, voxels that are no intensities, or placed as no scan is.
        MemoryLimitError: segmenting it would take more memory than is allowed.
        UsageError: there are no such files, there are several scans, or an array's placement is given for files.
    """
    files = _files(given)
    if files is None:
        channels, geometry = _placed(np.asarray(given), placed, segmenter)
        segmenter.admit(geometry, 0, with_uncertainty=with_uncertainty)
        return _intensities(channels, geometry, not_finite=segmenter.ensemble.not_finite)
    if placed.is_given:
        raise UsageError("files say themselves where their voxels lie", remedy="Give no spacing, direction or origin.")
    ensemble = segmenter.ensemble
    scan = _only_scan(files, names=ensemble.data.channels)
    return scan.read(
        channels=len(ensemble.data.channels),
        not_finite=ensemble.not_finite,
        admit=partial(segmenter.admit, with_uncertainty=with_uncertainty),
    )


def _files(given: Given) -> tuple[Path, ...] | None:
    """The files that a scan is given as; None where it is an array."""
    if isinstance(given, str | Path):
        return (Path(given),)
    if isinstance(given, list | tuple) and given and all(isinstance(each, str | Path) for each in given):
        return tuple(map(Path, given))
    return None


def _only_scan(files: Sequence[Path], *, names: Sequence[str]) -> Scan:
    if len(files) > 1:
        return _channel_by_channel(files, Channels(len(names), tuple(names)))
    found = find_scans(files[0], channels=len(names), names=names)
    for _, error in found.failures:
        raise error
    if len(found.scans) > 1:
        raise UsageError(
            "several scans",
            where=files[0],
            found=f"{len(found.scans)} scans",
            remedy="Name one of them; `autoseg.predict` segments whole folders.",
        )
    return found.scans[0]


def _channel_by_channel(files: Sequence[Path], channels: Channels) -> Scan:
    """A scan of a file per channel: in the model's order where every name tells its channel, else in that given.

    Raises:
        UsageError: two of the files hold the same channel by their names.
    """
    told = [channels.of_file(path)[1] for path in files]
    known = {number: path for number, path in zip(told, files, strict=True) if number is not None}
    if None in told:
        return Scan("scan", tuple(files))
    if len(known) < len(files):
        raise UsageError(
            "several files of one channel, by their names",
            found=", ".join(path.name for path in files),
            remedy="Name one file per channel.",
        )
    missing = channels.missing(files[0], known)
    return Scan("scan", tuple(path for _, path in sorted(known.items())), missing=missing)


def _placed(volume: NDArray[Any], placed: Placed, segmenter: Segmenter) -> tuple[NDArray[Any], Geometry]:
    """An array, of whatever number type, with channels first and three spatial axes; and where its voxels lie."""
    ensemble = segmenter.ensemble
    flat = ensemble.for_images
    spatial = 2 if flat else 3
    channels = volume[np.newaxis] if volume.ndim == spatial else volume
    direction, spacing_mm = _numbers(placed.direction, _DIRECTION), _numbers(placed.spacing_mm, ())
    origin_mm = _numbers(placed.origin_mm, (0.0, 0.0, 0.0))
    _check_direction(direction)
    _check(channels, spacing_mm, spatial=spatial, channels_wanted=len(ensemble.data.channels))
    if len(origin_mm) != 3 or not np.isfinite(origin_mm).all():
        raise _unfit("has no usable origin", "three numbers, in mm", f"{origin_mm}")
    if flat:
        channels, spacing_mm = channels[:, np.newaxis], (1.0, *spacing_mm)  # (C, 1, Y, X)
    geometry = Geometry(
        shape=(channels.shape[1], channels.shape[2], channels.shape[3]),
        spacing_mm=(spacing_mm[0], spacing_mm[1], spacing_mm[2]),
        origin_mm=(origin_mm[0], origin_mm[1], origin_mm[2]),
        direction=direction,
        dimensions=spatial,
    )
    return channels, geometry


def _intensities(channels: NDArray[Any], geometry: Geometry, *, not_finite: NotFinite) -> Image:
    """The scan in float32, a copy."""
    with np.errstate(over="ignore"):  # doubles beyond float32 become infinite, which is found below
        array = channels.astype(np.float32)
    warnings = zero_not_finite(array, channels) if not_finite == "zero" else ()
    finite = np.isfinite(array)
    if not finite.all():
        first = np.unravel_index(np.argmin(finite), finite.shape)
        found = not_finite_in_words(int(np.count_nonzero(~finite)), first)
        raise _unfit("holds voxels that are not finite numbers", "intensities that fit into 32-bit floats", found)
    return Image(array, geometry, warnings)


def _numbers(given: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """Numbers, those of a matrix row by row; for what are none a single NaN, by which nothing can be placed."""
    if given is None:
        return default
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        return (math.nan,)
    return tuple(numbers.ravel().tolist())


def _check(channels: NDArray[Any], spacing_mm: Sequence[float], *, spatial: int, channels_wanted: int) -> None:
    axes = "(Z, Y, X)" if spatial == 3 else "(Y, X)"
    if channels.ndim != spatial + 1 or 0 in channels.shape:
        raise _unfit("has not the axes of a scan", f"{axes}, or channels first", f"shape {channels.shape}")
    if len(channels) != channels_wanted:
        raise _unfit("has another number of channels than the model reads", f"{channels_wanted}", f"{len(channels)}")
    if channels.dtype.kind not in "buif":
        raise _unfit("holds values that are no intensities", "real numbers", f"{channels.dtype}")
    if len(spacing_mm) != spatial or not all(0 < side < np.inf for side in spacing_mm):
        found = f"{tuple(spacing_mm)}" if spacing_mm else "none"
        raise _unfit("has no usable spacing", f"spacing_mm: {spatial} numbers > 0, in mm, along {axes}", found)


def _check_direction(direction: Sequence[float]) -> None:
    cosines = np.asarray(direction, dtype=np.float64)
    usable = cosines.shape == (9,) and np.isfinite(cosines).all()
    if not usable or not np.allclose(cosines.reshape(3, 3) @ cosines.reshape(3, 3).T, np.eye(3), atol=1e-3):
        raise _unfit("has no usable direction", "nine direction cosines of axes at right angles", f"{tuple(direction)}")


def _unfit(what: str, expected: str, found: str) -> ImageError:
    return ImageError(f"the array {what}", expected=expected, found=found, remedy=_REMEDY)
