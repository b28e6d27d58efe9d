"""What a plan had done to scans and networks, in sentences: of its values, those that are not neutral."""

from collections.abc import Sequence
from typing import Literal

from autoseg.catalogue import AUGMENTATIONS, LOSSES, NORMALISATIONS, OPTIMISERS
from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.plan import Plan
from autoseg.planning.sections import NormalisationStep, TrainingSection, View
from autoseg.planning.slices_section import SliceSelection
from autoseg.wording import counted, from_to, in_words, listing

_MOST_WEIGHTS = 8
"""More class weights than this are not listed. Source: chosen; nobody reads a sentence of 100 numbers."""


def preprocessing(plan: Plan) -> list[str]:
    """From scans to slices, and what became of their intensities."""
    section, views = plan.preprocessing, plan.views
    planes = [view.plane for view in views if view.plane is not None]
    verbs = [_cropped(section.crop_margin_px)] if section.crop == "nonzero" else []
    verbs += [f"cut into {listing(planes)} slices"] if planes else []
    alike = len({view.spacing_mm for view in views}) == 1
    if alike and views[0].spacing_mm is not None:
        verbs.append(_resolution(views[0]))
    what = "Scans" if planes else "Images"
    joined = f"{what} were {listing(verbs)}" if verbs else f"{what} kept their own resolution"
    if not alike:
        joined += f": {listing([f'{view.plane} ones {_resolution(view)}' for view in views])}"
    elif verbs and views[0].spacing_mm is None:
        joined += f", {_resolution(views[0])}"
    return [f"{joined}.", *_intensities(section.normalisation, plan.data.channels)]


def showing(plan: Plan) -> list[str]:
    """How slices were shown to the networks."""
    beside = {view.plane: view.adjacent_slices for view in plan.views}
    counts = set(beside.values())
    sentences = []
    if len(counts) > 1:
        own = [f"{plane} slices with {_adjacent(number)}" for plane, number in beside.items()]
        sentences.append(f"Networks were shown {listing(own)} on either side (2.5D).")
    elif counts != {0}:
        sentences.append(f"Each slice was shown with {_adjacent(counts.pop())} on either side (2.5D).")
    if len(plan.views) > 1:
        shared = plan.network.shared_by_views
        sentences.append(
            "All planes were shown to the same network in turn." if shared else "Each plane had networks of its own."
        )
    if plan.network.stem == "space_to_depth":
        sentences.append("Every 2 x 2 pixels entered as one with four times the channels; logits were rearranged likewise.")
    return sentences


def learning(plan: Plan, *, judged_on: str) -> str:
    """Patches, loss, optimiser and learning rate, as the middle of a sentence.

    Args:
        plan: the plan.
        judged_on: which cases the loss is of that decides on the learning rate.
    """
    section = plan.training
    loss, optimiser = LOSSES[section.loss], OPTIMISERS[section.optimiser]
    weights = f" ({_weights(section.class_weights)})" if loss.class_weighted else ""
    if not plan.data.encoding.exclusive:
        innermost = _weights(section.class_weights, "weights of background and of voxels by their innermost region")
        weights = f" (binary, of a sigmoid for each region, {innermost})" if loss.class_weighted else " (of sigmoids)"
    supervised = " at every resolution (deep supervision, Lee et al. 2015)" if plan.network.deep_supervision else ""
    means = [optimiser.phrase]
    means += [f"a weight decay of {section.weight_decay:g}"] if optimiser.decays and section.weight_decay else []
    means.append(_learning_rate(section, judged_on))
    patches = listing([_patch(view, among=plan.views) for view in plan.views])
    return f"on patches of {patches}, minimising {loss.phrase}{weights}{supervised} with {listing(means)}"


