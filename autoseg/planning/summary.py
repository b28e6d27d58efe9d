"""A plan in a dozen lines: what was decided, in words, with the shortest evidence. The plan itself says all of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

from autoseg.catalogue import LOSSES, NORMALISATIONS, Plane
from autoseg.planning.augmentation_section import CHANGES_OF_INTENSITY
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.planning.decided import in_every_view
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.labelled import labelled_part
from autoseg.planning.overrides import ASKED
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.planning.sizing import GPU_STEPS
from autoseg.planning.slicing import array_axes, in_plane_spacing_mm
from autoseg.wording import counted, from_to, listing, some

_MOST_NAMED: Final = 4
"""Classes or channels that are named one by one. Source: chosen."""

_LONGEST: Final = 36
"""Characters of a reason. Source: chosen; with the values of a usual plan beside it, it fits into 100."""


@dataclass(frozen=True)
class SummaryLine:
    """A few values of a plan that belong together.

    Attributes:
        group: what they are about, such as `slices`.
        text: the values in words.
        reason: the evidence, in a few words; or which of the values were asked for.
        paths: of the values, without numbers of views; one without a point stands for all of its section that no other
            line has.
    """

    group: str
    text: str
    reason: str
    paths: tuple[str, ...]


def summary(plan: Plan, fingerprint: Fingerprint) -> tuple[SummaryLine, ...]:
    """At most a dozen lines about a plan.

    Args:
        plan: as it was made.
        fingerprint: of the data that it was made from.
    """
    lines = (*_data(plan, fingerprint), *_slices(plan, fingerprint), *_networks(plan), *_augmentation(plan), *_use(plan))
    asked = {path: why.value for path, why in plan.decisions.items() if why.rule == ASKED}
    return tuple(_marked(line, lines, asked) for line in lines)


def line_of(path: str, lines: Sequence[SummaryLine]) -> SummaryLine:
    """The line that tells of a value of the plan."""
    general = in_every_view(path)
    section = general.partition(".")[0]
    own = [line for line in lines if general in line.paths]
    others = [line for line in lines if section in line.paths]
    return (own or others or [lines[0]])[0]


def _marked(line: SummaryLine, lines: Sequence[SummaryLine], asked: Mapping[str, Any]) -> SummaryLine:
    """The line, or with what was asked for in the place of its reason."""
    own = {in_every_view(path).rpartition(".")[2]: value for path, value in asked.items() if line_of(path, lines) is line}
    if not own:
        return line
    for told in (", ".join(f"{key} {_plain(value)}" for key, value in own.items()), ", ".join(own)):
        if len(reason := f"asked for: {told}") <= _LONGEST:
            return replace(line, reason=reason)
    return replace(line, reason=f"asked for: {len(own)} values")


def _data(plan: Plan, fingerprint: Fingerprint) -> Iterator[SummaryLine]:
    channels, classes = plan.data.channels, [label.name for label in plan.data.classes[1:]]
    scans = counted(len(fingerprint.cases), "labelled image" if fingerprint.dimensions == 2 else "labelled scan")
    shown = _named(channels) if len(channels) <= _MOST_NAMED else f"{len(channels)} channels"
    cut, why = "whole", "little around it is 0"
    if plan.preprocessing.crop == "nonzero":
        margin = plan.preprocessing.crop_margin_px
        cut, why = "cut to what is not 0", f"labels reach {margin} px beyond it" if margin else "the rest is 0"
    yield SummaryLine(
        "data", f"{scans} of {shown}, {cut}", why, ("data", "preprocessing.crop", "preprocessing.crop_margin_px")
    )
    if (part := labelled_part(fingerprint.cases)) is not None:
        yield SummaryLine("data", f"labelled in part: {part}", "the rest counts in no loss and no score", ("data.ignore",))
    declared = plan.decisions["data.classes"].reason.startswith("As declared")
    origin = "as declared by the data set" if declared else "values of the label maps"
    kind, kinds = ("class", "classes") if plan.data.encoding.exclusive else ("region", "regions that nest")
    yield SummaryLine(
        "data", f"{counted(len(classes), kind, plural=kinds)}: {_named(classes)}", origin, ("data.classes", "data.ignore")
    )


def _slices(plan: Plan, fingerprint: Fingerprint) -> Iterator[SummaryLine]:
    views = plan.views
    yield SummaryLine(
        "slices", _planes(views, fingerprint), _why_planes(plan, fingerprint), ("views.plane", "views.spacing_mm")
    )
    if views[0].plane is not None:
        most = max(view.adjacent_slices for view in views)
        text = f"each with {counted(most, 'adjacent slice')} on either side (2.5D)" if most else "one at a time"
        across = sorted(_across_mm(fingerprint, view.plane) for view in views if view.plane is not None)
        apart = list(dict.fromkeys(map(_rounded, across)))
        why = "as the paper's networks see them" if plan.inputs.recipe == "paper" else f"{listing(apart)} mm apart"
        yield SummaryLine("slices", text, why, ("views.adjacent_slices",))
    sizes = list(dict.fromkeys(f"{rows} x {columns}" for rows, columns in (view.patch_px for view in views)))
    batches = sorted({view.batch_size for view in views})
    batch = f"{batches[0]} to {batches[-1]}" if len(batches) > 1 else str(batches[0])
    text = f"patches of {listing(sizes)} px, {batch} in a batch"
    if part := plan.training.foreground_patches:
        text += f", {part:.0%} around a class"
    why = f"a step takes at most {plan.training_step_gb():.2g} GB"
    yield SummaryLine("slices", text, why, ("views", "training.foreground_patches"))


def _planes(views: Sequence[View], fingerprint: Fingerprint) -> str:
    """Which slices, and in what resolution."""
    pixels = [_pixels(view, fingerprint) for view in views]
    if views[0].plane is None:
        return f"2D images, {pixels[0]}"
    names = [str(view.plane) for view in views]
    if len(set(pixels)) == 1:
        return f"{listing(names)} slices, {pixels[0]}"
    if all(view.spacing_mm is None for view in views):
        return f"{listing(names)} slices, not resampled"
    return f"{listing([f'{name} ({pixel})' for name, pixel in zip(names, pixels, strict=True)])} slices"


def _pixels(view: View, fingerprint: Fingerprint) -> str:
    """The size of a view's pixels in words, such as `kept at 0.94 mm`."""
    if view.spacing_mm is not None:
        return f"resampled to {_size(view.spacing_mm)} mm"
    rows, columns = zip(*(in_plane_spacing_mm(case, view.plane) for case in fingerprint.cases), strict=True)
    return f"kept at {_size((median(rows), median(columns)))} mm"


