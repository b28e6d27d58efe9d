"""`autoseg status`: how far a workspace has come, and what to do next."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoseg.events import Events
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import OptionalPath, Options, option
from autoseg.options.shared import WORKSPACE
from autoseg.results import Result
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.exporting.found import FoundExport
    from autoseg.postprocessing.next_step import NextStep
    from autoseg.postprocessing.run_status import RunStatus
    from autoseg.postprocessing.status import SelectionStatus, WorkspaceStatus


class StatusOptions(Options):
    """Say what of a workspace is planned, trained, scored and selected, and what to do next.

    Without a workspace, it is about the only one under runs/, or in short about all of them.
    """

    workspace: OptionalPath = option(WORKSPACE, default=None)


@dataclass(frozen=True)
class Standing:
    """How far one workspace has come.

    Attributes:
        status: what is there.
        exports: exported models with its networks, in the workspace and in the working folder.
        next: what to do.
    """

    status: "WorkspaceStatus"
    exports: "tuple[FoundExport, ...]"
    next: "NextStep"


@dataclass(frozen=True, repr=False)
class StatusResult(Result):
    """How far workspaces have come, by name."""

    workspaces: tuple[Standing, ...]

    def _in_short(self) -> str:
        return "; ".join(f"{standing.status.workspace.root}: {standing.next.why}" for standing in self.workspaces)

    def _tables(self) -> Sequence[Table]:
        return describe(self).tables


def run(options: StatusOptions, events: Events) -> StatusResult:  # noqa: ARG001 - every command is given them
    """Look at a workspace, or at all under `runs/`.

    Raises:
        WorkspaceError: there is none.
    """
    from autoseg.runs.found import found_workspaces, workspace_folder

    found = found_workspaces()
    several = options.workspace is None and len(found) > 1
    chosen = found if several else [workspace_folder(options.workspace)]

    from autoseg.exporting.found import find_exports
    from autoseg.postprocessing.next_step import next_step
    from autoseg.postprocessing.status import status_of
    from autoseg.runs.workspace import Workspace

    standings = []
    for workspace in map(Workspace, chosen):
        status = status_of(workspace)
        trained = {run.weights_sha256 for run in status.runs if run.weights_sha256 is not None}
        exports = find_exports(
            (workspace.root, Path()), trained=trained, in_use=_in_use(status), selection=workspace.selection_file
        )
        step = next_step(status, exported=any(export.current for export in exports))
        standings.append(Standing(status, exports, step))
    return StatusResult(tuple(standings))


def _in_use(status: "WorkspaceStatus") -> set[str]:
    """SHA-256 of the weights of the networks that predict: those selected, else all finished ones of one kind of fold."""
    if status.selection.models:
        return set(status.selection.models.values())
    finished = [run for run in status.runs if run.finished and run.weights_sha256 is not None]
    numbered = [run for run in finished if run.model.is_numbered]
    full, official = ([run for run in finished if run.model.fold == fold] for fold in ("full", "official"))
    return {run.weights_sha256 for run in numbered or full or official if run.weights_sha256 is not None}


def describe(result: StatusResult) -> Output:
    """One workspace with every run, or several with a line each."""
    document = {"workspaces": [_document(standing) for standing in result.workspaces]}
    changes = [sentence for standing in result.workspaces for sentence in _changes(standing.status)]
    if len(result.workspaces) > 1:
        rows = [_in_short(standing) for standing in result.workspaces]
        table = Table("Workspaces under runs/", ("workspace", "trained", "selected", "next"), rows)
        lines = [*changes, "More about one of them: autoseg status --workspace DIR"]
        return Output("\n".join(lines), document, [table])
    (standing,) = result.workspaces
    told = Table(f"{standing.status.workspace.root}", ("what", "how far"), _told(standing), headings=False)
    lines = [*changes]
    lines += [f"{run.model.title}: {run.reason}" for run in standing.status.of_stage("failed")]
    step = standing.next
    lines += ["", f"Next: {step.why}", *([step.command] if step.command else [])]
    return Output("\n".join(lines), document, [told, *_matrix(standing.status.runs)])


def _told(standing: Standing) -> list[tuple[str, str]]:
    status, plan = standing.status, standing.status.plan
    if plan is None:
        return [("planned", status.problem)]
    planes = ", ".join(str(plane) for plane in plan.planes if plane is not None) or "2D"
    edited, folds = "edited by hand" if plan.edited else "as planned", sum(map(str.isdigit, status.folds))
    counts = Counter(run.stage_told for run in status.runs)
    reported = "not yet" if status.report is None else str(status.report)
    outdated = ", older than what it shows" if status.report_outdated else ""
    old = " (other networks or postprocessing than predict now)"
    behind = f"; {counted(len(status.behind), 'model')} learnt from earlier ones" if status.behind else ""
    exports = [f"{export.path}{'' if export.current else old}" for export in standing.exports]
    return [
        ("planned", f"{plan.inputs.name}: recipe {plan.inputs.recipe}, {planes} slices, {counted(folds, 'fold')}, {edited}"),
        *(
            [("adopted", f"{counted(status.adopted, 'label map')}, revision {status.revision} of the data{behind}")]
            if status.revision
            else []
        ),
        ("preprocessed", f"{status.preprocessed} of {status.cases} labelled scans"),
        ("trained", ", ".join(f"{count} {stage}" for stage, count in counts.items()) or "nothing yet"),
        *_started(status.runs),
        ("selected", _selected(status.selection)),
        ("reported", f"{reported}{outdated}"),
        ("exported", ", ".join(exports) or "not found here"),
    ]


def _changes(status: "WorkspaceStatus") -> Sequence[str]:
    """What is to be said of the data set's folder."""
    return () if status.changes is None else status.changes.sentences(status.workspace)


