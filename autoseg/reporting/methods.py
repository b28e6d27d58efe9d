"""A methods paragraph ready for a paper: what was done, in sentences with numbers, versions and references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from autoseg import catalogue
from autoseg.catalogue import AUGMENTATIONS, LOSSES, NETWORKS, NORMALISATIONS, OPTIMISERS
from autoseg.evaluation.formatting import listing
from autoseg.evaluation.statistics import INTERVAL_METHOD
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View

_REFERENCES: Final[Mapping[str, str]] = {
    "Isensee": "Isensee F, et al. (2021). nnU-Net: a self-configuring method for deep learning-based biomedical image "
    "segmentation. Nature Methods 18.",
    "Holm": "Holm S (1979). A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics 6.",
    "Hall": "Hall P (1992). On the Removal of Skewness by Transformation. Journal of the Royal Statistical Society B 54.",
    "Paszke": "Paszke A, et al. (2019). PyTorch: An Imperative Style, High-Performance Deep Learning Library. NeurIPS.",
    "Lowekamp": "Lowekamp BC, et al. (2013). The Design of SimpleITK. Frontiers in Neuroinformatics 7.",
}

_MEASURES: Final = (
    "Overlap was measured by the Dice coefficient and distance by the exact symmetric Hausdorff distance in mm between "
    f"surfaces, per class and case; intervals over cases are 95 % {INTERVAL_METHOD} intervals (Hall 1992)."
)


@dataclass(frozen=True)
class Study:
    """What the paragraph is about, beside the plan.

    Attributes:
        cases: labelled cases.
        models: network to the folds it was trained on.
        minutes: shortest and longest training of one network on one fold.
        epochs: fewest and most epochs.
        versions: of the software.
        averaged: networks that were selected; empty where nothing was.
        postprocessing: the steps that were kept, in words.
        compared: held-out cases that the selection rests on.
        shift: of the logarithms of averaged probabilities, in words; empty: none.
        views: planes of the slices that were selected; empty: all.
        seeds: most models of one network on one fold.
    """

    cases: int
    models: Mapping[catalogue.Architecture, Sequence[str]]
    minutes: tuple[float, float]
    epochs: tuple[int, int]
    versions: Mapping[str, str]
    averaged: Sequence[catalogue.Architecture] = ()
    postprocessing: Sequence[str] = ()
    compared: int = 0
    shift: str = ""
    views: Sequence[str] = ()
    seeds: int = 1


def methods_paragraph(plan: Plan, study: Study) -> tuple[str, list[str]]:
    """The paragraph and its references, each of which it cites."""
    sentences = [
        _data(plan, study),
        _preprocessing(plan),
        _networks(plan, study),
        _training(plan, study),
        _augmentation(plan),
        _prediction(plan),
        _selection(study),
        _MEASURES,
        _software(study),
    ]
    text = " ".join(sentence for sentence in sentences if sentence)
    general = [reference for name, reference in _REFERENCES.items() if name in text]
    return text, list(dict.fromkeys([*_references_of_entries(plan, study), *general]))


def _references_of_entries(plan: Plan, study: Study) -> list[str]:
    """What the entries that the paragraph names cite."""
    cited = [NORMALISATIONS[step.method].references for step in plan.preprocessing.normalisation]
    if study.models:
        cited += [NETWORKS[name].references for name in study.models]
        cited += [AUGMENTATIONS[name].references for name in plan.augmentation.additional]
        cited += [LOSSES[plan.training.loss].references, OPTIMISERS[plan.training.optimiser].references]
    return [reference for references in cited for reference in references]


def _data(plan: Plan, study: Study) -> str:
    classes = listing([label.name for label in plan.data.classes[1:]])
    return (
        f"{study.cases} labelled {'images' if plan.views[0].plane is None else 'scans'} of {plan.inputs.name} "
        f"({listing(plan.data.channels)}) were segmented into {classes} with autoseg, which derives its settings from the "
        f"data by fixed rules (recipe `{plan.inputs.recipe}`), as proposed by Isensee et al. (2021)."
    )


def _preprocessing(plan: Plan) -> str:
    section, views = plan.preprocessing, plan.views
    verbs = ["cropped to their content"] if section.crop == "nonzero" else []
    spacings = dict.fromkeys(view.spacing_mm for view in views)
    if len(spacings) == 1 and (spacing := views[0].spacing_mm) is not None:
        verbs.append(f"resampled to {_millimetres(spacing)}")
    planes = [view.plane for view in views if view.plane is not None]
    verbs += [f"cut into {listing(planes)} slices"] if planes else []
    what = "Scans" if planes else "Images"
    joined = f"{what} were {listing(verbs)}" if verbs else f"{what} were taken as they are"
    if len(spacings) > 1:
        own = [f"{view.plane} ones {_resolution(view)}" for view in views]
        joined += f", {listing(own)}"
    elif views[0].spacing_mm is None:
        joined += ", at their own in-plane resolution"
    methods = list(dict.fromkeys(NORMALISATIONS[step.method].phrase for step in section.normalisation))
    fixed = list(dict.fromkeys(f"{step.background:g}" for step in section.normalisation if step.background is not None))
    background = f" Voxels of value 0, which surround the subject, were set to {listing(fixed)} after that." if fixed else ""
    return f"{joined}. Intensities {listing(methods)}.{background}"


def _networks(plan: Plan, study: Study) -> str:
    if not study.models:
        return ""
    size, shared = plan.network, plan.network.shared_by_views
    beside = listing(list(dict.fromkeys(str(view.adjacent_slices) for view in plan.views)), last="or")
    adjacent = f" Each slice was shown with {beside} adjacent slice(s) on either side." if beside != "0" else ""
    if len(plan.views) > 1:
        whose = "all planes were shown to the same network, in turns" if shared else "each plane had networks of their own"
        adjacent += f" Slices of {whose}."
    networks = listing([NETWORKS[name].phrase for name in study.models])
    inside = size.inside.features
    if size.stem == "space_to_depth":
        adjacent += " They saw every 2x2 pixels as one with four times the channels, and their logits were arranged back."
    return (
        f"The networks were {networks}, with {len(inside)} levels from "
        f"{inside[0]} to {inside[-1]} features and batch normalisation.{adjacent}"
    )


def _training(plan: Plan, study: Study) -> str:
    if not study.models:
        return ""
    section = plan.training
    loss, optimiser = LOSSES[section.loss].phrase, OPTIMISERS[section.optimiser].phrase
    weights = ", ".join(f"{weight:.3g}" for weight in section.class_weights)
    schedule = (
        f"after a linear warm-up over {section.warmup_fraction:.0%} of the training followed a cosine to its end"
        if section.schedule == "cosine"
        else f"was divided by ten after {section.lr_patience} epochs without a lower validation loss"
    )
    half = section.half_resolution_fraction
    folds = sorted({fold for folds in study.models.values() for fold in folds})
    split = (
        f"in {plan.folds}-fold cross-validation (fold(s) {listing(folds)})"
        if all(fold.isdigit() for fold in folds)
        else f"on the split(s) {listing(folds)}"
    )
    patches = listing([_patch(view, among=plan.views) for view in plan.views])
    return (
        f"They were trained {split} on patches of {patches}, with {loss} (class weights {weights}), by {optimiser} "
        f"with a learning rate of {section.learning_rate:g} that {schedule}, for {_range(study.epochs, '{:.0f}')} epochs "
        f"({_range(study.minutes, '{:.0f}')} minutes) each."
        + (f" In the first {half:.0%} of it slices were shown at half resolution." if half else "")
        + (f" Of one network, up to {study.seeds} that differ in their seed were averaged." if study.seeds > 1 else "")
    )


def _augmentation(plan: Plan) -> str:
    section = plan.augmentation
    changes = [f"rotation by up to {section.rotation_deg:g} degrees"] if section.spatial_probability else []
    if section.spatial_probability and section.scale != (1.0, 1.0):
        changes.append(f"scaling by {section.scale[0]:g} to {section.scale[1]:g}")
    if section.spatial_probability and section.shift_fraction:
        changes.append(f"shifts by up to {section.shift_fraction:.0%} of the patch")
    if mirrored := _mirrored(plan.views, "mirror_axes"):
        changes.append(f"mirroring along {mirrored}")
    if section.intensity_probability:
        changes.append("random contrast, brightness, gamma, noise and blur")
    changes += [AUGMENTATIONS[name].phrase for name in section.additional]
    return f"Training slices were augmented by {listing(changes)}." if changes else ""


def _prediction(plan: Plan) -> str:
    axes, power = _mirrored(plan.views, "tta_axes"), plan.prediction.prior_power
    done = [f"divided by the class weights to the power {power:g}"] if power else []
    done += [f"averaged over mirror images along {axes}"] if axes else []
    done += ["averaged over the planes on the scan's own voxels"] if len(plan.views) > 1 else []
    return f"Predicted probabilities were {listing(done)}." if done else ""


def _selection(study: Study) -> str:
    if not study.averaged:
        return ""
    steps = (
        f" Label maps were postprocessed ({'; '.join(study.postprocessing)})."
        if study.postprocessing
        else " No postprocessing of label maps helped."
    )
    shift = (
        f" Logarithms of averaged probabilities were shifted by amounts learnt from held-out cases ({study.shift})."
        if study.shift
        else ""
    )
    views = f" Of the planes, {listing(study.views)} slices alone were selected likewise." if study.views else ""
    networks = listing([NETWORKS[name].title for name in study.averaged])
    return (
        f"From the cross-validation ({study.compared} held-out cases), {networks} "
        f"{'were' if len(study.averaged) > 1 else 'was'} selected by mean Dice; differences between networks were tested by "
        f"paired permutation tests corrected after Holm (1979).{views}{shift}{steps}"
    )


def _software(study: Study) -> str:
    versions = study.versions
    return (
        f"Software: autoseg {versions.get('autoseg', '')}, PyTorch {versions.get('torch', '')} (Paszke et al. 2019), "
        f"SimpleITK {versions.get('SimpleITK', '')} (Lowekamp et al. 2013), Python {versions.get('python', '')}."
    )


def _millimetres(spacing_mm: tuple[float, float]) -> str:
    return f"{spacing_mm[0]:g} x {spacing_mm[1]:g} mm"


def _resolution(view: View) -> str:
    return "at their own resolution" if view.spacing_mm is None else f"resampled to {_millimetres(view.spacing_mm)}"


def _patch(view: View, *, among: Sequence[View]) -> str:
    size = f"{view.patch_px[0]} x {view.patch_px[1]} pixels in batches of {view.batch_size}"
    return f"{size} ({view.plane})" if len(among) > 1 else size


def _mirrored(views: Sequence[View], key: Literal["mirror_axes", "tta_axes"]) -> str:
    """Along which axes slices are mirrored, with the plane where it is not the same in all; empty: along none."""
    axes: dict[tuple[str, ...], list[str]] = {}
    for view in views:
        axes.setdefault(getattr(view, key), []).append(str(view.plane))
    if len(axes) == 1:
        return listing(next(iter(axes)))
    return "; ".join(f"{listing(along)} of {listing(planes)} slices" for along, planes in axes.items() if along)


def _range(values: tuple[float, float], form: str) -> str:
    low, high = (form.format(value) for value in values)
    return low if low == high else f"{low} to {high}"
