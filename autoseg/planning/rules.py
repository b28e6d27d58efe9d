"""What the data dictates about preprocessing, losses and mirroring: one small pure function per decision."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, Literal

from autoseg.catalogue import LOSSES, Crop, Loss, Plane, Recipe
from autoseg.data.dataset import LabelClass
from autoseg.data.splits import fold_count
from autoseg.errors import UsageError
from autoseg.planning.case_fingerprint import AnatomicalAxis
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.recipes import Choice
from autoseg.planning.slicing import PLANE_AXES, array_axes, in_plane_spacing_mm

Mirror = tuple[Literal["rows", "columns"], ...]

THICK_RATIO: Final = 1.3
"""An axis this much coarser than the next is across the slices.

Source: chosen, because below it the planes hardly differ; on IBSR18 (1.5 : 0.94 mm) coronal slices reached a mean Dice
of .923, axial ones .911."""

SPACING_TOLERANCE: Final = 1.25
"""In-plane spacings within this ratio are left as they are.

Source: chosen, because scaling in the augmentation covers about as much, and resampling blurs."""

ADJACENT_REACH_MM: Final = 2.0
"""Adjacent slices this near are shown together with a slice. Source: ours; one on either side for IBSR18."""

MAX_ADJACENT: Final = 2
"""More than this on either side costs time for little context. Source: ours."""

CROP_BELOW: Final = 0.75
"""A nonzero box that holds a smaller fraction of the scan is worth cutting to.

Source: chosen: then at least a quarter of the work is saved."""

MAX_MARGIN_PX: Final = 16
"""Labels further outside the image than this are outliers that would undo the cropping. Source: chosen."""

WEIGHT_POWER: Final = 0.38
"""Class weights are inverse frequencies to this power.

Source: fitted to the paper's table 2 on IBSR18; 0 would ignore the frequencies, 1 would let the rarest class
dominate."""

PRIOR_POWER: Final = 0.5
"""Of the class weights by which probabilities are divided.

Source: chosen; between 0, which leaves rare classes as often as the weights made networks find them, and 1, which would undo
the weights (docs/explanation/decisions.md)."""

PAPER_WEIGHTS: Final = (1.0, 10.0, 3.0, 3.0)
"""Source: the paper's table 2, for background, CSF, GM, WM."""

SYMMETRY_NEEDED: Final = 0.6
"""Dice between a label map and its mirror image from which mirroring is harmless.

Source: chosen between the medians of IBSR18's tissues (.70, left and right alike) and of the hippocampus (.52, one side
of the brain, whose mirror image does not occur in the data)."""

_PLANE_ACROSS: Final[Mapping[AnatomicalAxis, Plane]] = {axes[0]: plane for plane, axes in PLANE_AXES.items()}


def slice_plane(fingerprint: Fingerprint, *, asked: Plane | Literal["auto"], recipe: Recipe) -> Choice[Plane | None]:
    """Which way to cut volumes into slices: so that the slices show the finest plane.

    Raises:
        UsageError: a plane was asked for 2D images, which have none.
    """
    if fingerprint.dimensions == 2:
        if asked != "auto":
            raise UsageError(f"2D images have no {asked} plane", remedy="Leave out --plane.")
        return Choice(None, "The images are 2D: each is one slice.")
    if asked != "auto":
        return Choice(asked, "Asked for.")
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


def in_plane_spacing(fingerprint: Fingerprint, *, plane: Plane | None) -> Choice[tuple[float, float] | None]:
    """The in-plane spacing to resample to, only where the scans' own differ more than augmentation covers."""
    pairs = [in_plane_spacing_mm(case, plane) for case in fingerprint.cases]
    rows, columns = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratio = max(max(rows) / min(rows), max(columns) / min(columns))
    if ratio <= SPACING_TOLERANCE:
        return Choice(
            None,
            f"In-plane spacings differ by a factor of {ratio:.2f} at most, which scaling in the augmentation covers; "
            "resampling would blur.",
        )
    target = (significant(median(rows), 4), significant(median(columns), 4))
    return Choice(
        target,
        f"In-plane spacings differ by a factor of {ratio:.2f}, more than {SPACING_TOLERANCE:g}: take the median.",
    )


def adjacent_slices(fingerprint: Fingerprint, *, plane: Plane | None, recipe: Recipe) -> Choice[int]:
    """How many slices on either side are shown together with each: those within reach, at least one, at most two.

    Source: reach and limits are ours; on the hippocampus these raised held-out Dice (docs/explanation/decisions.md).
    """
    if recipe == "paper":
        return Choice(0, "The paper's networks see one slice at a time.")
    if plane is None:
        return Choice(0, "2D images have no adjacent slices.")
    across = _median_spacing_mm(fingerprint, PLANE_AXES[plane][0])
    count = min(max(int(ADJACENT_REACH_MM / across), 1), MAX_ADJACENT)
    return Choice(
        count,
        f"Slices lie {across:.3g} mm apart; those within {ADJACENT_REACH_MM:g} mm, at least one and at most "
        f"{MAX_ADJACENT} on either side, tell where structures begin and end.",
    )


def crop(fingerprint: Fingerprint) -> Choice[Crop]:
    """Whether cutting to the voxels other than 0 is worth it."""
    fraction = median(
        math.prod(stop - start for start, stop in case.nonzero_box) / math.prod(case.shape) for case in fingerprint.cases
    )
    chosen: Crop = "nonzero" if fraction < CROP_BELOW else "none"
    compared = "less than" if chosen == "nonzero" else "not less than"
    return Choice(
        chosen, f"The box around nonzero voxels holds {fraction:.1%} of the median scan, {compared} {CROP_BELOW:.0%}."
    )