def _why_planes(plan: Plan, fingerprint: Fingerprint) -> str:
    first = plan.views[0].plane
    if first is None:
        return "each image is one slice"
    if plan.inputs.asked_planes != "auto":
        return "asked for"
    if plan.inputs.recipe == "paper":
        return "the paper's plane"
    if len(plan.views) > 1:
        return "about as fine: their mean errs less"
    across = _across_mm(fingerprint, first)
    rows, columns = zip(*(in_plane_spacing_mm(case, first) for case in fingerprint.cases), strict=True)
    return "the finest plane" if across > max(median(rows), median(columns)) else "the usual plane"


def _networks(plan: Plan) -> Iterator[SummaryLine]:
    yield _intensities(plan)
    size = plan.network
    several = "" if len(plan.views) == 1 else ", one for all planes" if size.shared_by_views else ", one for each plane"
    features = from_to(size.features[0], max(size.features), "d")
    text = f"{counted(len(size.features), 'level')} of {features} features{several}"
    budget = plan.inputs.minutes is not None
    why = "as wide as the minutes allow" if budget else f"usual width on a {plan.inputs.device.upper()}, depth by size"
    yield SummaryLine("network", text, why, ("network",))
    training = plan.training
    loss = LOSSES[training.loss]
    weights = training.class_weights
    weighted = f", weights {from_to(min(weights), max(weights), 'g')}" if loss.class_weighted else ""
    why = "the paper's" if plan.inputs.recipe == "paper" else "rare classes weigh more" if weighted else "no class weights"
    binary = "binary " if not plan.data.encoding.exclusive and loss.class_weighted else ""
    text = f"{binary}{loss.short or training.loss}{weighted}, {training.optimiser}"
    yield SummaryLine("training", text, why, ("training",))


