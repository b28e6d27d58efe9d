"""Copies: files that hold the same slice."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from autoseg.formats.dicom_fields import Field
from autoseg.images.dicom.slice import Slice

_OF_THE_FILE: Final = frozenset({Field.SOP_UID, Field.INSTANCE_NUMBER, Field.LOSSY})
"""What copies of a slice may differ in."""

_Said = tuple[tuple[Field, str], ...]


def without_copies(slices: Sequence[Slice]) -> list[Slice]:
    """Slices, in their order, without those that say and show the same as another.

    Raises:
        ImageError: the pixels of one cannot be read.
    """
    said = [_said(one) for one in slices]
    counts = Counter(said)
    kept: dict[tuple[_Said, str], Slice] = {}
    for one, words in zip(slices, said, strict=True):
        shown = _shown(one) if counts[words] > 1 else ""  # pixels are decoded where they decide, and once
        kept.setdefault((words, shown), one)
    return list(kept.values())


def is_copy(one: Slice, other: Slice) -> bool:
    """Whether two files hold the same slice.

    Raises:
        ImageError: the pixels of one cannot be read.
    """
    return len(without_copies([one, other])) == 1


def _said(one: Slice) -> _Said:
    """What a slice says, but for what concerns its file."""
    return tuple(sorted((field, text) for field, text in one.fields.items() if field not in _OF_THE_FILE))


def _shown(one: Slice) -> str:
    """Digits that stand for its pixels."""
    one.check()
    return hashlib.sha256(np.ascontiguousarray(one.pixels()).data).hexdigest()
