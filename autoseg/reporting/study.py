"""What was done in a workspace, as far as a methods paragraph tells it: finished runs, scores, the selection."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoseg import catalogue
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.statistics import mean_interval
from autoseg.inference.shift import describe as describe_shift
from autoseg.inference.steps import describe as describe_step
from autoseg.metrics.table import METRICS
from autoseg.model.description import Hardware, Origin, TrainedStretch, software_versions
from autoseg.planning.labelled import labelled_part
from autoseg.postprocessing.scoring import case_means
from autoseg.postprocessing.selection import Selection
from autoseg.reporting.data import FinishedRun, ReportData
from autoseg.reporting.subject import decided, subject_of


@dataclass(frozen=True)
class Training:
    """One finished training.

    Attributes:
        architecture: the network.
        fold: a number, `official` or `full`.
        seed: of its randomness.
        training: ids of the cases it learnt from.
        held_out: ids of the cases it did not.
        epochs: that it took.
        minutes: that it took, from the start to the last epoch's validation.
        versions: of the software, as recorded then.
        precision: number format of the convolutions.
        hardware: as recorded then; None: it was not.
        batches_halved: whether its batches were smaller than planned, because the GPU's memory was too small.
        augmented_on_host: whether slices were augmented by the processor.
        origin: the model that it started from; None: it started from nothing.
        rate_factor: what the plan's learning rate was multiplied by there.
        revision: of the data: how often label maps had been adopted.
        adopted: checksums of label maps of further training cases that a model predicted and a person corrected.
        corrected: the same of label maps that took the place of one of the data set.
        stretches: what each call trained where several did, each further than the one before.
    """

    architecture: catalogue.Architecture
    fold: str
    seed: int
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    epochs: int
    minutes: float
    versions: Mapping[str, str]
    precision: str = "float32"
    hardware: Hardware | None = None
    batches_halved: bool = False
    augmented_on_host: bool = True
    origin: Origin | None = None
    rate_factor: float = 1.0
    revision: int = 0
    adopted: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    stretches: tuple[TrainedStretch, ...] = ()


@dataclass(frozen=True)
class Choice:
    """What was selected, and from what; of a selection that was edited, what it was before, which its scores are of.

    Attributes:
        networks: that predict together.
        candidates: combinations of networks and views that were compared, this one among them.
        cases: held-out cases that they were compared on.
        tested: whether differences between them were tested.
        views: planes of the slices that were selected; empty: all.
        shift: of the logarithms of averaged probabilities, in words; empty: none.
        steps_tried: how many steps of postprocessing were tried.
        steps: those that were kept, in words.
        nested: whether each fold was also scored by what the others choose.
        edited: whether somebody changed the selection afterwards.
    """

    networks: tuple[catalogue.Architecture, ...]
    candidates: int
    cases: int
    tested: bool = False
    views: tuple[str, ...] = ()
    shift: str = ""
    steps_tried: int = 0
    steps: tuple[str, ...] = ()
    nested: bool = False
    edited: bool = False


@dataclass(frozen=True)
class Study:
    """What was done, beside what the plan says.

    Attributes:
        cases: labelled cases.
        folds: of the cross-validation, as they are stored.
        trainings: that came to their end.
        scored: held-out cases that the scores at the top of a report are over.
        scored_network: what these are of, where nothing was selected among several networks; empty: something was, or there
            is one.
        metrics: what they were scored by: names in `METRICS` that are defined for any of them.
        has_interval: whether a mean over them is given with an interval.
        choice: what was selected; None: nothing was.
        versions: of the software that writes the report.
        labelled: how much of the cases is labelled, in words; empty: every voxel is.
    """

    cases: int
    folds: int
    trainings: Sequence[Training] = ()
    scored: int = 0
    scored_network: str = ""
    metrics: Sequence[str] = ()
    has_interval: bool = False
    choice: Choice | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    labelled: str = ""


def architectures(trainings: Sequence[Training]) -> list[catalogue.Architecture]:
    """Networks that were trained, in the order of their table."""
    trained = {training.architecture for training in trainings}
    return [name for name in catalogue.NETWORKS if name in trained]


def study_of(data: ReportData) -> Study:
    """Gather what was done from a report's data."""
    subject = subject_of(data)
    names = [label.name for label in data.plan.data.classes]
    return Study(
        cases=len(data.fingerprint.cases),
        folds=len(data.splits.folds),
        trainings=[training_of(run) for run in data.runs],
        scored=len(subject.cases),
        scored_network=subject.name if data.selection is None and len(data.main.scores) > 1 else "",
        metrics=[name for name, metric in METRICS.items() if metric.better is not None and _is_defined(name, subject.cases)],
        has_interval=not math.isnan(mean_interval(case_means(subject.cases, "dice"), metric="dice").low),
        choice=None if data.selection is None else _choice(data.selection, data, names),
        versions=software_versions(),
        labelled=str(labelled_part(data.fingerprint.cases) or ""),
    )


def _is_defined(metric: str, cases: Sequence[CaseMetrics]) -> bool:
    return any(not math.isnan(label.number(metric)) for case in cases for label in case.classes)


def training_of(run: FinishedRun) -> Training:
    """One run, of which what its checkpoint says counts more than what its best weights do."""
    made, state = run.provenance, run.state
    return Training(
        architecture=run.model.architecture,
        fold=run.model.fold,
        seed=made.seed,
        training=made.training_cases,
        held_out=made.validation_cases,
        epochs=made.epochs if state is None else len(state.epochs),
        minutes=made.minutes if state is None else state.elapsed_s / 60,
        versions=made.versions,
        precision=made.precision,
        hardware=made.hardware,
        batches_halved=state is not None and state.halvings > 0,
        augmented_on_host=state is None or state.batches != "device",
        origin=made.origin,
        rate_factor=1.0 if state is None else state.rate_factor,
        revision=made.revision,
        adopted=made.adopted_sha256,
        corrected=made.corrected_sha256,
        stretches=made.stretches,
    )


def _choice(selection: Selection, data: ReportData, names: Sequence[str]) -> Choice:
    made = decided(selection)
    return Choice(
        networks=made.networks,
        candidates=len(selection.candidates),
        cases=len(selection.compared_cases),
        tested=any(candidate.p is not None for candidate in selection.candidates),
        views=made.views,
        shift=describe_shift(made.log_shift, names) if any(made.log_shift) else "",
        steps_tried=len(selection.tried),
        steps=tuple(describe_step(step, data.plan.data.classes) for step in made.steps),
        nested=selection.nested is not None,
        edited=selection.edited,
    )
