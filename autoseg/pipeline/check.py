"""`autoseg check`: whether a data set can train at all, and everything that is wrong with it, in one go."""

from dataclasses import dataclass
from pathlib import Path

from autoseg.data.dataset import Dataset, LabelClass
from autoseg.data.layouts import find_dataset
from autoseg.data.splits import classes_missing, fold_count, make_splits
from autoseg.errors import AutosegError, DatasetError, ProblemsError
from autoseg.events import Events
from autoseg.planning.examination import Examined, examine, problems_of
from autoseg.planning.fingerprint import Fingerprint, found_classes


@dataclass(frozen=True)
class CheckConfig:
    """What the user chose for the examination.

    Attributes:
        dataset: folder of the data set.
        jobs: processes that read scans.
    """

    dataset: Path
    jobs: int = 1


@dataclass(frozen=True)
class CheckResult:
    """A data set without a fault.

    Attributes:
        dataset: the cases.
        classes: declared, or found in the labels.
        fingerprint: the labelled cases in numbers.
        folds: of the cross-validation that `plan` would make.
    """

    dataset: Dataset
    classes: tuple[LabelClass, ...]
    fingerprint: Fingerprint
    folds: int


def run(config: CheckConfig, events: Events) -> CheckResult:
    """Read every file of a data set, those without labels, too.

    Raises:
        ProblemsError: something is wrong; names every problem of every file.
        DatasetError: the folder is no data set, or nothing in it is labelled.
    """
    dataset = find_dataset(config.dataset)
    cases = sorted(dataset.cases, key=lambda case: case.id)
    examined = examine(cases, dataset, jobs=config.jobs, events=events)
    problems = problems_of(examined, root=dataset.root)
    if not dataset.labelled:
        problems.append(("all cases", _nothing_to_learn_from(dataset)))
    if problems:
        raise ProblemsError(problems, where=dataset.root)
    fingerprint = Fingerprint(cases=tuple(case.fingerprint for case in examined if case.fingerprint is not None))
    folds = fold_count(len({case.subject for case in dataset.training}), asked=None)
    _warn_of_thin_folds(dataset, examined, folds=folds, events=events)
    return CheckResult(dataset, found_classes(dataset, fingerprint), fingerprint, folds)


def _nothing_to_learn_from(dataset: Dataset) -> AutosegError:
    return DatasetError("no scan has a label map", where=dataset.root, remedy="Put label maps beside the training scans.")


def _warn_of_thin_folds(dataset: Dataset, examined: list[Examined], *, folds: int, events: Events) -> None:
    """Say which folds cannot learn every class."""
    present = {
        case.id: [value for value, count in case.fingerprint.class_voxels.items() if count]
        for case in examined
        if case.fingerprint is not None
    }
    splits = make_splits(dataset, classes_present=present, folds=folds)
    for fold, values in sorted(classes_missing(splits, present).items()):
        events.warn(f"fold {fold}: no training case has label {', '.join(map(str, sorted(values)))}")
