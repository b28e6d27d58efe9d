"""Report data: everything that the report is made from, gathered from a workspace once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import NETWORKS
from autoseg.data.dataset import Case, Dataset
from autoseg.data.display import shown_labels
from autoseg.data.labels import as_written
from autoseg.data.naming import printable
from autoseg.data.splits import Splits
from autoseg.errors import DatasetError, WorkspaceError
from autoseg.evaluation.cases import CaseMetrics, at_tolerances
from autoseg.evaluation.statistics import describe
from autoseg.evaluation.tables import METRICS_FILE, read_cases
from autoseg.events import Events, Silent
from autoseg.images.image import Image, on_grid_of, read_image, read_labels
from autoseg.model.description import Provenance, read_document
from autoseg.planning.examination import split_cases
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.postprocessing import held_out
from autoseg.postprocessing.run_status import runs_of
from autoseg.postprocessing.scoring import case_means
from autoseg.postprocessing.selection import Selection, read_selection
from autoseg.postprocessing.status import selection_status
from autoseg.runs.inventory import (
    OTHER_CASES,
    ComparedNetwork,
    FinishedModel,
    by_network,
    of_other_folds,
    refuse_mixed_data,
    revisions_apart,
    take_inventory,
)
from autoseg.runs.workspace import Workspace
from autoseg.training.run_state import RunState, read_state

SELECTED: Final = "Selection"
"""What the selection is called where it stands beside networks."""


@dataclass(frozen=True)
class FinishedRun:
    """A training that came to its end.

    Attributes:
        model: what it made.
        provenance: where that comes from.
        state: its epochs and options; None where the checkpoint is gone.
    """

    model: FinishedModel
    provenance: Provenance
    state: RunState | None

    @property
    def title(self) -> str:
        """What users read, such as `U-Net, fold 0`."""
        return f"{NETWORKS[self.model.architecture].title}, {self.model.id.place_title}"


@dataclass(frozen=True)
class ScoredModels:
    """Models whose held-out scores belong together.

    Attributes:
        suffix: of the files made from them.
        cases: what their cases are, in words.
        models: by network, one per fold.
        scores: by network, of every case held out; of each network by itself, without postprocessing.
    """

    suffix: str
    cases: str
    models: Mapping[ComparedNetwork, Sequence[FinishedModel]]
    scores: Mapping[ComparedNetwork, Sequence[CaseMetrics]]

    @property
    def is_cross_validation(self) -> bool:
        """Whether the models are of numbered folds, which selections are made from."""
        return not self.suffix

    @property
    def titled(self) -> dict[str, Sequence[CaseMetrics]]:
        """Scores by the networks' titles."""
        return {network.title: cases for network, cases in self.scores.items()}

    @property
    def best_network(self) -> ComparedNetwork:
        """The network scored on most cases, of several the one with the highest mean Dice, where any is defined."""

        def merit(network: ComparedNetwork) -> tuple[int, float]:
            mean = describe(case_means(self.scores[network], "dice")).mean
            return len(self.scores[network]), -math.inf if math.isnan(mean) else mean

        return max(self.scores, key=merit)


@dataclass(frozen=True)
class ReportData:
    """Everything the report is made from.

    Attributes:
        dataset: the cases.
        fingerprint: the labelled ones in numbers.
        splits: the folds.
        plan: the plan.
        runs: every finished training under it, by network, fold and seed.
        skipped: other models, and scores that cannot be shown beside others, each with the reason.
        groups: scored models; of the cross-validation first, then of the official split, where there are any.
        selection: what was selected, or None.
        unusable: why a selection that is there is left out; empty: it is not, or there is none.
        selected: scores of the selection, by case.
        label_maps: folder of the selection's label maps.
        outdated: why the selection is older than what is trained; empty: it is not, or there is none.
        folds_grew: whether the folds are others than those that are assigned to these cases from scratch.
        workspace: name of the workspace's folder.
    """

    dataset: Dataset
    fingerprint: Fingerprint
    splits: Splits
    plan: Plan
    runs: Sequence[FinishedRun]
    skipped: Sequence[str]
    groups: Sequence[ScoredModels]
    selection: Selection | None
    unusable: str
    selected: Sequence[CaseMetrics]
    label_maps: Path
    outdated: str
    folds_grew: bool
    workspace: str

    @property
    def main(self) -> ScoredModels:
        """The scored models that the page is about."""
        return self.groups[0] if self.groups else ScoredModels("", "", {}, {})

    def compared(self, group: ScoredModels) -> dict[str, Sequence[CaseMetrics]]:
        """Scores that stand side by side: first of the selection, if it was made from these models, then of each network."""
        selected = {SELECTED: self.selected} if self.selection is not None and group.is_cross_validation else {}
        return {**selected, **group.titled}

    def case(self, case_id: str) -> Case:
        """A case that a model held out.

        Raises:
            WorkspaceError: it is not in the data set any more.
        """
        for case in self.dataset.cases:
            if case.id == case_id:
                return case
        raise WorkspaceError(
            f"{case_id} was held out by a model, but is not in the data set any more",
            where=self.dataset.root,
            remedy="Plan the data set as it was, or train that model again with --restart.",
        )

    def image(self, case: Case) -> Image:
        """A case's scan, as the plan reads it."""
        not_finite = self.plan.preprocessing.not_finite
        return read_image(case.images, channels=len(self.plan.data.channels), not_finite=not_finite)

    def labels(self, path: Path, case: Case, image: Image) -> NDArray[np.integer[Any]]:
        """Label values of a case, its own or predicted, (Z, Y, X), on the grid of its scan, as they are drawn.

        Regions are as they are written, and voxels without a label `UNLABELLED`.

        Raises:
            ImageError: the file is missing or damaged, or has another shape than the scan.
        """
        labels = read_labels(path, values=self.plan.data.label_names)
        array = on_grid_of(labels, image.geometry, where=path, other=case.images[0], compared=True).array
        return shown_labels(as_written(array, self.plan.data.encoding), ignore=self.plan.data.ignore)

    def prediction_file(self, case_id: str) -> Path:
        """The label map of a held-out case by what is best."""
        if self.selection is not None:
            return self.label_maps / f"{case_id}.nii.gz"
        models = self.main.models[self.main.best_network]
        return next(path for model in models if (path := held_out.label_map_file(model.folder, case_id)).exists())


