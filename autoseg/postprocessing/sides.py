"""What can be compared: scores that are stored in a workspace, with models or in a table, found by the place they lie in."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.dataset import LabelClass
from autoseg.errors import AutosegError, BundleError, UsageError
from autoseg.evaluation.cases import CaseMetrics, Tolerances
from autoseg.evaluation.judged import classes_of, judged_side, tolerances_of, with_same_classes
from autoseg.evaluation.judged_files import verify_judged
from autoseg.evaluation.paired import Side
from autoseg.evaluation.pairing import has_label_maps
from autoseg.evaluation.tables import EVALUATION_FOLDER, METRICS_FILE, read_cases
from autoseg.events import Events
from autoseg.model.identity import model_folders
from autoseg.postprocessing import held_out
from autoseg.postprocessing.in_use import refuse_trained_again, selection_of
from autoseg.postprocessing.learnt import learnt_warnings
from autoseg.postprocessing.selection import EDITED
from autoseg.preprocessing.keys import data_keys
from autoseg.runs.inventory import FinishedModel, by_network, refuse_other_folds, take_inventory
from autoseg.runs.moved_data import planned_checksums
from autoseg.runs.workspace import Workspace
from autoseg.training.run_state import read_state

_SELECT_AGAIN: Final = "Run `autoseg select` again."


@dataclass(frozen=True)
class Judging:
    """How label maps are judged now.

    Attributes:
        references: label maps to compare with; None: there are none, and only scores that are stored can be compared.
        tolerance_mm: of the normalised surface Dice; None: as the scores that are stored say.
        jobs: processes that work side by side.
        ignore: value of voxels without a label in the references; None: as a workspace says.
    """

    references: Path | None = None
    tolerance_mm: float | None = None
    jobs: int = 1
    ignore: int | None = None


@dataclass(frozen=True)
class FoundSides:
    """What can be compared.

    Attributes:
        sides: in the order asked for.
        failures: label maps that could not be judged, with what is wrong with them.
    """

    sides: tuple[Side, ...]
    failures: tuple[tuple[str, AutosegError], ...]


def find_sides(places: Mapping[str, Path], judging: Judging, events: Events) -> FoundSides:
    """Scores for every place: those that are stored there, or of the label maps there, which are judged now.

    Args:
        places: by the names of the sides.
        judging: where it has references, folders of label maps are judged, whether they have a table of scores or not.
        events: notified of progress, and warned about files.

    Raises:
        BundleError: no model at a place was trained and scored to its end, one was trained again since it was selected, or
            one of several held out other cases than its fold does now.
        UsageError: there is no such place, it has several networks and no selection, or label maps have no references.
        WorkspaceError: a document or a table cannot be parsed, or it or the label maps were changed since it was written.
    """
    workspaces = {workspace.root: workspace for place in places.values() if (workspace := workspace_of(place)) is not None}
    for warning in learnt_warnings(places, workspaces):
        events.warn(warning)
    stored = {name: _stored_side(place, name=name, judging=judging, events=events) for name, place in places.items()}
    known = [side for side in stored.values() if side is not None]
    classes = classes_of(known) if len(known) == len(stored) else _classes(known, workspaces.values())
    tolerances_mm: Tolerances = tolerances_of(known) if judging.tolerance_mm is None else judging.tolerance_mm
    sides: list[Side] = []
    failures: list[tuple[str, AutosegError]] = []
    for name, side in stored.items():
        if side is not None:
            sides.append(side)
            continue
        if judging.references is None:
            raise UsageError(
                "holds no scores",
                where=places[name],
                expected=f"a workspace, a model, or a table {METRICS_FILE}",
                remedy="Name the references of its label maps with --references.",
            )
        judged, failed = judged_side(
            places[name],
            judging.references,
            name=name,
            classes=classes,
            tolerances_mm=tolerances_mm,
            ignore=_ignored(judging, workspaces.values()),
            events=events,
            jobs=judging.jobs,
        )
        sides.append(judged)
        failures += failed
    return FoundSides(tuple(with_same_classes(sides, tolerances_mm) if classes is None else sides), tuple(failures))


def _classes(known: Sequence[Side], workspaces: Iterable[Workspace]) -> Sequence[LabelClass] | None:
    """The classes that label maps are judged by; None: those that are found in them.

    They are those of the sides that are scored already, as a workspace among the places has them: scores do not say which
    values a region holds. Without such sides they are the workspace's.
    """
    scored = classes_of(known)
    for workspace in workspaces:
        planned = {(label.value, label.name): label for label in workspace.plan().data.classes}
        if scored is None:
            return tuple(planned.values())
        foreground = [planned.get((label.value, label.name)) for label in scored[1:]]
        if None not in foreground:
            return (scored[0], *filter(None, foreground))
    return scored


def _ignored(judging: Judging, workspaces: Iterable[Workspace]) -> int | None:
    """The value of voxels without a label in the references: as asked for, else as a workspace among the places has it."""
    if judging.ignore is not None:
        return judging.ignore
    declared = (workspace.plan().data.ignore for workspace in workspaces)
    return next((value for value in declared if value is not None), None)


def _stored_side(place: Path, *, name: str, judging: Judging, events: Events) -> Side | None:
    """Scores that are stored at a place, whatever it is.

    Args:
        place: a workspace, for what it selected or else for its only network; inside its `models`, the folder of a network,
            for what its folds held out, or of one model; a table of scores, or a folder that has one.
        name: what to call it.
        judging: label maps in folders that are no models are judged, where it has references.
        events: notified of label maps that are gone, and warned about a selection that was edited.

    Returns:
        None where label maps are to be judged, or nothing is stored.
    """
    if not place.exists():
        raise UsageError("there is no such file or folder", where=place, remedy="Check its name.")
    workspace, here = workspace_of(place), place.resolve()
    if workspace is not None:
        found = _of_workspace(workspace, events) if workspace.root == here else _of_models(workspace, here)
        if found is not None:
            return Side(name, found, _references(workspace))
    table = _table(place)
    if table is None or (judging.references is not None and has_label_maps(place)):
        return None
    references = verify_judged(table, events)
    if workspace is not None and {workspace.models, workspace.selected} & {*table.resolve().parents}:
        selected = table.resolve().parent == workspace.selected
        held_out.verify_shown(table.parent, remedy=_SELECT_AGAIN if selected else held_out.predict_again(table))
        references = references or _references(workspace)
    return Side(name, read_cases(table), references)


def workspace_of(place: Path) -> Workspace | None:
    """The workspace that a place is, or lies in; its root is an absolute path."""
    here = place.resolve()
    return next((Workspace(folder) for folder in (here, *here.parents) if Workspace(folder).plan_file.exists()), None)


def _references(workspace: Workspace) -> dict[str, str]:
    """Checksums of the label maps of a workspace's cases as they were planned, where its runs had these files.

    Of label maps that were replaced between the plan and a run, nothing says which one scores are of.
    """
    if not workspace.fingerprint_file.exists():
        return {}
    plan, fingerprint = workspace.plan(), workspace.fingerprint()
    planned = data_keys(plan, planned_checksums(fingerprint))
    replaced: set[str] = set()
    for folder in model_folders(workspace.models):
        with suppress(AutosegError):  # whoever needs that run is told why it cannot be read
            state = read_state(folder)
            if state is not None and plan.is_identified_by(state.plan_digest):
                differing = state.keys.differing(planned)
                replaced |= planned.cases.keys() if differing is None else set(differing)
    return {case.id: case.label_sha256 for case in fingerprint.cases if case.id not in replaced}


def _of_workspace(workspace: Workspace, events: Events) -> tuple[CaseMetrics, ...]:
    """Scores of what was selected, else of the held-out cases of the only network."""
    plan = workspace.plan()
    if (selection := selection_of(workspace, plan)) is not None:
        refuse_trained_again(workspace, selection)
        held_out.verify_shown(workspace.selected, remedy=_SELECT_AGAIN)
        if selection.edited:
            events.warn(f"{workspace.selection_file} was {EDITED}")
        return read_cases(workspace.selected / METRICS_FILE)
    return _of_one_network(workspace, take_inventory(workspace, plan).finished, place=workspace.root)


def _of_models(workspace: Workspace, place: Path) -> tuple[CaseMetrics, ...] | None:
    """Scores of the model in a folder, or of those below it; None where it is no folder of models."""
    if workspace.models not in (place, *place.parents) or _table(place) is not None or place.is_file():
        return None
    finished = take_inventory(workspace, workspace.plan()).finished
    own = [model for model in finished if model.folder == place]
    return _of_one_network(workspace, own or [model for model in finished if place in model.folder.parents], place=place)


def _of_one_network(workspace: Workspace, models: Sequence[FinishedModel], *, place: Path) -> tuple[CaseMetrics, ...]:
    """Scores of a network's held-out cases; those of a cross-validation, where any of several models is of one.

    Raises:
        BundleError: there is none, or one held out other cases than its fold does now.
        UsageError: they are of several networks.
    """
    scored = [model for model in models if held_out.is_scored(model.folder)]
    if len(scored) > 1:
        scored = [model for model in scored if model.id.is_numbered] or scored
    networks = by_network(scored)
    if not networks:
        raise BundleError(
            "no model was trained and scored to its end under the current plan",
            where=place,
            remedy="Train a fold with `autoseg train`: at its end the cases it held out are scored.",
        )
    if len(networks) > 1:
        folders = dict.fromkeys(str(workspace.models / model.id.folder) for model in scored)
        raise UsageError(
            f"has several networks ({', '.join(network.name for network in networks)}), and nothing says which is meant",
            where=place,
            remedy=f"Run `autoseg select`, or name the folder of one of them, such as {next(iter(folders))}.",
        )
    [chosen] = networks.values()
    refuse_other_folds(chosen, workspace=workspace)
    for model in chosen:
        held_out.verify_scored(model.folder)
    return tuple(case for model in chosen for case in held_out.read_scores(model.folder))


def _table(place: Path) -> Path | None:
    """The table of scores that a place is or has, or that lies where `evaluate` writes it."""
    if place.is_file():
        return place if place.suffix == ".csv" else None
    tables = (place / METRICS_FILE, place / EVALUATION_FOLDER / METRICS_FILE)
    return next((table for table in tables if table.exists()), None)
