"""What the data dictates about preprocessing, folds and losses: one small pure function per decision."""

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from statistics import median
from typing import Final

from autoseg.catalogue import LOSSES, OPTIMISERS, Crop, Loss, Optimiser, Recipe
from autoseg.data.dataset import LabelClass, names_by_value
from autoseg.data.labels import LabelEncoding, encoding_of
from autoseg.data.splits import fold_count
from autoseg.errors import AutosegError, PlanError
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.labelled import labelled_part
from autoseg.planning.recipes import Choice
from autoseg.wording import counted

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


def ignored_value(declared: int | None, fingerprint: Fingerprint) -> Choice[int | None]:
    """The label value of voxels without a label: what the data set declares, or what was asked for."""
    if declared is None:
        return Choice(None, "No value was declared: every voxel is labelled.")
    reason = f"Voxels with the value {declared} are without a label: they count in no loss and no score."
    part = labelled_part(fingerprint.cases)
    return Choice(declared, f"{reason} {part}." if part else f"{reason} No voxel has it.")


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
        return Choice(count, f"With {counted(subjects, 'training subject')} there is no cross-validation.")
    return Choice(count, f"There are {subjects} training subjects; no more than five folds are needed.")


def class_weights(voxels: Mapping[int, int], *, classes: Sequence[LabelClass], recipe: Recipe) -> Choice[tuple[float, ...]]:
    """Weights for the cross-entropy: inverse frequency, tempered, and 1 for the background.

    A region's is that of the voxels inside it that lie in no region further in.

    Args:
        voxels: voxels of each label value over all whole scans.
        classes: by rising value, background first; at least one other class has voxels.
        recipe: `paper` takes the published constants where they apply.

    Source: w = (f / f_background) ^ -0.38 gives weights near the paper's table 2 (1, 10, 3, 3) on IBSR18.
    """
    exclusive = encoding_of(classes).exclusive
    if exclusive and recipe == "paper" and [label.name.lower() for label in classes[1:]] == ["csf", "gm", "wm"]:
        return Choice(PAPER_WEIGHTS, "The paper's table 2, for background, CSF, GM and WM.")
    counts = [sum(voxels.get(value, 0) for value in label.label_values) for label in classes]
    total = sum(voxels.get(value, 0) for value in names_by_value(classes))
    if exclusive:
        others, compared = [counts[0] or max(counts)] * len(counts), "background's fraction"
    else:
        others, compared = [counts[0] or 1, *(total - count or 1 for count in counts[1:])], "fraction outside"
    weights = [
        significant((count / other) ** -WEIGHT_POWER, 3) if count else None
        for count, other in zip(counts, others, strict=True)
    ]
    largest = max(weight for weight in weights if weight is not None)
    fractions = ", ".join(f"{label.name} {count / total:.3%}" for label, count in zip(classes, counts, strict=True))
    reason = f"Voxels over whole scans: {fractions}; weight = (fraction / {compared}) ^ -{WEIGHT_POWER:g}."
    if absent := [label.name for label, count in zip(classes, counts, strict=True) if not count]:
        reason += f" No voxel has {', '.join(absent)}: given the largest weight of the others."
    return Choice(tuple(largest if weight is None else weight for weight in weights), reason)


def learning_rate(optimiser: Optimiser) -> Choice[float]:
    """The rate for an optimiser that is asked for in the place of the recipe's own, whose rate would not suit it."""
    return Choice(OPTIMISERS[optimiser].learning_rate, f"The recipe's own goes with another optimiser than `{optimiser}`.")


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


def refuse_loss(loss: Loss, encoding: LabelEncoding, *, error: type[AutosegError] = PlanError) -> None:
    """Require a loss that knows what the targets of the data may be.

    Args:
        loss: that is to be trained with.
        encoding: of the data's classes.
        error: what is raised.

    Raises:
        AutosegError: of this kind: there are regions, or voxels without a label, and the loss does not know them.
    """
    entry = LOSSES[loss]
    problem, key = "", ""
    if not encoding.exclusive and not entry.regions:
        problem, key = "does not know regions, which the classes of the data are", "regions"
    elif encoding.ignore is not None and not entry.without_labels:
        problem, key = "does not know voxels without a label, which the data has (data.ignore)", "without_labels"
    if problem:
        raise error(
            f"the loss `{loss}` {problem}",
            where="training.loss",
            expected=f"one of {', '.join(LOSSES.built_in)}, or a loss whose entry says `{key}=True`",
            remedy="Choose another training.loss, or have this one know them and say so.",
        )


def tolerances(fingerprint: Fingerprint, *, classes: Sequence[LabelClass]) -> Choice[tuple[float, ...]]:
    """How far apart surfaces may be to count as equal: a pixel of the plane that labels are drawn in, the finest one.

    Args:
        fingerprint: of the labelled cases.
        classes: by rising value, background first.

    Returns:
        a tolerance in mm for each class except background: of the case in the middle the longer side of a pixel in the
        finest plane, rounded up to three digits.

    Source: Reinke et al., Understanding metric-related pitfalls in image analysis validation (Nature Methods 2024), and
    Nikolov et al. (2018) take the tolerance from how far experts disagree. Nothing tells that of a data set with one label
    map per scan; what its voxels cannot tell is the least it can be. That of the hippocampus in the Medical Segmentation
    Decathlon, 1 mm, is a voxel, too.
    """
    sides_mm = [sorted(case.spacing_mm[3 - case.dimensions :])[1] for case in fingerprint.cases]
    tolerance_mm = _rounded_up(median(sides_mm), 3)
    reason = (
        f"A pixel of the finest plane, {median(sides_mm):g} mm in the median scan: nothing tells how far experts would "
        "disagree; where you know it for a class, set it."
    )
    return Choice((tolerance_mm,) * (len(classes) - 1), reason)


def _rounded_up(value: float, digits: int) -> float:
    """A positive number with so many significant digits, not smaller than it is."""
    exact = Decimal(repr(value))
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() + 1 - digits), rounding=ROUND_CEILING))


def significant(value: float, digits: int) -> float:
    """A number with so many significant digits."""
    return float(f"{value:.{digits}g}")