def _intensities(plan: Plan) -> SummaryLine:
    """How each channel comes to a common scale, those that are treated alike together."""
    channels: dict[str, list[str]] = {}
    for name, step in zip(plan.data.channels, plan.preprocessing.normalisation, strict=True):
        channels.setdefault(step.method, []).append(name)
    told = {method: NORMALISATIONS[method].short or f"by {method}" for method in channels}
    if len(channels) == 1:
        ((method, text),) = told.items()
        why = NORMALISATIONS[method].why or "by its package"
    else:
        text = "; ".join(f"{_named(names)} {told[method]}" for method, names in channels.items())
        why = "by what the channels' names say"
    if plan.inputs.recipe == "paper" and list(channels) == ["quantile_zscore"]:
        why = "eq. 1 of the paper"
    zeros = "; NaN and infinity are 0" if plan.preprocessing.not_finite == "zero" else ""
    return SummaryLine("intensities", f"{text}{zeros}", why, ("preprocessing",))


def _augmentation(plan: Plan) -> Iterator[SummaryLine]:
    values = plan.augmentation
    spatial = {
        f"turned up to {values.rotation_deg:g} deg": values.rotation_deg > 0,
        "scaled": values.scale != (1.0, 1.0),
        "shifted": values.shift_fraction > 0,
    }
    text = [words for words, there in spatial.items() if there and values.spatial_probability]
    text += ["mirrored"] if any(view.mirror_axes for view in plan.views) else []
    paper = plan.inputs.recipe == "paper"
    why = "the paper's" if paper else "few scans are soon learned by heart"
    paths = ("augmentation", "views.mirror_axes")
    yield SummaryLine("augmentation", ", ".join(text) or "no change of shape", why, paths)
    changes = list(dict.fromkeys(key.partition("_")[0] for key in values.active))
    changes += values.additional
    if changes:
        keys = (*CHANGES_OF_INTENSITY, "intensity_probability", "contrast_about", "additional")
        own = tuple(f"augmentation.{key}" for key in keys)
        yield SummaryLine("augmentation", f"changed {listing(changes)}", "as between scanners", own)


def _use(plan: Plan) -> Iterator[SummaryLine]:
    averaged = [f"{len(plan.views)} planes"] if len(plan.views) > 1 else []
    averaged += ["mirror images"] if any(view.tta_axes for view in plan.views) else []
    text, why = f"mean over {listing(averaged)}" if averaged else "each slice once", ""
    if plan.prediction.prior_power:
        text, why = f"{text}, rare classes held back", "their weights make them too many"
    elif plan.inputs.recipe == "paper":
        why = "the paper mentions nothing else"
    yield SummaryLine("prediction", text, why, ("prediction", "evaluation", "views.tta_axes"))
    training = plan.training
    run = counted(training.epochs, "epoch") if training.epochs is not None else f"{training.minutes:g} minutes"
    folds = f"{plan.folds} folds of {run}" if plan.folds > 1 else f"{run} on all cases: too few for folds"
    keys = ("steps_per_epoch", "epochs", "minutes", "early_stopping_patience", "lr_patience")
    paths = ("folds", *(f"training.{key}" for key in keys))
    yield SummaryLine("length", f"{folds}, epochs of {counted(training.steps_per_epoch, 'step')}", _why_length(plan), paths)


def _why_length(plan: Plan) -> str:
    asked = [name for name, value in (("folds", plan.inputs.folds), ("minutes", plan.inputs.minutes)) if value is not None]
    if asked:
        return f"asked for: {listing(asked)}"
    if plan.training.early_stopping_patience is not None:
        return f"ends after {counted(plan.training.early_stopping_patience, 'epoch')} without gain"
    if plan.training.epochs is None:
        return "--minutes of train changes it"
    longest = plan.training.epochs * plan.training.steps_per_epoch >= GPU_STEPS[1]
    return f"no longer than {GPU_STEPS[1]:,} steps" if longest else "each slice is seen often enough"


def _across_mm(fingerprint: Fingerprint, plane: Plane) -> float:
    def across(case: CaseFingerprint) -> float:
        return case.spacing_mm[array_axes(case, plane)[0]]

    return median(map(across, fingerprint.cases))


def _size(pixel_mm: tuple[float, float]) -> str:
    rows, columns = map(_rounded, pixel_mm)
    return rows if rows == columns else f"{rows} x {columns}"


def _rounded(value: float) -> str:
    return f"{value:.3g}"


def _named(names: Sequence[str]) -> str:
    """Names as part of a sentence, the first of many alone."""
    return listing(names) if len(names) <= _MOST_NAMED else some(names, named=_MOST_NAMED - 1)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
