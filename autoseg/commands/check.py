"""`autoseg check`: whether a data set can train at all, and everything that is wrong with it, in one go."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from typing import TYPE_CHECKING, Any

from autoseg import catalogue
from autoseg.events import Events
from autoseg.jobs.work import ExecutorName
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import Jobs, OptionalPath, Options, PathOption, argument, option
from autoseg.options.shared import CHANNELS, EXECUTOR, IGNORE, JOBS, LABELS, NOT_FINITE, SCHEDULER, SLURM_SETTINGS
from autoseg.results import Records
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.data.dataset import Dataset, LabelClass
    from autoseg.planning.fingerprint import Fingerprint


class CheckOptions(Options):
    """Say whether a data set can train at all, and everything that is wrong with its files, in one go."""

    dataset: PathOption = argument("Folder of the data set; its layout is recognised.")
    _: KW_ONLY
    labels: str | None = option(LABELS, default=None)
    channels: Sequence[str] = option(CHANNELS, default=())
    ignore: int | None = option(IGNORE, default=None)
    not_finite: catalogue.NotFinite = option(NOT_FINITE, default="refuse")
    jobs: Jobs = option(JOBS, default=1)
    executor: ExecutorName = option(EXECUTOR, default="local")
    scheduler: str | None = option(SCHEDULER, default=None)
    slurm_settings: OptionalPath = option(SLURM_SETTINGS, default=None)


@dataclass(frozen=True, repr=False)
class CheckResult(Records):
    """A data set without a fault.

    Attributes:
        dataset: the cases.
        classes: declared, or found in the labels.
        fingerprint: the labelled cases in numbers.
        folds: of the cross-validation that `plan` would make.
        not_finite: what was asked for of voxels that are not finite.
        ignore: which label value was asked for as that of voxels without a label; None: none was.
    """

    dataset: "Dataset"
    classes: "tuple[LabelClass, ...]"
    fingerprint: "Fingerprint"
    folds: int
    not_finite: catalogue.NotFinite = "refuse"
    ignore: int | None = None

    def _in_short(self) -> str:
        cases = len(self.fingerprint.cases)
        others = len(self.dataset.cases) - cases
        labelled = counted(cases, "labelled case")
        return f"{self.dataset.name}: {labelled}, {others} without labels, {counted(self.folds, 'fold')}"

    def _tables(self) -> Sequence[Table]:
        return describe(self).tables

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per labelled case: voxels and spacing along its axes, voxels of each class."""
        return [
            {
                "case": case.id,
                **{f"{axis}_voxels": length for axis, length in zip("zyx", case.shape, strict=True)},
                **{f"{axis}_spacing_mm": side for axis, side in zip("zyx", case.spacing_mm, strict=True)},
                **{f"{label.name}_voxels": case.voxels_of(label) for label in self.classes},
            }
            for case in self.fingerprint.cases
        ]


def run(options: CheckOptions, events: Events) -> CheckResult:
    """Read every file of a data set, those without labels, too.

    Raises:
        ProblemsError: something is wrong; names every problem of every file.
        DatasetError: the folder is no data set, or nothing in it is labelled.
    """
    from autoseg.data.splits import fold_count
    from autoseg.errors import DatasetError, ProblemsError
    from autoseg.jobs.executors import open_executor
    from autoseg.layouts import find_dataset, tell_found
    from autoseg.layouts.common import Choice
    from autoseg.planning.channels import found_channels
    from autoseg.planning.duplicates import fold_groups
    from autoseg.planning.examination import examine, problems_of, split_cases
    from autoseg.planning.fingerprint import Fingerprint, found_classes
    from autoseg.planning.labelled import without_unlabelled

    dataset = find_dataset(options.dataset, choice=Choice(options.labels, tuple(options.channels), options.ignore))
    tell_found(dataset, events)
    cases = sorted(dataset.cases, key=lambda case: case.id)
    with open_executor(options, folder=dataset.root, write=False, events=events) as jobs:
        examined = examine(cases, dataset, not_finite=options.not_finite, jobs=jobs, events=events)
    problems = problems_of(examined, root=dataset.root)
    if not dataset.labelled:
        remedy = "Put label maps beside the training scans."
        problems.append(("all cases", DatasetError("no scan has a label map", where=dataset.root, remedy=remedy)))
    if problems:
        raise ProblemsError(problems, where=dataset.root)
    found = [case.fingerprint for case in examined if case.fingerprint is not None]
    dataset, labelled = without_unlabelled(dataset, found, events)
    fingerprint = Fingerprint(cases=labelled)
    dataset = found_channels(dataset, fingerprint.cases)
    folds = fold_count(len(set(fold_groups(dataset, fingerprint.cases).values())), asked=None)
    classes = found_classes(dataset, fingerprint)
    split_cases(dataset, fingerprint.cases, classes=classes, folds=folds, events=events)
    return CheckResult(dataset, classes, fingerprint, folds, options.not_finite, options.ignore)


def describe(result: CheckResult) -> Output:
    """That nothing is wrong, and what there is; the cases as a table."""
    from autoseg.planning.labelled import labelled_part

    dataset, fingerprint = result.dataset, result.fingerprint
    rows = [
        (
            case.id,
            " x ".join(str(length) for length in case.shape),
            " x ".join(f"{spacing:.4g}" for spacing in case.spacing_mm),
            ", ".join(str(value) for value, count in case.class_voxels.items() if count),
        )
        for case in fingerprint.cases
    ]
    table = Table(f"{dataset.name}, labelled cases", ("case", "voxels (Z, Y, X)", "spacing (mm)", "labels"), rows)
    unlabelled = len(dataset.cases) - len(fingerprint.cases)
    classes = ", ".join(f"{label.value} {label.name}" for label in result.classes)
    channels = ", ".join(dataset.channels)
    part = labelled_part(fingerprint.cases)
    labelled = "" if part is None else f"labelled: {part}\n"
    text = (
        f"{dataset.name} ({dataset.layout} layout) can be trained: {counted(len(fingerprint.cases), 'labelled case')}, "
        f"{unlabelled} without labels, {counted(result.folds, 'fold')}\nchannels: {channels}\nclasses: {classes}\n{labelled}"
        f"Next: {_planning(result)}"
    )
    document = {
        "name": dataset.name,
        "layout": dataset.layout,
        "problems": [],
        "labelled": [case.id for case in fingerprint.cases],
        "unlabelled": unlabelled,
        "channels": list(dataset.channels),
        "classes": {label.value: label.name for label in result.classes},
        "folds": result.folds,
        **({} if part is None else {"labelled_part": asdict(part)}),
    }
    return Output(text, document, tables=[table])


def _planning(result: CheckResult) -> str:
    """The command that plans what was checked."""
    dataset = result.dataset
    asked = [] if dataset.asked_labels is None else ["--labels", dataset.asked_labels]
    asked += [part for channel in dataset.asked_channels for part in ("--channel", channel)]
    asked += [] if result.ignore is None else ["--ignore", str(result.ignore)]
    asked += [] if result.not_finite == "refuse" else ["--not-finite", result.not_finite]
    return shlex.join(["autoseg", "plan", str(dataset.root), *asked])


check = function(CheckOptions, run)
COMMAND = Command(CheckOptions, run, describe, example="autoseg check IBSR18/")
