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

SIDE_OFFSET: Final = 0.1
"""A class lies on one side where the middle of its box is further than this from that of the nonzero box, in its lengths.

Source: chosen; the tissues of IBSR18 lie within .01, and the parts of the hippocampus, whose scans are cut around it, in
78 of 80 places. The middle of a kidney is some 60 mm from that of a body 350 mm wide."""

SAME_SIDE: Final = 0.9
"""A class belongs to one side where it lies there in this fraction of the scans that show it.

Source: chosen, as one scan in ten may be unlike the others or have a wrong header. Of lesions on either side alike, 2 % of
all sets of ten scans reach it by chance, and 25 % of those of three. Few scans do not tell which it is; slices flipped
without need confuse left and right, slices not flipped lack an augmentation."""


def mirror_axes(fingerprint: Fingerprint, *, plane: Plane | None, recipe: Recipe) -> Choice[Mirror]:
    """Which in-plane axes may be flipped during training.

    Only left and right are ever alike in a patient: upside-down or back-to-front anatomy does not occur. For 2D images,
    whose axes have no anatomical meaning, the labels of both axes have to be symmetric. Classes that are each other's mirror
    image could not be told apart in flipped slices, nor a class on one side from what lies on the other.
    """
    if recipe == "paper":
        return Choice(("rows", "columns"), "The paper uses random flips; that they go along both axes is ours.")
    if plane is None:
        axes = [[axis] * len(fingerprint.cases) for axis in (1, 2)]
        if against := _against_flips(fingerprint, axes=axes):
            return Choice((), against)
        rows, columns = (_median_symmetry(fingerprint, axes=each) for each in axes)
        return Choice(
            ("rows", "columns") if min(rows, columns) >= SYMMETRY_NEEDED else (),
            f"Labels agree with their mirror images to a Dice of {rows:.2f} (rows) and {columns:.2f} (columns); both "
            f"must reach {SYMMETRY_NEEDED:g}.",
        )
    if "left-right" not in PLANE_AXES[plane][1:]:
        return Choice((), f"{plane.capitalize()} slices do not show left and right, the only symmetric axis of a patient.")
    across = [array_axes(case, plane)[2] for case in fingerprint.cases]
    if against := _against_flips(fingerprint, axes=[across]):
        return Choice((), against)
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


def _against_flips(fingerprint: Fingerprint, *, axes: Sequence[Sequence[int]]) -> str | None:
    """Why slices may not be flipped, however symmetric the labels are on average; None where nothing tells so.

    Args:
        fingerprint: of the data set.
        axes: for each way to flip, the array axis of each case.
    """
    if any(_swapped(fingerprint, axes=each) for each in axes):
        return (
            "Two classes lie on each other's mirror image, as left and right of a pair do: in flipped slices they could not "
            "be told apart."
        )
    return next((found for each in axes if (found := _on_one_side(fingerprint, axes=each))), None)


def _swapped(fingerprint: Fingerprint, *, axes: Sequence[int]) -> bool:
    """Whether two classes are each other's mirror image, in at least half of the scans in which that was measured."""
    known = [case.swapped[axis] for case, axis in zip(fingerprint.cases, axes, strict=True) if case.swapped is not None]
    return 2 * sum(known) >= max(len(known), 1)


def _on_one_side(fingerprint: Fingerprint, *, axes: Sequence[int]) -> str | None:
    """Why not, where a class that at least half of the scans show lies on one side, nearly always the same."""
    measured = [
        (case.class_offsets, axis)
        for case, axis in zip(fingerprint.cases, axes, strict=True)
        if case.class_offsets is not None
    ]
    for value in sorted({value for offsets, _ in measured for value in offsets}):
        shown = [offsets[value][axis] for offsets, axis in measured if value in offsets]
        same = max(sum(offset > SIDE_OFFSET for offset in shown), sum(offset < -SIDE_OFFSET for offset in shown))
        if 2 * len(shown) >= len(measured) and same / len(shown) >= SAME_SIDE:
            return (
                f"Label {value} lies on one side, the same in {same} of the {len(shown)} cases that show it: flipped slices "
                "would show it on the other."
            )
    return None