def _started(runs: "Sequence[RunStatus]") -> list[tuple[str, str]]:
    """What runs started from that did not start from nothing."""
    origins = dict.fromkeys(run.origin.in_words for run in runs if run.origin is not None)
    return [("started from", "; ".join(origins))] if origins else []


def _selected(selection: "SelectionStatus") -> str:
    if selection.outdated:
        return f"outdated: {selection.outdated}"
    return f"{counted(len(selection.models), 'model')}, up to date" if selection.models else "nothing yet"


def _matrix(runs: "Sequence[RunStatus]") -> list[Table]:
    """Networks by folds."""
    if not runs:
        return []
    folds = list(dict.fromkeys(run.model.fold for run in runs))
    rows: dict[str, dict[str, str]] = {}
    for run in runs:
        model = run.model
        others = [part for part in (model.view, None if model.seed is None else f"seed {model.seed}") if part is not None]
        rows.setdefault(", ".join([model.architecture, *others]), {})[model.fold] = run.told
    cells = [(name, *(of.get(fold, "") for fold in folds)) for name, of in rows.items()]
    columns = ("network", *(f"fold {fold}" for fold in folds))
    return [Table("Networks", columns, cells)]


def _in_short(standing: Standing) -> tuple[str, str, str, str]:
    status = standing.status
    finished = sum(run.finished for run in status.runs)
    stopped = len(status.of_stage("interrupted", "failed"))
    trained = f"{finished} of {len(status.runs)}" + (f", {stopped} stopped" if stopped else "")
    selected = "outdated" if status.selection.outdated else "yes" if status.selection.models else "no"
    return str(status.workspace.root), trained, selected, standing.next.why


def _document(standing: Standing) -> dict[str, Any]:
    status, plan = standing.status, standing.status.plan
    return {
        "workspace": str(status.workspace.root),
        "problem": status.problem or None,
        "plan": None
        if plan is None
        else {"name": plan.inputs.name, "recipe": plan.inputs.recipe, "edited": plan.edited, "digest": plan.digest},
        "revision": status.revision,
        "adopted": status.adopted,
        "behind": [run.model.folder for run in status.behind],
        "data": None
        if (changes := status.changes) is None
        else {
            "folder": str(changes.dataset.root),
            "there": changes.there,
            "added": list(changes.added),
            "gone": list(changes.gone),
            "problem": changes.problem or None,
        },
        "preprocessed": {"cases": status.preprocessed, "of": status.cases},
        "folds": list(status.folds),
        "runs": [
            {
                "network": run.model.architecture,
                "fold": run.model.fold,
                "seed": run.model.seed,
                "view": run.model.view,
                "stage": run.stage,
                "of_other_cases": run.of_other_cases,
                "continued": None if run.continuation is None else run.continuation.told,
                "epochs": run.epochs,
                "of_epochs": run.of_epochs,
                "minutes": run.minutes,
                "of_minutes": run.of_minutes,
                "reason": run.reason or None,
                "started_from": None if run.origin is None else run.origin.name,
            }
            for run in status.runs
        ],
        "selected": [model.folder for model in status.selection.models],
        "selection_outdated": status.selection.outdated or None,
        "report": None if status.report is None else str(status.report),
        "report_outdated": status.report_outdated,
        "exports": [{"file": str(export.path), "current": export.current} for export in standing.exports],
        "next": {"why": standing.next.why, "command": standing.next.command or None},
    }


status = function(StatusOptions, run)
COMMAND = Command(StatusOptions, run, describe, example="autoseg status --workspace runs/IBSR18")