def learning_details(plan: Plan, *, judged_on: str) -> list[str]:
    """What is to be said of learning beside that: gradients, slices, resolution, its end, and which weights were kept."""
    section = plan.training
    sentences = [f"Gradients were clipped to a norm of {section.grad_clip_norm:g}."] if section.grad_clip_norm else []
    sentences += [_slices(section.slices, plan)] if section.slices.rule != "all" else []
    if around := section.foreground_patches:
        sentences.append(f"A fraction of {around:g} of the patches of larger slices was laid around a pixel of a class.")
    if half := section.half_resolution_fraction:
        sentences.append(f"In the first {half:.0%} of the training, slices were shown at half resolution.")
    if patience := section.early_stopping_patience:
        sentences.append(f"Early stopping had a patience of {counted(patience, 'epoch')} (loss of the {judged_on} cases).")
    kept = {
        "last": "last epoch",
        "validation_loss": f"epoch with the lowest loss of the {judged_on} cases",
        "validation_dice": f"epoch with the highest Dice of the {judged_on} cases",
    }
    return [*sentences, f"The weights of the {kept[section.best_model]} were kept."]


def augmentation(plan: Plan) -> list[str]:
    """The random changes that were on."""
    section = plan.augmentation
    sentences = []
    if moved := _spatial(section):
        sentences.append(f"Training slices were {listing(moved)}{_probability(section.spatial_probability)}.")
    if mirrored := mirrored_axes(plan.views, "mirror_axes"):
        subject = "They" if sentences else "Training slices"
        each = "along each axis " if any(len(view.mirror_axes) > 1 for view in plan.views) else ""
        sentences.append(f"{subject} were mirrored along {mirrored}, {each}with probability 0.5.")
    if changes := _intensity(section):
        odds = _probability(section.intensity_probability, before="each " if len(changes) > 1 else "")
        sentences.append(f"{'Their' if sentences else 'Training'} intensities were augmented by {listing(changes)}{odds}.")
    if section.additional:
        named = listing([AUGMENTATIONS[name].phrase for name in section.additional])
        sentences.append(f"{'Further augmentation' if sentences else 'Augmentation'} was by {named}.")
    return sentences


def prediction(plan: Plan, *, planes: int) -> str:
    """What was done to the probabilities that networks gave; empty: nothing.

    Args:
        plan: the plan.
        planes: how many planes were predicted through.
    """
    axes, power = mirrored_axes(plan.views, "tta_axes"), plan.prediction.prior_power
    exclusive = plan.data.encoding.exclusive
    by = "the class weights" if exclusive else "the quotient of its weight and that of what surrounds it,"
    done = [f"divided by {by} to the power {power:g}"] if power else []
    done += [f"averaged over mirror images along {axes}"] if axes else []
    done += ["averaged over the planes on the scan's own voxels"] if planes > 1 else []
    if done and not exclusive:
        odds = f"The predicted odds of each region were {done.pop(0)}. " if power else ""
        return odds + (f"Predicted probabilities were {listing(done)}." if done else "")
    return f"Predicted probabilities were {listing(done)}." if done else ""


def mirrored_axes(views: Sequence[View], key: Literal["mirror_axes", "tta_axes"]) -> str:
    """Along which axes slices are mirrored, with the plane where it is not the same in all; empty: along none."""
    axes: dict[tuple[str, ...], list[str]] = {}
    for view in views:
        axes.setdefault(getattr(view, key), []).append(str(view.plane))
    if len(axes) == 1:
        return listing(next(iter(axes)))
    return "; ".join(f"{listing(along)} of {listing(planes)} slices" for along, planes in axes.items() if along)


def _cropped(margin_px: int) -> str:
    margin = f" with a margin of {counted(margin_px, 'voxel')}" if margin_px else ""
    return f"cropped to the box around voxels other than 0{margin}"


def _intensities(steps: Sequence[NormalisationStep], channels: Sequence[str]) -> list[str]:
    told: dict[str, list[str]] = {}
    for step, channel in zip(steps, channels, strict=True):
        told.setdefault(_normalised(step), []).append(channel)
    if len(told) == 1:
        return [f"Intensities {next(iter(told))}."]
    return [f"Intensities of {listing(named)} {how}." for how, named in told.items()]


