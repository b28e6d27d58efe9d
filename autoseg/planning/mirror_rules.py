"""What the data dictates about mirroring: which axes of slices may be flipped, one function per decision."""

from collections.abc import Sequence
from statistics import median
from typing import Final, Literal

from autoseg.catalogue import Plane, Recipe
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.recipes import Choice
from autoseg.planning.slicing import PLANE_AXES, array_axes

Mirror = tuple[Literal["rows", "columns"], ...]

SYMMETRY_NEEDED: Final = 0.6
"""Dice between a label map and its mirror image from which mirroring is harmless.

Source: chosen between the medians of IBSR18's tissues (.70, left and right alike) and of the hippocampus (.52, one side
of the brain, whose mirror image does not occur in the data)."""

_SWAPPED: Final = (
    "Two classes lie on each other's mirror image, as left and right of a pair do: "
    "in flipped slices they could not be told apart."
)


def mirror_axes(fingerprint: Fingerprint, *, plane: Plane | None, recipe: Recipe) -> Choice[Mirror]:
    """Which in-plane axes may be flipped during training.

    Only left and right are ever alike in a patient: upside-down or back-to-front anatomy does not occur. For 2D images,
    whose axes have no anatomical meaning, the labels of both axes have to be symmetric. Classes that are each other's mirror
    image could not be told apart in flipped slices.
    """
    if recipe == "paper":
        return Choice(("rows", "columns"), "The paper uses random flips; that they go along both axes is ours.")
    if plane is None:
        rows, columns = (_median_symmetry(fingerprint, axes=[axis] * len(fingerprint.cases)) for axis in (1, 2))
        if any(_swapped(fingerprint, axes=[axis] * len(fingerprint.cases)) for axis in (1, 2)):
            return Choice((), _SWAPPED)
        alike = min(rows, columns) >= SYMMETRY_NEEDED
        return Choice(
            ("rows", "columns") if alike else (),
            f"Labels agree with their mirror images to a Dice of {rows:.2f} (rows) and {columns:.2f} (columns); both "
            f"must reach {SYMMETRY_NEEDED:g}.",
        )
    if "left-right" not in PLANE_AXES[plane][1:]:
        return Choice((), f"{plane.capitalize()} slices do not show left and right, the only symmetric axis of a patient.")
    across = [array_axes(case, plane)[2] for case in fingerprint.cases]
    if _swapped(fingerprint, axes=across):
        return Choice((), _SWAPPED)
    symmetry = _median_symmetry(fingerprint, axes=across)
    return Choice(
        ("columns",) if symmetry >= SYMMETRY_NEEDED else (),
        f"Left and right of the label maps agree to a Dice of {symmetry:.2f} in the median scan; mirroring needs "
        f"{SYMMETRY_NEEDED:g}.",
    )


def tta_axes(trained: Mirror, *, recipe: Recipe) -> Choice[Mirror]:
    """Test-time augmentation: over which flips predictions are averaged."""
    if recipe == "paper":
        return Choice((), "The paper mentions no averaging over flips.")
    if not trained:
        return Choice((), "No axis is mirrored in training.")
    return Choice(trained, "The axes mirrored in training: averaging over their flips steadies the prediction.")


def _median_symmetry(fingerprint: Fingerprint, *, axes: Sequence[int]) -> float:
    known = [case.symmetry[axis] for case, axis in zip(fingerprint.cases, axes, strict=True) if case.symmetry is not None]
    return median(known)


def _swapped(fingerprint: Fingerprint, *, axes: Sequence[int]) -> bool:
    """Whether two classes are each other's mirror image, in at least half of the scans in which that was measured."""
    known = [case.swapped[axis] for case, axis in zip(fingerprint.cases, axes, strict=True) if case.swapped is not None]
    return 2 * sum(known) >= max(len(known), 1)
