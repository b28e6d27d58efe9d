"""`autoseg check`: whether a data set can train at all, and everything that is wrong with it, in one go."""

from dataclasses import dataclass
from pathlib import Path

from autoseg.catalogue import NotFinite
from autoseg.commands.choices import Choices, Processes
from autoseg.data.dataset import Dataset, LabelClass
from autoseg.data.layouts import find_dataset
from autoseg.data.splits import fold_count, make_splits
from autoseg.errors import AutosegError, DatasetError, ProblemsError
from autoseg.events import Events
from autoseg.planning.examination import classes_present, examine, problems_of, warn_of_missing_classes
from autoseg.planning.fingerprint import Fingerprint, found_classes


class CheckConfig(Choices):
    """What the user chose for the examination.

    Attributes:
        dataset: folder of the data set.
        not_finite: what to do with voxels that are NaN or infinite.
        jobs: processes that read scans.
    """

    dataset: Path
    not_finite: NotFinite = "refuse"
    jobs: Processes = 1


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
    examined = examine(cases, dataset, not_finite=config.not_finite, jobs=config.jobs, events=events)
    problems = problems_of(examined, root=dataset.root)
    if not dataset.labelled:
        problems.append(("all cases", _nothing_to_learn_from(dataset)))
    if problems:
        raise ProblemsError(problems, where=dataset.root)
    fingerprint = Fingerprint(cases=tuple(case.fingerprint for case in examined if case.fingerprint is not None))
    folds = fold_count(len({case.subject for case in dataset.training}), asked=None)
    present, classes = classes_present(fingerprint.cases), found_classes(dataset, fingerprint)
    splits = make_splits(dataset, classes_present=present, folds=folds)
    warn_of_missing_classes(splits, present, classes=classes, events=events)
    return CheckResult(dataset, classes, fingerprint, folds)


def _nothing_to_learn_from(dataset: Dataset) -> AutosegError:
    return DatasetError("no scan has a label map", where=dataset.root, remedy="Put label maps beside the training scans.")
