"""What the data dictates about views: how scans are cut into slices and shown to the networks, one function per decision."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from autoseg.catalogue import Crop, Plane, Recipe
from autoseg.errors import UsageError
from autoseg.planning.case_fingerprint import AnatomicalAxis
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.recipes import Choice
from autoseg.planning.rules import significant
from autoseg.planning.sections import AskedPlanes
from autoseg.planning.slicing import PLANE_AXES, THICK_RATIO, in_plane_spacing_mm, stack_of, typical_side

SPACING_TOLERANCE: Final = 1.25
"""In-plane spacings within this ratio are left as they are.

Source: chosen, because scaling in the augmentation covers about as much, and resampling blurs."""

MAX_PIXEL_RATIO: Final = 3.0
"""Pixels up to this many times as long as wide are left as they are.

Source: chosen; rotations are in mm, and on IBSR18 (1.6 times) square pixels scored no better (docs/explanation/views.md)."""

ADJACENT_REACH_MM: Final = 2.0
"""Adjacent slices this near are shown together with a slice. Source: ours; one on either side for IBSR18."""

MAX_ADJACENT: Final = 2
"""More than this on either side costs time for little context. Source: ours."""

_PLANE_ACROSS: Final[Mapping[AnatomicalAxis, Plane]] = {axes[0]: plane for plane, axes in PLANE_AXES.items()}


def slice_planes(fingerprint: Fingerprint, *, asked: AskedPlanes, recipe: Recipe) -> tuple[Choice[Plane | None], ...]:
    """Which ways to cut volumes into slices, one for each view.

    Args:
        fingerprint: of the data set.
        asked: planes in the order of their views; `all`: whatever the data have, the finest first; `auto`: the finest,
            which `further_planes` adds to.
        recipe: `paper` takes the plane of the published method where the choice is left to the rule.

    Raises:
        UsageError: a plane was asked for that the data lack.
    """
    if asked == "auto":
        return (_first_plane(fingerprint, recipe=recipe),)
    if asked == "all":
        first = _first_plane(fingerprint, recipe=recipe)
        others = [plane for plane in PLANE_AXES if plane != first.value and _missing(fingerprint, plane) is None]
        return (first, *(Choice(plane, "Asked for.") for plane in others))
    for plane in asked:
        if missing := _missing(fingerprint, plane):
            raise UsageError(missing, remedy="Leave out --planes to have the planes chosen.")
    return tuple(Choice(plane, "Asked for.") for plane in asked)


def further_planes(
    fingerprint: Fingerprint, *, first: Plane, smallest_px: int, crop: Crop, margin_px: int
) -> tuple[tuple[Choice[Plane], ...], tuple[str, ...]]:
    """Which planes are worth a view of their own besides the finest one: those that are about as fine, and large enough.

    Args:
        fingerprint: of the data set.
        first: the finest plane.
        smallest_px: what the shorter side of slices must have for the network of that plane.
        crop: what is cut away.
        margin_px: voxels kept around the nonzero box.

    Returns:
        planes, and for each of the others, in words, why not.

    Source: measured at equal time; three views raised the held-out Dice of the hippocampus (1 mm) by .008, and lowered
    that of IBSR18 (.94 x .94 x 1.5 mm) by .010 (docs/explanation/views.md).
    """
    chosen: list[Choice[Plane]] = []
    others: list[str] = []
    for plane in PLANE_AXES:
        if plane == first or _missing(fingerprint, plane):
            continue
        spacing = in_plane_spacing(fingerprint, plane=plane, recipe="auto").value
        stacks = [
            stack_of(case, plane=plane, spacing_mm=spacing, crop=crop, margin_px=margin_px) for case in fingerprint.cases
        ]
        side, (rows_mm, columns_mm) = typical_side(stacks), _median_pixel_mm(fingerprint, plane)
        pixels = f"pixels of {rows_mm:.3g} x {columns_mm:.3g} mm"
        if (elongation := _elongation((rows_mm, columns_mm))) >= THICK_RATIO:
            others.append(f"{plane}, because {pixels} are {elongation:.2f} times as long as wide")
        elif side < smallest_px:
            others.append(f"{plane}, because the network needs {smallest_px} pixels and slices have {side:g}")
        else:
            seen = f"Fine enough, with {pixels}, and large enough, with slices of at least {side:g} pixels"
            chosen.append(Choice(plane, f"{seen}: the mean over planes errs less than one of them."))
    return tuple(chosen), tuple(others)


def _missing(fingerprint: Fingerprint, plane: Plane) -> str | None:
    """Why the data do not show a plane; None where they do."""
    if fingerprint.dimensions == 2:
        return f"2D images have no {plane} plane"
    single = _single_slice_axis(fingerprint)
    if single is not None and single != PLANE_AXES[plane][0]:
        return f"the scans have no {plane} slices: each has a single voxel along {single}"
    return None


def _first_plane(fingerprint: Fingerprint, *, recipe: Recipe) -> Choice[Plane | None]:
    """The plane that is finest, so that slices across the coarsest axis show it."""
    if fingerprint.dimensions == 2:
        return Choice(None, "The images are 2D: each is one slice.")
    if recipe == "paper":
        return Choice("axial", "The paper uses axial slices.")
    if single := _single_slice_axis(fingerprint):
        return Choice(_PLANE_ACROSS[single], f"Every scan has a single voxel along {single}: it is one slice.")
    spacing = {axis: _median_spacing_mm(fingerprint, axis) for axis in _PLANE_ACROSS}
    thick, middle, _ = sorted(spacing, key=lambda axis: -spacing[axis])
    ratio = spacing[thick] / spacing[middle]
    words = ", ".join(f"{axis} {value:.3g}" for axis, value in spacing.items())
    if ratio >= THICK_RATIO:
        return Choice(
            _PLANE_ACROSS[thick],
            f"Median spacing in mm is {words}: {thick} is {ratio:.2f} times coarser than the next axis, so slices "
            "across it show the finest plane.",
        )
    return Choice(
        "axial",
        f"Median spacing in mm is {words}: no axis is {THICK_RATIO:g} times coarser than the next, so the usual plane "
        "is taken.",
    )


def in_plane_spacing(fingerprint: Fingerprint, *, plane: Plane | None, recipe: Recipe) -> Choice[tuple[float, float] | None]:
    """The in-plane spacing to resample to, only where the scans' own differ too much, or pixels are far from square."""
    pairs = [in_plane_spacing_mm(case, plane) for case in fingerprint.cases]
    ratio = max(max(side) / min(side) for side in zip(*pairs, strict=True))
    target = _median_pixel_mm(fingerprint, plane)
    elongation = _elongation(target)
    if recipe == "auto" and plane is not None and elongation > MAX_PIXEL_RATIO:
        return Choice(
            (min(target), min(target)),
            f"Pixels of {target[0]:g} x {target[1]:g} mm are {elongation:.2f} times as long as wide, more than "
            f"{MAX_PIXEL_RATIO:g}: their longer side is resampled to the shorter one.",
        )
    if ratio <= SPACING_TOLERANCE:
        return Choice(
            None,
            f"In-plane spacings differ by a factor of {ratio:.2f} at most, which scaling in the augmentation covers; "
            "resampling would blur.",
        )
    return Choice(
        target,
        f"In-plane spacings differ by a factor of {ratio:.2f}, more than {SPACING_TOLERANCE:g}: take the median.",
    )


