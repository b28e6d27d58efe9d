"""Looking at every file of a data set once: what is wrong with it, or what it holds in numbers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from autoseg.catalogue import NotFinite
from autoseg.data.dataset import Case, Dataset, LabelClass, names_by_value
from autoseg.data.new_folds import planned_again
from autoseg.data.splits import Splits, classes_missing, make_splits
from autoseg.errors import AutosegError, DatasetError, SystemFailureError
from autoseg.events import Events
from autoseg.formats.remarks import doubts
from autoseg.images.image import Image, LabelMap, on_grid_of, read_image, read_labels
from autoseg.jobs.pool import ordered_map
from autoseg.jobs.work import Jobs
from autoseg.planning.case_fingerprint import AnatomicalAxis, CaseFingerprint, measure
from autoseg.planning.channels import (
    CommonPixels,
    Pixels,
    common_pixels,
    pixels_of,
    problem_with,
    remark_on,
    with_one_channel,
)
from autoseg.planning.duplicates import Likeness, fold_groups, likeness_of, warn_of_duplicates
from autoseg.planning.labelled import has_label
from autoseg.planning.slicing import thick_axis
from autoseg.planning.tilt import Tilt, measured_tilt, outermost, unusual_tilt
from autoseg.wording import listing, some


@dataclass(frozen=True)
class Examined:
    """What became known of one case.

    Attributes:
        id: the case.
        fingerprint: the case in numbers; None where it has no label map or cannot be used.
        errors: everything that is wrong with its files.
        warnings: what its files give cause to warn of.
        tilt: of its scan; None where it was not read, or is a 2D image.
        pixels: what they are, of an image in a single file.
        likeness: by what copies of its scan are recognised; None where it cannot be used.
    """

    id: str
    fingerprint: CaseFingerprint | None = None
    errors: tuple[AutosegError, ...] = ()
    warnings: tuple[str, ...] = ()
    tilt: Tilt | None = None
    pixels: Pixels | None = None
    likeness: Likeness | None = None


def examine(cases: Sequence[Case], dataset: Dataset, *, not_finite: NotFinite, jobs: Jobs, events: Events) -> list[Examined]:
    """Read cases, check them, and put the labelled ones into numbers.

    Args:
        cases: of the data set.
        dataset: says what is expected of them.
        not_finite: what to do with voxels that are NaN or infinite.
        jobs: processes at work, each with one case in memory, or an executor; 1: this process alone. The result is the same.
        events: gets a progress bar and what the files give cause to warn of.

    Raises:
        SystemFailureError: nothing could be done at all, as where processes cannot be started.
    """
    values = None if dataset.classes is None else names_by_value(dataset.classes, ignore=dataset.ignore)
    look = partial(_examine, channels=len(dataset.channels), values=values, ignore=dataset.ignore, not_finite=not_finite)
    examined = []
    with (
        events.track("looking at the data", total=len(cases), unit="cases") as progress,
        ordered_map(look, cases, jobs=jobs, on_death=_given_up) as results,
    ):
        for result in results:
            examined.append(result)
            progress.advance()
    examined = _with_common_channels(examined, cases, dataset)
    _tell_warnings(examined, events=events)
    _warn_of_empty_labels(examined, events=events)
    _warn_of_tilt(examined, events=events)
    _warn_of_thick_axes(examined, events=events)
    warn_of_duplicates(cases, {case.id: case.likeness for case in examined if case.likeness is not None}, events)
    return examined


def problems_of(examined: Sequence[Examined], *, root: Path) -> list[tuple[str, AutosegError]]:
    """Everything that is wrong: with single cases, by id, and with all of them together."""
    problems = [(case.id, error) for case in examined for error in case.errors]
    usable = [case.fingerprint for case in examined if case.fingerprint is not None]
    flat = [case.id for case in usable if case.dimensions == 2]
    if flat and len(flat) < len(usable):
        mixed = DatasetError(
            "2D images and volumes are mixed",
            where=root,
            expected="only 2D or only 3D images",
            found=f"{len(flat)} 2D images (such as {flat[0]}) and {len(usable) - len(flat)} 3D images",
            remedy="Make two data sets of them.",
        )
        problems.append(("all cases", mixed))
    return problems


def split_cases(
    dataset: Dataset,
    cases: Sequence[CaseFingerprint],
    *,
    classes: Sequence[LabelClass],
    folds: int,
    events: Events,
    earlier: Splits | None = None,
) -> Splits:
    """Folds whose training sides show every class wherever that can be, and no copy of a validation case; says where not.

    Where there are folds, their cases stay where they are, wherever that can be.

    Args:
        dataset: the data set.
        cases: its labelled cases in numbers.
        classes: of the data set, background first.
        folds: how many.
        events: notified of classes that no scan, or no training case of a fold, shows.
        earlier: the folds so far, which are kept; None: there are none, or all cases are assigned from scratch.
    """
    present = {case.id: [label.value for label in classes if case.voxels_of(label)] for case in cases}
    groups = fold_groups(dataset, cases)
    splits = make_splits(dataset, classes_present=present, folds=folds, groups=groups)
    splits = splits if earlier is None else planned_again(earlier, splits, groups=groups)
    _warn_of_missing_classes(splits, present, classes=classes, events=events)
    return splits


def _warn_of_missing_classes(
    splits: Splits, present: Mapping[str, Sequence[int]], *, classes: Sequence[LabelClass], events: Events
) -> None:
    """Say which classes no scan shows at all, and which folds have none to learn them from."""
    anywhere = {value for values in present.values() for value in values}
    for label in classes[1:]:
        if label.value not in anywhere:
            events.warn(
                f"no scan shows label {label.value} ({label.name}): it cannot be learnt, and its scores are undefined"
            )
    for fold, values in sorted(classes_missing(splits, present).items()):
        events.warn(f"fold {fold}: no training case has label {', '.join(map(str, sorted(values)))}")


def _examine(
    case: Case, *, channels: int, values: Mapping[int, str] | None, ignore: int | None, not_finite: NotFinite
) -> Examined:
    # Errors travel as values, so that one bad file does not hide the next.
    errors: list[AutosegError] = []
    image: Image | None = None
    labels: LabelMap | None = None
    fingerprint = likeness = None
    try:
        image = read_image(case.images, channels=channels, not_finite=not_finite, as_found=True)
    except AutosegError as error:
        errors.append(error)
    try:
        labels = None if case.label is None else read_labels(case.label, values=values)
    except AutosegError as error:
        errors.append(error)
    if image is not None and labels is not None and case.label is not None:
        try:
            labels = on_grid_of(labels, image.geometry, where=case.label, other=case.images[0])
            fingerprint = measure(case, image, labels, ignore=ignore)
        except AutosegError as error:
            errors.append(error)
    if image is not None and not errors:
        likeness = likeness_of(image, labels)
        if fingerprint is not None:
            fingerprint = fingerprint.model_copy(update={"voxels_sha256": likeness.image})
    warnings = tuple(warning for part in (image, labels) if part is not None for warning in part.warnings)
    return Examined(
        case.id,
        fingerprint,
        tuple(errors),
        warnings,
        tilt=None if image is None else measured_tilt(image.geometry),
        pixels=None if image is None else pixels_of(image, files=len(case.images)),
        likeness=likeness,
    )


def _given_up(case: Case, error: SystemFailureError) -> Examined:
    return Examined(case.id, errors=(error,))


def _with_common_channels(examined: Sequence[Examined], cases: Sequence[Case], dataset: Dataset) -> list[Examined]:
    """Give all cases the channels of the training images; those that cannot have them get an error."""
    trained = {case.id for case in dataset.labelled}
    kinds = [case.pixels for case in examined if case.pixels is not None and (not trained or case.id in trained)]
    # Where three channels are declared, files of one are no colours that happen to be grey.
    wanted = "colours" if len(dataset.channels) > 1 and set(kinds) == {"grey"} else common_pixels(kinds)
    if wanted is None:
        return list(examined)
    return [_with_channels(result, case, wanted) for result, case in zip(examined, cases, strict=True)]


def _with_channels(result: Examined, case: Case, wanted: CommonPixels) -> Examined:
    if result.pixels is None:
        return result
    problem = problem_with(result.pixels, wanted, case.images[0])
    if problem is not None:
        return replace(result, fingerprint=None, errors=(problem, *result.errors))
    if wanted == "colours" or result.fingerprint is None:
        return result
    return replace(
        result,
        fingerprint=with_one_channel(result.fingerprint),
        warnings=(*result.warnings, *remark_on(result.pixels, wanted)),
    )


def _tell_warnings(examined: Sequence[Examined], *, events: Events) -> None:
    # Scans of one origin share their peculiarities: one line for each of those, not one for each scan.
    cases: defaultdict[str, list[str]] = defaultdict(list)
    for case in examined:
        for warning in dict.fromkeys(case.warnings):
            cases[warning].append(case.id)
    for warning, ids in cases.items():
        tell = events.warn if doubts([warning]) else events.info
        tell(f"{some(ids)}: {warning}")


def _warn_of_tilt(examined: Sequence[Examined], *, events: Events) -> None:
    """Say which scans are tilted unlike all labelled ones but themselves."""
    labelled = [case for case in examined if case.fingerprint is not None]
    labelled = [labelled[place] for place in outermost([case.tilt for case in labelled])]
    unlike = [
        f"{case.id} is {listing(warnings)}"
        for case in examined
        if (warnings := unusual_tilt(case.tilt, [other.tilt for other in labelled if other is not case]))
    ]
    if unlike:
        events.warn(f"slices show the anatomy in another way than those of the other labelled scans: {some(unlike)}")


def _warn_of_thick_axes(examined: Sequence[Examined], *, events: Events) -> None:
    """Say which labelled scans are thick along which axis, where these differ: a plan sees medians, one per axis."""
    thick: defaultdict[AnatomicalAxis, list[str]] = defaultdict(list)
    for case in examined:
        found = case.fingerprint
        if found is not None and found.dimensions == 3 and (axis := thick_axis(found)) is not None:
            thick[axis].append(case.id)
    if len(thick) > 1:
        most_first = sorted(thick.items(), key=lambda group: -len(group[1]))
        told = ", ".join(f"{len(ids)} along {axis} ({some(ids)})" for axis, ids in most_first)
        events.warn(
            f"scans are thick along different axes: {told}. No plane shows fine slices of all of them: plan each group as a "
            "data set of its own, or resample them to one spacing"
        )


def _warn_of_empty_labels(examined: Sequence[Examined], *, events: Events) -> None:
    found = [case.fingerprint for case in examined if case.fingerprint is not None and has_label(case.fingerprint)]
    if empty := [case.id for case in found if case.label_box is None]:
        events.warn(
            f"{some(empty)}: nothing is labelled, so these scans teach the background only, and metrics of the "
            "other classes are undefined on them"
        )
