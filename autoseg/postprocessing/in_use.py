"""Which models of a workspace predict: what was selected, else everything trained."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.errors import BundleError, WorkspaceError
from autoseg.events import Events
from autoseg.inference.ensemble import Ensemble, load_ensemble
from autoseg.inference.outliers import TrainingData
from autoseg.inference.quality import Quality
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.shift import describe
from autoseg.model.compute import Compute
from autoseg.model.description import read_document, weights_digest
from autoseg.model.packages import warn_of_other_versions
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.postprocessing.selection import Selection, read_selection
from autoseg.runs.inventory import FinishedModel, refuse_mixed_data, revisions_apart, take_inventory
from autoseg.runs.workspace import Workspace

_SELECT_AGAIN = "Run `autoseg select` again."


def workspace_segmenter(
    workspace: Workspace, *, compute: Compute, mirror: bool, memory_gb: float, events: Events
) -> Segmenter:
    """What was selected in a workspace, else everything trained there, without postprocessing.

    Args:
        workspace: where it lies.
        compute: device and number format.
        mirror: test-time augmentation: average over the flips that the plan names.
        memory_gb: memory that segmenting a scan may take, in GB.
        events: notified of everything.

    Raises:
        BundleError: nothing usable was trained, or a selected model is gone or has been trained again.
        MemoryLimitError: the weights do not fit into the memory.
        WorkspaceError: the selection cannot be parsed, or was made under another plan.
    """
    plan = workspace.plan()
    selection = selection_of(workspace, plan)
    models = models_in_use(workspace, plan, selection, events)
    folders = [model.folder for model in models]
    ensemble = load_ensemble(folders, compute=compute, mirror=mirror, memory_gb=memory_gb)
    return make_segmenter(ensemble, selection, fingerprint_of(workspace, models), memory_gb=memory_gb, events=events)


def fingerprint_of(workspace: Workspace, models: Sequence[FinishedModel]) -> Fingerprint:
    """The data of a workspace in numbers, without cases that were adopted since some models were trained.

    Args:
        workspace: where they lie.
        models: scans are compared with what these know.
    """
    known = max(model.revision for model in models)
    since = {
        case.id
        for case in workspace.stored_dataset().cases
        if case.adopted is not None and not case.adopted.corrected and case.adopted.revision > known
    }
    fingerprint = workspace.fingerprint()
    return fingerprint.model_copy(update={"cases": tuple(case for case in fingerprint.cases if case.id not in since)})


def make_segmenter(
    ensemble: Ensemble, selection: Selection | None, fingerprint: Fingerprint, *, memory_gb: float, events: Events
) -> Segmenter:
    """Networks with the postprocessing of a selection; with neither that nor a predicted Dice where nothing was selected."""
    events.info("averaging: " + ", ".join(ensemble.names))
    if selection is not None:
        ensemble = replace(ensemble.through(selection.views), log_shift=selection.log_shift)
    if selection is not None and selection.views:
        events.info(f"through slices of these planes alone: {', '.join(selection.views)}")
    if selection is not None and selection.log_shift:
        names = [label.name for label in ensemble.data.classes]
        what = "logarithms" if ensemble.data.encoding.exclusive else "log-odds"
        events.info(f"{what} of probabilities are shifted: {describe(selection.log_shift, names)}")
    if selection is None:
        events.info("nothing was selected: no Dice is predicted, and results that are probably bad are not marked as such")
    return Segmenter(
        ensemble=ensemble,
        steps=() if selection is None else selection.postprocessing,
        quality=None if selection is None else _trusted_quality(selection, events),
        trained_on=(training_data(ensemble.plans[0], fingerprint),),
        memory_gb=memory_gb,
    )


def training_data(plan: Plan, fingerprint: Fingerprint) -> TrainingData:
    """The data that a plan was made from, to compare scans with."""
    return TrainingData(plan.inputs.name, fingerprint, plan.preprocessing.normalisation)


def selection_of(workspace: Workspace, plan: Plan) -> Selection | None:
    """The selection of a workspace; None where nothing was selected.

    Raises:
        WorkspaceError: it cannot be parsed, or was made under another plan.
    """
    path = workspace.selection_file
    if not path.exists():
        return None
    selection = read_selection(path)
    if not plan.is_identified_by(selection.plan_digest):
        raise WorkspaceError(
            "the selection was made under another plan",
            where=path,
            expected=f"plan {plan.digest[:12]}",
            found=selection.plan_digest[:12],
            remedy=f"{_SELECT_AGAIN} Or delete the file to use everything that was trained.",
        )
    values = {label.value for label in plan.data.classes}
    unknown = sorted({step.label for step in selection.postprocessing if step.label is not None} - values)
    if unknown:
        raise WorkspaceError(
            "the postprocessing names classes that the plan does not know",
            where=path,
            expected=f"labels among {sorted(values - {0})}, or null",
            found=str(unknown),
            remedy=f"Correct postprocessing. Or: {_SELECT_AGAIN}",
        )
    if len(selection.log_shift) not in {0, len(values)}:
        raise WorkspaceError(
            "the shift of the prior does not fit the classes",
            where=path,
            expected=f"{len(values)} numbers in log_shift, one per class, or none",
            found=str(len(selection.log_shift)),
            remedy=f"Correct log_shift. Or: {_SELECT_AGAIN}",
        )
    if foreign := _foreign_views(selection, plan):
        raise WorkspaceError(
            "the views are not those of the plan, or not those that the models see",
            where=path,
            expected=f"planes among {', '.join(map(str, plan.planes))}, or none for all",
            found=", ".join(foreign),
            remedy=f"Correct views. Or: {_SELECT_AGAIN}",
        )
    return selection


def _foreign_views(selection: Selection, plan: Plan) -> list[str]:
    """Planes that a selection names though the plan does not, or though they are left out."""
    seen = [model.view for model in selection.models if model.view is not None]
    left_out = [plane for plane in seen if selection.views and plane not in selection.views]
    return [*(plane for plane in selection.views if plane not in plan.planes), *left_out]


def refuse_trained_again(workspace: Workspace, selection: Selection) -> None:
    """Require scores of a selection to be of the models that are there; one that is gone has none but these.

    Raises:
        BundleError: a selected model was trained again, or further, since.
    """
    for model in selection.models:
        folder = workspace.model(model.id)
        if weights_digest(folder) not in {None, model.weights_sha256}:
            raise _trained_again(folder)


def models_in_use(
    workspace: Workspace, plan: Plan, selection: Selection | None, events: Events
) -> tuple[FinishedModel, ...]:
    """The selected models; where nothing was selected, everything trained.

    Raises:
        BundleError: nothing usable was trained, or a selected model is gone or has been trained again.
    """
    models = _in_use(workspace, plan, selection, events)
    warn_of_other_versions((each for model in models for each in read_document(model.folder).registered), events)
    return models


def _in_use(workspace: Workspace, plan: Plan, selection: Selection | None, events: Events) -> tuple[FinishedModel, ...]:
    if selection is None:
        models = _everything_trained(workspace, plan)
        if apart := revisions_apart(models):
            events.warn(
                f"averaging models of different revisions of the data: {apart}. `autoseg train --continue` catches up"
            )
        return models
    trained = {model.folder: model for model in take_inventory(workspace, plan).finished}
    used = []
    for model in selection.models:
        folder = workspace.model(model.id)
        if folder not in trained:
            raise BundleError("a selected model is missing or not trained to its end", where=folder, remedy=_SELECT_AGAIN)
        if read_document(folder).weights_sha256 != model.weights_sha256:
            raise _trained_again(folder)
        used.append(trained[folder])
    newer = sorted(model.id.folder for model in trained.values() if model not in used)
    if newer:
        events.info(f"not in the selection: {', '.join(newer)}")
    return tuple(used)


def _trained_again(folder: Path) -> BundleError:
    return BundleError("a selected model was trained again, or further, since", where=folder, remedy=_SELECT_AGAIN)


def _everything_trained(workspace: Workspace, plan: Plan) -> tuple[FinishedModel, ...]:
    """The models to average: finished numbered folds under the current plan, else `full`, else `official`."""
    inventory = take_inventory(workspace, plan)
    numbered = [model for model in inventory.finished if model.id.is_numbered]
    others = ([model for model in inventory.finished if model.fold == fold] for fold in ("full", "official"))
    models = next(filter(None, (numbered, *others)), [])
    if not models:
        raise BundleError(
            "no finished model under the current plan",
            where=workspace.models,
            found="; ".join(inventory.skipped) or "no models",
            remedy="Train one with `autoseg train --arch unet --fold 0`.",
        )
    refuse_mixed_data(models)
    return tuple(models)


def _trusted_quality(selection: Selection, events: Events) -> Quality | None:
    """The calibration of a selection, unless what it calibrates was changed by hand."""
    if selection.edited:
        events.warn("the selection was edited by hand: nothing tells how good its results are, so no Dice is predicted")
        return None
    return selection.quality