def adjacent_slices(fingerprint: Fingerprint, *, planes: Sequence[Plane | None], recipe: Recipe) -> Choice[int]:
    """How many slices on either side are shown together with each: those within reach, at least one, at most two.

    None where there are none: in 2D images, and where every scan is a single slice.

    Source: reach and limits are ours; on the hippocampus these raised held-out Dice (docs/explanation/decisions.md).
    """
    if recipe == "paper":
        return Choice(0, "The paper's networks see one slice at a time.")
    across = [_median_spacing_mm(fingerprint, PLANE_AXES[plane][0]) for plane in planes if plane is not None]
    if not across:
        return Choice(0, "2D images have no adjacent slices.")
    if _single_slice_axis(fingerprint):
        return Choice(0, "Every scan is one slice, which has no adjacent ones.")
    apart = f"{across[0]:.3g}" if len(across) == 1 else " or ".join(f"{each:.3g}" for each in sorted(set(across)))
    shared = "" if len(across) == 1 else "; the views share one network, so the largest distance decides"
    return Choice(
        min(max(int(ADJACENT_REACH_MM / max(across)), 1), MAX_ADJACENT),
        f"Slices lie {apart} mm apart; those within {ADJACENT_REACH_MM:g} mm, at least one and at most "
        f"{MAX_ADJACENT} on either side, tell where structures begin and end{shared}.",
    )


def _median_spacing_mm(fingerprint: Fingerprint, axis: AnatomicalAxis) -> float:
    return median(case.spacing_mm[case.axes.index(axis)] for case in fingerprint.cases)


def _median_pixel_mm(fingerprint: Fingerprint, plane: Plane | None) -> tuple[float, float]:
    rows, columns = zip(*(in_plane_spacing_mm(case, plane) for case in fingerprint.cases), strict=True)
    return significant(median(rows), 4), significant(median(columns), 4)


def _elongation(pixel_mm: tuple[float, float]) -> float:
    """How many times as long as wide a pixel is."""
    return max(pixel_mm) / min(pixel_mm)


def _single_slice_axis(fingerprint: Fingerprint) -> AnatomicalAxis | None:
    for axis in _PLANE_ACROSS:
        if all(case.shape[case.axes.index(axis)] == 1 for case in fingerprint.cases):
            return axis
    return None