def gather(workspace: Workspace, events: Events) -> ReportData:
    """Read what a report is made from.

    Raises:
        BundleError: models of one plan were trained on different data.
        WorkspaceError: a document or a table cannot be parsed.
    """
    plan = workspace.plan()
    inventory = take_inventory(workspace, plan)
    for reason in inventory.skipped:
        events.info(f"left out: {reason}")
    if inventory.finished:
        refuse_mixed_data(inventory.finished)
        if learnt := revisions_apart(inventory.finished):
            events.warn(f"models learnt from different revisions of the data, so that their scores do not compare: {learnt}")
    else:
        events.info("nothing is trained yet: the report shows the data only")
    selection, unusable = _current_selection(workspace, plan, inventory.finished)
    if unusable:
        events.warn(f"{unusable} and is left out: run `autoseg select` again")
    splits = workspace.stored_splits()
    apart = of_other_folds(inventory.finished, splits)
    not_scored = tuple(f"the scores of {printable(str(model.folder))} ({OTHER_CASES})" for model in apart)
    for reason in not_scored:
        events.warn(f"left out: {reason}")
    return ReportData(
        dataset=workspace.dataset(),
        fingerprint=workspace.fingerprint(),
        splits=splits,
        plan=plan,
        runs=tuple(
            FinishedRun(model, read_document(model.folder).provenance, read_state(model.folder))
            for model in inventory.finished
        ),
        skipped=(*inventory.skipped, *not_scored),
        groups=_scored([model for model in inventory.finished if model not in apart], plan, selected=selection is not None),
        selection=selection,
        unusable=unusable,
        selected=()
        if selection is None
        else at_tolerances(read_cases(workspace.selected / METRICS_FILE), plan.tolerances_mm),
        label_maps=workspace.selected,
        outdated=""
        if selection is None
        else selection_status(workspace, plan, tuple(runs_of(workspace, plan, splits))).outdated,
        folds_grew=_have_grown(splits, workspace, plan),
        workspace=workspace.root.resolve().name,
    )


def _have_grown(splits: Splits, workspace: Workspace, plan: Plan) -> bool:
    """Whether planning these cases in an empty workspace gives other folds."""
    dataset, cases = workspace.dataset(), workspace.fingerprint().cases
    if {case.id for case in dataset.training} - {case.id for case in cases}:
        return True
    try:
        assigned = split_cases(dataset, cases, classes=plan.data.classes, folds=plan.folds, events=Silent())
    except DatasetError:  # no folds are assigned to these cases
        return True
    return assigned.sha256 != splits.sha256


def _current_selection(workspace: Workspace, plan: Plan, models: Sequence[FinishedModel]) -> tuple[Selection | None, str]:
    """The selection, unless it was made under another plan or of other models, and why it is not used."""
    if not workspace.selection_file.exists():
        return None, ""
    selection = read_selection(workspace.selection_file)
    if not plan.is_identified_by(selection.plan_digest):
        return None, "the selection was made under another plan"
    if _judged_others(workspace, selection, models):
        return None, "the selection was made from models that have been trained again or removed since"
    return selection, ""


def _judged_others(workspace: Workspace, selection: Selection, models: Sequence[FinishedModel]) -> bool:
    trained = {model.folder: read_document(model.folder).weights_sha256 for model in models}
    return any(trained.get(workspace.model(model.id)) != model.weights_sha256 for model in selection.models)


def _scored(models: Sequence[FinishedModel], plan: Plan, *, selected: bool) -> tuple[ScoredModels, ...]:
    """The cross-validation, where anything was scored or selected there, and the official split."""
    numbered = [model for model in models if model.id.is_numbered]
    official = [model for model in models if model.fold == "official"]
    groups = (
        _group(numbered, plan, suffix="", cases="held-out cases of the cross-validation"),
        _group(official, plan, suffix="_official", cases="the data set's own validation cases"),
    )
    return tuple(group for group in groups if group.scores or (selected and group.is_cross_validation))


def _group(models: Sequence[FinishedModel], plan: Plan, *, suffix: str, cases: str) -> ScoredModels:
    """Models by network, with the scores of those that were scored."""
    networks = by_network([model for model in models if held_out.is_scored(model.folder)])
    scores = {
        network: at_tolerances((case for model in scored for case in held_out.read_scores(model.folder)), plan.tolerances_mm)
        for network, scored in networks.items()
    }
    return ScoredModels(suffix, cases, networks, scores)
