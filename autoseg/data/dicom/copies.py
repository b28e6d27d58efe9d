"""Copies: files that hold the same slice."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from autoseg.data.dicom.slice import Slice
from autoseg.formats.dicom_fields import Field

_OF_THE_FILE: Final = frozenset({Field.SOP_UID, Field.INSTANCE_NUMBER, Field.LOSSY})
"""What copies of a slice may differ in."""


def without_copies(slices: Iterable[Slice]) -> list[Slice]:
    """Slices, in their order, without those that say and show the same as another.

    Raises:
        ImageError: the pixels of one cannot be read.
    """
    kept: list[Slice] = []
    for one in slices:
        if not any(is_copy(one, other) for other in kept):
            kept.append(one)
    return kept


def is_copy(one: Slice, other: Slice) -> bool:
    """Whether two files hold the same slice.

    Raises:
        ImageError: the pixels of one cannot be read.
    """
    said, also_said = ({key: text for key, text in each.fields.items() if key not in _OF_THE_FILE} for each in (one, other))
    if said != also_said:
        return False
    one.check()
    other.check()
    return bool(np.array_equal(one.pixels(), other.pixels()))