def _normalised(step: NormalisationStep) -> str:
    done = NORMALISATIONS[step.method].phrase
    done += f" and clipped to [-{step.clip:g}, {step.clip:g}]" if step.clip is not None else ""
    fixed = f"; voxels of value 0, which surround the subject, were set to {step.background or 0:g}"
    return done if step.background is None else done + fixed


def _adjacent(number: int) -> str:
    return f"{in_words(number)} adjacent slice{'' if number == 1 else 's'}"


def _weights(weights: Sequence[float], what: str = "class weights") -> str:
    if len(weights) > _MOST_WEIGHTS:
        span = from_to(min(weights), max(weights))
        return f"{what} from {span}" if " to " in span else f"{what} {span}"
    return f"{what} {', '.join(f'{weight:.3g}' for weight in weights)}"


def _slices(selection: SliceSelection, plan: Plan) -> str:
    if selection.rule == "with_class":
        names = {label.value: label.name for label in plan.data.classes}
        return f"Only slices that show {names[selection.label or 0]} were trained on."
    among = "slices with any foreground" if selection.rule == "foreground_fraction" else "slices by their foreground pixels"
    return f"A fraction of {selection.fraction or 0:g} of the slices was drawn from {among}, the rest from all."


def _learning_rate(section: TrainingSection, judged_on: str) -> str:
    rate, warmup = f"{section.learning_rate:g}", section.warmup_fraction
    if section.schedule == "plateau":
        wait = f"{counted(section.lr_patience or 0, 'epoch')} without a lower loss of the {judged_on} cases"
        return f"a learning rate of {rate} that was divided by ten after {wait}"
    if warmup:
        return f"a learning rate that rose to {rate} in the first {warmup:.0%} of the training and then fell along a cosine"
    return f"a learning rate that fell from {rate} along a cosine"


def _spatial(section: AugmentationSection) -> list[str]:
    if not section.spatial_probability:
        return []
    changes = [f"rotated by up to {section.rotation_deg:g} degrees"] if section.rotation_deg else []
    changes += [f"scaled by {_between(section.scale)}"] if section.scale != (1.0, 1.0) else []
    changes += [f"shifted by up to {section.shift_fraction:.0%} of the patch"] if section.shift_fraction else []
    return changes


def _intensity(section: AugmentationSection) -> list[str]:
    about = "mean of the foreground" if section.contrast_about == "foreground" else "mean"
    noise = f"Gaussian noise (standard deviation up to {section.noise:g})"
    smallest, largest = section.blur_sigma_px
    changes = {
        "noise_std": noise,
        "noise_variance": noise,
        "blur_sigma_px": f"Gaussian blur (sigma {from_to(smallest, largest, 'g')} pixels)",
        "brightness": f"brightness (factor {_between(section.brightness)})",
        "brightness_shift": f"added brightness (standard deviation {section.brightness_shift:g})",
        "contrast": f"contrast about the {about} (factor {_between(section.contrast)})",
        "gamma": f"gamma (exponent {_between(section.gamma)})",
    }
    return [changes[key] for key in section.active]


def _probability(probability: float, *, before: str = "") -> str:
    """A probability at the end of a sentence; nothing where what it is of always happens."""
    return "" if probability == 1 else f", {before}with probability {probability:g}"


def _resolution(view: View) -> str:
    if view.spacing_mm is None:
        return "at their own resolution"
    return f"resampled to {view.spacing_mm[0]:g} x {view.spacing_mm[1]:g} mm per pixel"


def _patch(view: View, *, among: Sequence[View]) -> str:
    size = f"{view.patch_px[0]} x {view.patch_px[1]} pixels in batches of {view.batch_size}"
    return f"{size} ({view.plane})" if len(among) > 1 else size


def _between(limits: tuple[float, float]) -> str:
    return from_to(*limits, "g")
