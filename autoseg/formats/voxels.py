"""Are these numbers intensities, or labels? Errors name the values, how many, and where the first one lies."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError

NotFinite = Literal["refuse", "zero"]
"""What to do with a scan some of whose voxels are NaN or infinite: refuse it, or take them for 0 and say so."""

LARGEST_LABEL: Final = int(np.iinfo(np.uint16).max)

_LISTED = 10


def check_finite(array: NDArray[np.float32], paths: Sequence[Path]) -> None:
    """Insist that intensities are numbers.

    Args:
        array: intensities, (C, Z, Y, X).
        paths: the file of each channel, or the one file of all.

    Raises:
        ImageError: some are NaN or infinite, perhaps because they exceed the range of float32.
    """
    finite = np.isfinite(array)
    if finite.all():
        return
    first = np.unravel_index(np.argmin(finite), finite.shape)
    path = paths[min(int(first[0]), len(paths) - 1)]
    raise not_finite(path, count=int(np.count_nonzero(~finite)), first=first)


def zero_not_finite(array: NDArray[np.float32], stored: NDArray[Any]) -> tuple[str, ...]:
    """Take NaN and infinities for 0.

    Args:
        array: intensities, changed in place.
        stored: the same as they are in the file, where numbers too large for float32 are still finite and stay.

    Returns:
        a remark, where there were any.
    """
    wrong = ~np.isfinite(stored)
    array[wrong] = 0.0
    count = int(np.count_nonzero(wrong))
    return (zeroed(count),) if count else ()


def zeroed(count: int) -> str:
    """The remark about voxels that were taken for 0."""
    return f"{count} voxel(s) that are NaN or infinite are taken for 0, as asked"


def not_finite(where: Path, *, count: int, first: Sequence[np.intp]) -> ImageError:
    """The error for voxels that are NaN, infinite, or too large for a float32.

    Args:
        where: their file.
        count: how many there are.
        first: array indices of the first one; the last three are Z, Y, X.
    """
    position = tuple(int(index) for index in first[-3:])
    return ImageError(
        "voxels that are not finite numbers",
        where=where,
        expected="intensities that fit into 32-bit floats",
        found=f"{count} NaN or infinite, the first at {position} (Z, Y, X)",
        remedy="Replace them, for example by 0, and save the image again.",
    )


def exact_labels(found: NDArray[Any], where: Path, *, values: Collection[int] | None) -> NDArray[np.uint16]:
    """Label values of any numeric type as uint16, none of them changed.

    Args:
        found: the values as they are in the file, any shape.
        where: the file, for messages.
        values: those that may occur; None: all from 0 to `LARGEST_LABEL`.

    Raises:
        ImageError: fractions, not finite, negative, too large or undeclared values.
    """
    if found.dtype.kind == "f":
        fractions = ~np.isfinite(found) | (np.rint(found) != found)
        if fractions.any():
            raise _wrong_labels(found, fractions, where, expected="whole numbers")
    if found.min() < 0 or found.max() > LARGEST_LABEL:
        raise _wrong_labels(found, (found < 0) | (found > LARGEST_LABEL), where, expected=f"0 to {LARGEST_LABEL}")
    labels: NDArray[np.uint16] = found.astype(np.uint16)
    if values is not None:
        undeclared = sorted(set(np.flatnonzero(np.bincount(labels.ravel())).tolist()) - set(values))
        if undeclared:
            declared = ", ".join(str(value) for value in sorted(values))
            raise _wrong_labels(labels, np.isin(labels, undeclared), where, expected=f"the declared values {declared}")
    return labels


def _wrong_labels(found: NDArray[Any], wrong: NDArray[np.bool_], where: Path, *, expected: str) -> ImageError:
    values, counts = np.unique(found[wrong], return_counts=True)
    listing = [f"{value} ({count} voxels)" for value, count in zip(values[:_LISTED], counts[:_LISTED], strict=True)]
    rest = f" and {len(values) - _LISTED} more values" if len(values) > _LISTED else ""
    first = tuple(int(index) for index in np.unravel_index(np.argmax(wrong), wrong.shape))
    return ImageError(
        "label values that cannot be",
        where=where,
        expected=expected,
        found=f"{', '.join(listing)}{rest}, the first at {first} (Z, Y, X)",
        remedy="Correct the label map or declare these values as classes. Probabilities, and label maps resampled with "
        "interpolation, are no label maps.",
    )
