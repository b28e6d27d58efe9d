"""Label values as files store them: read exactly, or refused with the values, how many, and where the first one lies."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError

LARGEST_LABEL: Final = int(np.iinfo(np.uint16).max)

_LISTED = 10


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
