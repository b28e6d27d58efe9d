"""One series taken apart: into stacks of slices that each are a volume, by place, by form, and by what tells them apart.

A series need not be one volume. Localizers hold slices along several axes; echoes, b-values, time points and reconstructions
lie on top of each other; and exports hold slices twice. A series is taken apart only where that explains all of its slices:
where it does not, it stays whole, and reading it says what is wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np

from autoseg.formats.dicom_fields import Field
from autoseg.formats.remarks import Remark
from autoseg.images.dicom.copies import without_copies
from autoseg.images.dicom.naming import cleaned, distinctions
from autoseg.images.dicom.slice import ORIENTATION_TOLERANCE, Slice
from autoseg.images.dicom.stacks import Part, by_elements, by_order
from autoseg.images.dicom.volume import ROUNDING_MM, SPACING_TOLERANCE

_SAME_PLACE: Final = 0.1
"""Slices nearer to each other than this fraction of a pixel, rounding apart, lie at one place. Source: ours."""

_PARALLEL: Final = 0.99
"""Least cosine between the normals of stacks that lie along one axis, some 8 degrees. Source: ours."""

_PLANES: Final = ("sagittal", "coronal", "axial")
_RADIOGRAPHS: Final = frozenset({"CR", "DX", "IO", "MG", "PX"})
"""Modalities whose images lie nowhere and are alone: projections."""


def take_apart(slices: Sequence[Slice]) -> list[Part]:
    """The stacks of one series.

    Args:
        slices: by path; no two of them have one identity.

    Raises:
        ImageError: a header has damaged numbers.
    """
    if not all(one.has_position for one in slices):
        if len(slices) > 1 and all(one.fields.get(Field.MODALITY) in _RADIOGRAPHS for one in slices):
            numbers = distinctions(slices, [_instance, lambda one: cleaned(one.path.stem)])
            return [Part((one,), f"image{number}") for one, number in zip(slices, numbers, strict=True)]
        return [Part(tuple(slices))]
    forms = _by_form(slices)
    if len(forms) == 1:
        return _by_place(forms[0])
    if not _are_volumes(forms):
        return [Part(tuple(_in_order(slices)))]
    names = distinctions(forms, [_plane, lambda form: "{}x{}".format(*form[0].size_px), _pixel, _first_instance])
    remark = Remark(f"its series holds {len(forms)} stacks of different orientation or size")
    return [
        Part(part.slices, "_".join(filter(None, [name, part.name])), (remark, *part.warnings), part.error)
        for form, name in zip(forms, names, strict=True)
        for part in _by_place(form)
    ]


def _by_form(slices: Iterable[Slice]) -> list[list[Slice]]:
    """Slices that are alike in size, pixels and orientation, each group in order."""
    forms: list[list[Slice]] = []
    for one in slices:
        form = next((form for form in forms if _is_alike(one, form[0])), None)
        if form is None:
            forms.append([one])
        else:
            form.append(one)
    return [_in_order(form) for form in forms]


def _is_alike(one: Slice, other: Slice) -> bool:
    same_size = one.size_px == other.size_px and np.allclose(
        one.spacing_mm, other.spacing_mm, rtol=SPACING_TOLERANCE, atol=0
    )
    return bool(same_size and np.abs(one.orientation - other.orientation).max() <= ORIENTATION_TOLERANCE)


def _are_volumes(forms: Sequence[Sequence[Slice]]) -> bool:
    """Whether groups of different form are volumes of their own, and not one volume with odd slices.

    Those that lie along one axis must cover the same places, and a single slice stands for itself only among others.
    """
    if min(map(len, forms)) == 1 < max(map(len, forms)):
        return False
    for one, other in combinations(forms, 2):
        if abs(one[0].normal @ other[0].normal) > _PARALLEL:
            places_mm, others_mm = (sorted(_along(level[0], one[0]) for level in _levels(form)) for form in (one, other))
            if len(places_mm) != len(others_mm) or not np.allclose(places_mm, others_mm, atol=_tolerance_mm(one[0])):
                return False
    return True


def _by_place(slices: Sequence[Slice]) -> list[Part]:
    """Slices of one form, in order: one stack, or as many as lie on top of each other."""
    levels = _levels(slices)
    if len(levels) == len(slices):
        return [Part(tuple(slices))]
    if parts := by_elements(levels):
        return parts
    kept = [without_copies(level) for level in levels]
    copies = [one.path for level, some in zip(levels, kept, strict=True) for one in level if one not in some]
    if copies and (parts := _whole(kept) or by_elements(kept) or by_order(kept)):
        remark = Remark(f"{len(copies)} copies of slices of its series are left out, such as {copies[0]}")
        return [replace(part, warnings=(*part.warnings, remark)) for part in parts]
    return by_order(levels) or [Part(tuple(slices))]


def _whole(levels: Sequence[Sequence[Slice]]) -> list[Part]:
    """One stack, where there is one slice at every place; else none."""
    return [Part(tuple(level[0] for level in levels))] if max(map(len, levels)) == 1 else []


def _levels(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices in order, those of one place together."""
    levels: list[list[Slice]] = []
    tolerance_mm = _tolerance_mm(slices[0])
    for one in slices:
        if levels and _along(one, slices[0]) - _along(levels[-1][0], slices[0]) <= tolerance_mm:
            levels[-1].append(one)
        else:
            levels.append([one])
    return levels


def _in_order(slices: Iterable[Slice]) -> list[Slice]:
    """By position along their normal."""
    slices = list(slices)
    return sorted(slices, key=lambda one: (_along(one, slices[0]), one.path))


def _along(one: Slice, first: Slice) -> float:
    return float(one.position_mm @ first.normal)


def _tolerance_mm(one: Slice) -> float:
    return min(ROUNDING_MM, _SAME_PLACE * float(one.spacing_mm.min()))


def _plane(form: Sequence[Slice]) -> str:
    return _PLANES[int(np.abs(form[0].normal).argmax())]


def _pixel(form: Sequence[Slice]) -> str:
    return cleaned(f"{form[0].spacing_mm[0]:g}mm")


def _instance(one: Slice) -> str:
    return cleaned(one.fields.get(Field.INSTANCE_NUMBER, ""))


def _first_instance(form: Sequence[Slice]) -> str:
    return min(map(_instance, form), key=lambda number: number.zfill(12))
