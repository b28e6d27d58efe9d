"""How a plane cuts a case into slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from autoseg.catalogue import Crop, Plane
from autoseg.planning.case_fingerprint import AnatomicalAxis, CaseFingerprint

PLANE_AXES: Final[Mapping[Plane, tuple[AnatomicalAxis, AnatomicalAxis, AnatomicalAxis]]] = {
    "axial": ("inferior-superior", "posterior-anterior", "left-right"),
    "coronal": ("posterior-anterior", "inferior-superior", "left-right"),
    "sagittal": ("left-right", "inferior-superior", "posterior-anterior"),
}
"""For each plane, the patient axes across the slices, along their rows and along their columns."""

THICK_RATIO: Final = 1.3
"""An axis this much coarser than the next is across the slices.

Source: chosen, because below it the planes hardly differ; on IBSR18 (1.5 : 0.94 mm) coronal slices reached a mean Dice
of .923, axial ones .911."""

WHOLE_SLICE_PATCHES: Final = 4
"""Slices of up to this many times a patch's area are predicted whole.

Source: ours; without gradients a slice takes less than a quarter of the memory it takes in training.
"""


@dataclass(frozen=True)
class Stack:
    """The slices of one case: how many, their size in pixels, and how many of them have no labelled pixel."""

    slices: int
    rows_px: int
    columns_px: int
    without_labels: int = 0

    @property
    def labelled(self) -> int:
        """Slices that have a labelled pixel."""
        return self.slices - self.without_labels


def thick_axis(case: CaseFingerprint) -> AnatomicalAxis | None:
    """The axis of a volume that is clearly coarser than the others: slices across it are the finest; None: none is."""
    _, (middle_mm, _), (thick_mm, axis) = sorted(zip(case.spacing_mm, case.axes, strict=True))
    return axis if thick_mm / middle_mm >= THICK_RATIO else None


def array_axes(case: CaseFingerprint, plane: Plane | None) -> tuple[int, int, int]:
    """The array axes (0, 1, 2 for Z, Y, X) across the slices, along rows and along columns; None: a 2D image."""
    if plane is None:
        return 0, 1, 2
    across, rows, columns = PLANE_AXES[plane]
    return case.axes.index(across), case.axes.index(rows), case.axes.index(columns)


def in_plane_spacing_mm(case: CaseFingerprint, plane: Plane | None) -> tuple[float, float]:
    """The case's own spacing along rows and columns, in mm."""
    _, rows, columns = array_axes(case, plane)
    return case.spacing_mm[rows], case.spacing_mm[columns]


def stack_of(
    case: CaseFingerprint, *, plane: Plane | None, spacing_mm: tuple[float, float] | None, crop: Crop, margin_px: int
) -> Stack:
    """The slices that preprocessing will make of a case.

    Args:
        case: the case before preprocessing.
        plane: plane of the slices; None for a 2D image.
        spacing_mm: in-plane spacing (rows, columns) after resampling; None: the case keeps its own.
        crop: what is cut away.
        margin_px: voxels kept around the nonzero box.
    """
    kept = [
        min(stop + margin_px, size) - max(start - margin_px, 0) if crop == "nonzero" else size
        for (start, stop), size in zip(case.nonzero_box, case.shape, strict=True)
    ]
    across, rows, columns = (kept[axis] for axis in array_axes(case, plane))
    if spacing_mm is not None:
        own = in_plane_spacing_mm(case, plane)
        rows = max(1, round(rows * own[0] / spacing_mm[0]))
        columns = max(1, round(columns * own[1] / spacing_mm[1]))
    labelled = across if case.unlabelled is None else case.unlabelled.labelled_slices[array_axes(case, plane)[0]]
    return Stack(slices=across, rows_px=rows, columns_px=columns, without_labels=max(across - labelled, 0))


def typical_side(stacks: Sequence[Stack]) -> float:
    """Pixels that the shorter side of a typical slice has."""
    return median(min(stack.rows_px, stack.columns_px) for stack in stacks)


def seen_at_once(size_px: tuple[int, int], patch_px: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a slice that a network predicts at once: all of them, or those of a tile."""
    if size_px[0] * size_px[1] <= WHOLE_SLICE_PATCHES * patch_px[0] * patch_px[1]:
        return size_px
    return min(size_px[0], patch_px[0]), min(size_px[1], patch_px[1])