def crop_margin(fingerprint: Fingerprint, *, crop: Crop) -> Choice[int]:
    """How many voxels to keep around the box, so that no label is cut off."""
    if crop == "none":
        return Choice(0, "Nothing is cropped.")
    margin = max(case.label_margin_px for case in fingerprint.cases)
    if margin > MAX_MARGIN_PX:
        return Choice(
            MAX_MARGIN_PX,
            f"Labels reach up to {margin} voxels beyond the box, more than {MAX_MARGIN_PX}: those beyond are not learnt.",
        )
    return Choice(margin, f"Labels reach up to {margin} voxels beyond the box in some scan.")


def folds(subjects: int, *, asked: int | None) -> Choice[int]:
    """Folds of the cross-validation, over the subjects with labelled training scans.

    Raises:
        DatasetError: more folds than subjects were asked for.
    """
    count = fold_count(subjects, asked=asked)
    if count == asked:
        return Choice(count, "Asked for.")
    if count == 1:
        return Choice(count, f"{subjects} training subject(s) are too few for a cross-validation.")
    return Choice(count, f"There are {subjects} training subjects; no more than five folds are needed.")


def class_weights(voxels: Mapping[int, int], *, classes: Sequence[LabelClass], recipe: Recipe) -> Choice[tuple[float, ...]]:
    """Weights for the cross-entropy: inverse frequency, tempered, and 1 for the background.

    Args:
        voxels: voxels of each label value over all whole scans.
        classes: by rising value, background first; at least one other class has voxels.
        recipe: `paper` takes the published constants where they apply.

    Source: w = (f / f_background) ^ -0.38 gives weights near the paper's table 2 (1, 10, 3, 3) on IBSR18.
    """
    if recipe == "paper" and [label.name.lower() for label in classes[1:]] == ["csf", "gm", "wm"]:
        return Choice(PAPER_WEIGHTS, "The paper's table 2, for background, CSF, GM and WM.")
    counts = [voxels.get(label.value, 0) for label in classes]
    reference = counts[0] or max(counts)
    weights = [significant((count / reference) ** -WEIGHT_POWER, 3) if count else None for count in counts]
    largest = max(weight for weight in weights if weight is not None)
    total = sum(counts)
    fractions = ", ".join(f"{label.name} {count / total:.3%}" for label, count in zip(classes, counts, strict=True))
    reason = f"Voxels over whole scans: {fractions}; weight = (fraction / background's fraction) ^ -{WEIGHT_POWER:g}."
    if absent := [label.name for label, count in zip(classes, counts, strict=True) if not count]:
        reason += f" No voxel has {', '.join(absent)}: given the largest weight of the others."
    return Choice(tuple(largest if weight is None else weight for weight in weights), reason)


def prior_power(loss: Loss, *, recipe: Recipe) -> Choice[float]:
    """How far predictions take back that the class weights make networks find rare classes too often."""
    if recipe == "paper":
        return Choice(0.0, "The paper mentions none: probabilities are what the networks give.")
    if not LOSSES[loss].class_weighted:
        return Choice(0.0, f"The loss `{loss}` has no cross-entropy that class weights could bend.")
    return Choice(
        PRIOR_POWER,
        "The weights of the cross-entropy make networks find too much of rare classes; this takes half of it back.",
    )


def mirror_axes(fingerprint: Fingerprint, *, plane: Plane | None, recipe: Recipe) -> Choice[Mirror]:
    """Which in-plane axes may be flipped during training.

    Only left and right are ever alike in a patient: upside-down or back-to-front anatomy does not occur. For 2D images,
    whose axes have no anatomical meaning, the labels of both axes have to be symmetric.
    """
    if recipe == "paper":
        return Choice(("rows", "columns"), "The paper uses random flips; that they go along both axes is ours.")
    if plane is None:
        rows, columns = (_median_symmetry(fingerprint, axes=[axis] * len(fingerprint.cases)) for axis in (1, 2))
        alike = min(rows, columns) >= SYMMETRY_NEEDED
        return Choice(
            ("rows", "columns") if alike else (),
            f"Labels agree with their mirror images to a Dice of {rows:.2f} (rows) and {columns:.2f} (columns); both "
            f"must reach {SYMMETRY_NEEDED:g}.",
        )
    if "left-right" not in PLANE_AXES[plane][1:]:
        return Choice((), f"{plane.capitalize()} slices do not show left and right, the only symmetric axis of a patient.")
    symmetry = _median_symmetry(fingerprint, axes=[array_axes(case, plane)[2] for case in fingerprint.cases])
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


def _median_spacing_mm(fingerprint: Fingerprint, axis: AnatomicalAxis) -> float:
    return median(case.spacing_mm[case.axes.index(axis)] for case in fingerprint.cases)


def _single_slice_axis(fingerprint: Fingerprint) -> AnatomicalAxis | None:
    for axis in _PLANE_ACROSS:
        if all(case.shape[case.axes.index(axis)] == 1 for case in fingerprint.cases):
            return axis
    return None


def _median_symmetry(fingerprint: Fingerprint, *, axes: Sequence[int]) -> float:
    known = [case.symmetry[axis] for case, axis in zip(fingerprint.cases, axes, strict=True) if case.symmetry is not None]
    return median(known)


def significant(value: float, digits: int) -> float:
    """A number with so many significant digits."""
    return float(f"{value:.{digits}g}")
