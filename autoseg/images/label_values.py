"""Label values as files store them: read exactly, or refused with the values, how many, and where the first one lies.

Values beside whole numbers by no more than scaling and single precision explain are those numbers, and that is said.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError

LARGEST_LABEL: Final = int(np.iinfo(np.uint16).max)

NEARLY_WHOLE: Final = 1e-3
"""How far beside a whole number a label value may lie.

Source: ours; a map of up to 131 labels that was scaled to 16 bits lies within, an interpolated or averaged one does not.
"""

ROUNDED: Final = f"label values beside whole numbers, by at most {NEARLY_WHOLE:g}, are taken for these"

_SINGLE_PRECISION: Final = 1e-5  # of what 120.001 becomes as a 32-bit float

_LISTED = 10

_COUNTED_AT_ONCE: Final = 1 << 16
"""Voxels, which take 64 bits each while they are counted. Source: chosen; 512 KiB, and few calls."""


def exact_labels(
    found: NDArray[Any], where: Path, *, values: Collection[int] | None
) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
    """Label values of any numeric type as uint16.

    Args:
        found: the values as they are in the file, any shape.
        where: the file, for messages.
        values: those that may occur; None: all from 0 to `LARGEST_LABEL`.

    Returns:
        the labels, and a warning where some lay beside whole numbers by no more than `NEARLY_WHOLE`.

    Raises:
        ImageError: fractions, not finite, negative, too large or undeclared values.
    """
    warnings: tuple[str, ...] = ()
    if found.dtype.kind == "f":
        whole = np.rint(found)
        with np.errstate(invalid="ignore"):
            beside = found - whole  # NaN where a value is not finite
        np.abs(beside, out=beside)
        fractions = ~(beside <= NEARLY_WHOLE + _SINGLE_PRECISION)
        if fractions.any():
            expected = f"whole numbers, or values within {NEARLY_WHOLE:g} of one"
            raise _wrong_labels(found, fractions, where, expected=expected)
        found, warnings = whole, (ROUNDED,) if beside.any() else ()
    if found.min() < 0 or found.max() > LARGEST_LABEL:
        raise _wrong_labels(found, (found < 0) | (found > LARGEST_LABEL), where, expected=f"0 to {LARGEST_LABEL}")
    labels: NDArray[np.uint16] = found.astype(np.uint16)
    if values is not None:
        undeclared = sorted(set(np.flatnonzero(voxel_counts(labels)).tolist()) - set(values))
        if undeclared:
            declared = ", ".join(str(value) for value in sorted(values))
            raise _wrong_labels(labels, np.isin(labels, undeclared), where, expected=f"the declared values {declared}")
    return labels, warnings


def voxel_counts(labels: NDArray[np.uint16], *, largest: int = 0) -> NDArray[np.int64]:
    """How many voxels have each label value, (1 + the largest value,).

    Args:
        labels: label values, of any shape.
        largest: a value that is counted even where it does not occur.
    """
    counts = np.zeros(1 + max(int(labels.max(initial=0)), largest), dtype=np.int64)
    voxels = labels.reshape(-1)
    for start in range(0, voxels.size, _COUNTED_AT_ONCE):
        counts += np.bincount(voxels[start : start + _COUNTED_AT_ONCE], minlength=len(counts))
    return counts


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
